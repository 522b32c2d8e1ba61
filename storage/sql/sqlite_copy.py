"""Copies a SQLite database while others write to it, by SQLite's own backup, and looks into such a copy.

Invariants
- A copy is one snapshot, and one file: all that was committed before it is in it, what is still in the -wal file too.
- Nobody who writes waits for it. One read transaction covers all its steps: a backup that lets go of it between two of
  them begins anew at each commit of somebody else's, and never ends while there is traffic.
- What is copied is never made, and never changed.
- A copy that SQLite finds damaged is an error.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from storage.errors import WrongDatabase

PAGES_PER_STEP = 1000  # 4 MB: between two steps an interruption is heard, and the room is looked at
BUSY_SECONDS = 10.0


@contextmanager
def open_file(file: Path, *, writable: bool = False) -> Iterator[sqlite3.Connection]:
    """Opens a file that is there, each statement on its own. Raises WrongDatabase for what is no database."""
    with _sqlite_errors(file), closing(_connect(file, writable=writable)) as opened:
        yield opened


def _connect(file: Path, *, writable: bool) -> sqlite3.Connection:
    address = f"file:{quote(str(file.absolute()))}?mode={'rw' if writable else 'ro'}"
    return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def copy_database(source: Path, target: Path, on_step: Callable[[], None]) -> None:
    """Copies `source` into the new file `target`; calls `on_step` between the steps, which may raise to end it. Raises
    WrongDatabase, OSError where there is no room."""
    # `rw`, for who reads a database in WAL mode takes part in its -shm file; it is not written to
    with open_file(source, writable=True) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # from here on it is one snapshot
        with _sqlite_errors(target), closing(sqlite3.connect(target, isolation_level=None)) as writing:
            writing.execute("PRAGMA synchronous = OFF")  # nobody relies on it before it is in the archive
            reading.backup(writing, pages=PAGES_PER_STEP, progress=lambda *_: on_step())
            reading.execute("ROLLBACK")
            writing.execute("PRAGMA journal_mode = DELETE")  # nothing of it lies in another file
            writing.execute("PRAGMA user_version = 0")  # so it is no torn copy (`open_mark.py`)
            check_whole(writing, source)


def make_one_file(file: Path) -> None:
    """Brings all of a database into its file: nothing of it lies in a -wal beside it any more."""
    with open_file(file, writable=True) as database:
        database.execute("PRAGMA journal_mode = DELETE")


def check_whole(database: sqlite3.Connection, file: Path) -> None:
    """Raises WrongDatabase where SQLite finds the database damaged."""
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise WrongDatabase(f"{file} is damaged, says SQLite: {found}")


def measure_file(file: Path) -> int:
    """Returns how many bytes a copy of it takes at most, as it is now."""
    beside = file.with_name(f"{file.name}-wal")
    return file.stat().st_size + (beside.stat().st_size if beside.exists() else 0)


def list_tables(database: sqlite3.Connection) -> set[str]:
    """Returns the names of its tables."""
    return {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@contextmanager
def _sqlite_errors(file: Path) -> Iterator[None]:
    """Turns what SQLite raises into errors that an operator understands."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname == "SQLITE_FULL":
            raise OSError(28, "there is no room left on the disk", str(file)) from None
        raise WrongDatabase(f"{file} can't be read as a database: {error}.") from None
