"""Defines what a store of files can do, whatever it is made of: a folder (`folder.py`) or a bucket of S3 (`s3.py`).

Invariants, of every store
- A file is there whole or not at all, and once it is there it survives the death of the process.
- A file's name is ours, made of its id alone: nothing that a customer wrote is ever part of a path.
- No more than a few pieces of a file are in memory, whatever its size.
- What goes wrong is told in sentences of ours: the words of a server have addresses and ids in them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from storage.errors import OperatorError

PIECE_BYTES = 256 * 1024
PROBE = "check"  # the name under which `check` tries a store; no file's, since those are in folders of their own


class StoreDown(OperatorError):
    """The store can't do this now: try again later. The text is one sentence."""


class NoFile(Exception):
    """The store has no such file."""


class FileStore(Protocol):
    """A store of files. `key` is what `make_file_key` makes of a file's id; all calls raise StoreDown."""

    async def put(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Stores the file, whole; when `pieces` raises, nothing is stored and the error is the caller's."""

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Returns the bytes from `start` up to `end`, piece by piece; raises NoFile."""

    async def delete(self, key: str) -> None:
        """Deletes the file, if it is there."""

    async def check_room(self) -> str:
        """Returns a sentence where there is no room for files now; "" where there is, or nobody can know."""

    async def check(self) -> str:
        """Returns a sentence that says what is wrong with the store; "" when it gives back what it is given."""


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach a bucket; what is empty is looked for where all programs that speak S3 look for it."""

    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""
    endpoint: str = ""


def make_file_key(file_id: int) -> str:
    """Returns the name of a file in the store. Its last digits, which are nearly random, spread files over folders."""
    name = f"{file_id:016x}"
    return f"{name[-2:]}/{name}"
