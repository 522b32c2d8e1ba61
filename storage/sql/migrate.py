"""Brings a database to the shape that `models.py` and `desk_models.py` describe, by Tortoise's own migrations.

Invariants
- Nothing but a migration changes the schema.
- The start refuses a database that lacks one, and every command one that has a migration of a newer version: nobody
  here knows what its rows mean by then.
"""

import os
import pkgutil
import warnings
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.recorder import MigrationRecorder
from tortoise.migrations.schema_editor import BaseSchemaEditor

from storage.errors import WrongDatabase
from storage.sql.database import APPS, MIGRATIONS, Database, DatabaseSettings
from storage.sql.schema_editor import ResumingSchemaEditor
from storage.sql.server_checks import Problem, check_server


async def migrate(settings: DatabaseSettings) -> list[str]:
    """Applies what is missing; returns the names of the migrations it applied."""
    make_folder(settings)
    database = await Database.open(replace(settings, is_patient=True))
    try:
        await check_server(database)
        await refuse_newer(database)
        return await apply(database)
    finally:
        await database.close()


def make_folder(settings: DatabaseSettings) -> None:
    """Makes the folder of SQLite's file; raises WrongDatabase where nothing can be written."""
    if settings.url.startswith("sqlite://"):
        folder = Path(settings.url.removeprefix("sqlite://")).parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK):
            raise WrongDatabase(f"{folder} can't be written to: set DATA_DIR to a folder of Tick's own.")


async def apply(database: Database) -> list[str]:
    """Applies what this database lacks; returns the names."""
    if names := await list_missing(database):
        with warnings.catch_warnings():
            # Tortoise makes sure of its own table each time, and MySQL remarks that it is there
            warnings.filterwarnings("ignore", message=".*already exists")
            await _Executor(database.client, APPS).migrate()
    return names


async def list_missing(database: Database) -> list[str]:
    """Returns the names of the migrations that this database still lacks."""
    return [step.migration.name for step in await _Executor(database.client, APPS).plan()]


def list_known() -> list[str]:
    """Returns the names of the migrations that this version knows, in their order."""
    package = import_module(MIGRATIONS)
    return sorted(name for _, name, _ in pkgutil.iter_modules(package.__path__))


def find_newer_problem(applied: Iterable[str]) -> Problem | None:
    """Returns what is wrong where one of the migrations that were applied is of a newer version."""
    known = list_known()
    newer = sorted(set(applied).difference(known))
    if not newer:
        return None
    return Problem(
        f"The database is newer than this version of Tick: it has the migration {newer[-1]}, and this version knows "
        f"them up to {known[-1]}.",
        "Install the version that made it, or a newer one, or restore a backup from before it (docs/BACKUP.md).",
    )


async def list_applied(database: Database) -> list[str]:
    """Returns the names of the migrations that this database has; none where it is empty."""
    applied = await MigrationRecorder(database.client).applied_migrations()
    return [key.name for key in applied if key.app_label in APPS]


async def refuse_newer(database: Database) -> None:
    """Raises WrongDatabase where the database is newer than this version."""
    if problem := find_newer_problem(await list_applied(database)):
        raise WrongDatabase(str(problem))


async def list_unwritten(settings: DatabaseSettings) -> list[str]:
    """Returns the names of the migrations that the models ask for and nobody wrote: none, or a test fails."""
    database = await Database.open(settings)
    try:
        return [writer.name for writer in await MigrationAutodetector(database.apps, APPS).changes()]
    finally:
        await database.close()


class _Executor(MigrationExecutor):
    """Tortoise's, with an editor of ours for MySQL."""

    def _schema_editor(self, atomic: bool = True, collect_sql: bool = False) -> BaseSchemaEditor:
        if self.connection.capabilities.dialect == "mysql":
            return ResumingSchemaEditor(self.connection, atomic=atomic, collect_sql=collect_sql)
        return super()._schema_editor(atomic, collect_sql)
