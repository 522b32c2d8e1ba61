"""Reads from the copy of a SQLite database what a backup has to know: its version, what is in it, which files it names.

The copy may be of an older version of Tick, so a table that is not there yet has nothing in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from storage.sql.sqlite_copy import list_tables, open_file
from storage.statuses import FileState

COUNTED = ("customer", "ticket", "reply", "item", "outbox", "file")  # tables whose rows a backup tells the number of


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What a copy holds. `migrations`: the names of those that were applied, in order; `counts`: the rows by table."""

    migrations: list[str]
    counts: Mapping[str, int]


def read_facts(copy: Path) -> CopyFacts:
    """Reads what is in the copy."""
    with open_file(copy) as database:
        tables = list_tables(database)
        migrations = []
        if "tortoise_migrations" in tables:
            rows = database.execute("SELECT name FROM tortoise_migrations WHERE app = 'models' ORDER BY name")
            migrations = [row[0] for row in rows]
        counts = {
            table: int(database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
            for table in COUNTED
            if table in tables
        }
    return CopyFacts(migrations, counts)


def list_files(copy: Path) -> Iterator[tuple[int, bool]]:
    """Lists the files whose bytes may be in the store, by their ids, and whether they have to be there."""
    with open_file(copy) as database:
        if "file" not in list_tables(database):
            return
        rows = database.execute(
            "SELECT id, state FROM file WHERE state IN (?, ?) ORDER BY id", [FileState.STORED, FileState.LOOSE]
        )
        for file_id, state in rows:
            yield int(file_id), state == FileState.STORED
