"""Locks the file of a SQLite database for the one process that serves it.

Invariants
- One process serves a file at a time, whichever Redis it uses: SQLite lets one alone write.
- Commands beside a running service (`tick key create`) do without the lock.
- Nobody serves a database that a restore has left half-way.
"""

from pathlib import Path
from typing import TextIO

from storage.errors import OperatorError
from storage.file_lock import lock_file

LOCK_SUFFIX = ".lock"
HALF_RESTORED = ".restore"  # a folder beside the database, while a backup is being restored there


class DatabaseInUse(OperatorError):
    """This file can't be served: another process does, or a restore was not finished. The text is one sentence."""


def lock_database(file: Path) -> TextIO:
    """Locks the database's file until what is returned is closed, or the process ends. Raises DatabaseInUse."""
    lock = lock_file(find_lock(file))
    if lock is None:
        raise DatabaseInUse(f"Tick already runs on {file}: stop it first, or give this one another DATA_DIR.")
    if (file.parent / HALF_RESTORED).exists():
        lock.close()
        raise DatabaseInUse(
            f"A backup was restored half-way into {file.parent}: empty that folder, and restore it again."
        )
    return lock


def find_lock(file: Path) -> Path:
    """Returns the file that is locked for a database: the same one, by whatever name the database goes."""
    real = file.resolve()
    return real.with_name(f"{real.name}{LOCK_SUFFIX}")
