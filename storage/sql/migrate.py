"""Brings a database to the shape that `models.py` and `desk_models.py` describe, by Tortoise's own migrations.

Invariants
- Nothing but a migration changes the schema.
- The start refuses a database that lacks one, or in which text would not survive: it takes utf8mb4, and packets large
  enough for a batch of Meta's.
"""

import os
import warnings
from pathlib import Path

from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor

from storage.sql.database import APPS, Database, DatabaseSettings, WrongDatabase

MIN_PACKET_BYTES = 16 * 1024 * 1024


async def migrate(settings: DatabaseSettings) -> list[str]:
    """Applies what is missing; returns the names of the migrations it applied."""
    make_folder(settings)
    database = await Database.open(settings)
    try:
        await check_server(database)
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
            await MigrationExecutor(database.client, APPS).migrate()
    return names


async def list_missing(database: Database) -> list[str]:
    """Returns the names of the migrations that this database still lacks."""
    return [step.migration.name for step in await MigrationExecutor(database.client, APPS).plan()]


async def check_server(database: Database) -> list[str]:
    """Raises WrongDatabase where data would be harmed; returns warnings about weaker durability than promised."""
    if database.dialect == "sqlite":
        return []
    async with database.reading() as tx:
        rows = await tx.fetch(
            "SELECT @@character_set_database, @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, DATABASE()"
        )
    charset, packet, flush, name = rows[0]
    if charset != "utf8mb4":
        raise WrongDatabase(
            f"The database's character set is {charset}, and emoji need utf8mb4: "
            f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4"
        )
    if int(packet) < MIN_PACKET_BYTES:
        raise WrongDatabase(f"max_allowed_packet is {packet}; set it to 16M or more: a batch of Meta's must fit")
    if int(flush) != 1:
        return [f"innodb_flush_log_at_trx_commit is {flush}, not 1: a power cut may lose what Meta was told is safe"]
    return []


async def list_unwritten(settings: DatabaseSettings) -> list[str]:
    """Returns the names of the migrations that the models ask for and nobody wrote: none, or a test fails."""
    database = await Database.open(settings)
    try:
        return [writer.name for writer in await MigrationAutodetector(database.apps, APPS).changes()]
    finally:
        await database.close()
