"""Marks the file of a SQLite database while a process serves it, so that a copy of the file alone is recognized.

While Tick runs, what was written last lies in the -wal file beside the database. A copy without that opens, and looks
whole. The mark is SQLite's `user_version`, a number in the file's header.

Invariants
- The mark is in the file itself, and not in the -wal alone, before the process serves; it goes when the process ends in
  order, by which all is in the file.
- Where a process has served, its lock lies beside the file: one that was killed there is told from a copy by that.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

from storage.sql.database import Database, DatabaseDown
from storage.sql.sqlite_lock import find_lock

SERVED = 1
MARK = slice(60, 64)  # the bytes of `user_version` in a file's header, the highest first


def is_torn_copy(file: Path) -> bool:
    """Whether this is a copy of a database that was being served, without its -wal file. To be asked before it is
    locked or opened here."""
    if not file.exists() or find_lock(file).exists() or file.with_name(f"{file.name}-wal").exists():
        return False
    with file.open("rb") as opened:
        return int.from_bytes(opened.read(MARK.stop)[MARK], "big") == SERVED


async def mark_served(database: Database) -> None:
    """Marks the file; one on a full disk goes without."""
    with suppress(DatabaseDown, sqlite3.Error):
        async with database.reading() as tx:
            await tx.execute(f"PRAGMA user_version = {SERVED}")
            await tx.fetch("PRAGMA wal_checkpoint(TRUNCATE)")


async def unmark(database: Database) -> None:
    """Takes the mark away, before the database is closed."""
    with suppress(DatabaseDown, sqlite3.Error):
        async with database.reading() as tx:
            await tx.execute("PRAGMA user_version = 0")
