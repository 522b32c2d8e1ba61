"""Locks the file of a SQLite database for the one process that serves it.

Invariants
- One process serves a file at a time, whichever Redis it uses: SQLite lets one alone write.
- Commands beside a running service (`tick key create`) do without the lock.
"""

from pathlib import Path
from typing import TextIO

from storage.errors import OperatorError
from storage.file_lock import lock_file

LOCK_SUFFIX = ".lock"


class DatabaseInUse(OperatorError):
    """Another process serves this file. The text is one sentence."""


def lock_database(file: Path) -> TextIO:
    """Locks the database's file until what is returned is closed, or the process ends. Raises DatabaseInUse."""
    lock = lock_file(find_lock(file))
    if lock is None:
        raise DatabaseInUse(f"Tick already runs on {file}: stop it first, or give this one another DATA_DIR.")
    return lock


def find_lock(file: Path) -> Path:
    """Returns the file that is locked for a database: the same one, by whatever name the database goes."""
    real = file.resolve()
    return real.with_name(f"{real.name}{LOCK_SUFFIX}")
