"""Writes and reads the archive of a backup: a plain tar file with members of known names and no others.

The header of each member is read as one block of 512 bytes, so that nothing in it can ask for more: Python's tarfile
would follow the extensions of a header (long names, sparse files) as far as they say.

Invariants
- A member is a file by one of the names that Tick gives, below the others by order. Links, devices, folders, long
  names and whatever else a tar file can hold are refused.
- No more than a piece of a member is in memory, whatever its size, and nothing of the members before it.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from storage.errors import OperatorError

BLOCK_BYTES = 512
PIECE_BYTES = 1024 * 1024
DATABASE = "tick.db"
MANIFEST = "manifest.jsonl"
FILES = "files/"
CUT_OFF = "The backup is cut off: its end is missing. Take another copy of it."
_NAME = re.compile(r"tick\.db|manifest\.jsonl|files/[0-9a-f]{2}/[0-9a-f]{16}")


class WrongArchive(OperatorError):
    """This is no backup of Tick's, or not a whole one. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive. `sha256`: of its bytes, in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a member lie in the archive."""

    name: str
    size: int
    offset: int


class ArchiveWriter:
    """Writes an archive to a file. `on_piece` is called before each piece, and may raise to end it."""

    def __init__(self, file: BinaryIO, *, written_at: int, on_piece: Callable[[], None]) -> None:
        self._file = file
        self._written_at = written_at
        self._on_piece = on_piece

    def add(self, name: str, source: BinaryIO) -> Member:
        """Adds an open file as it is now; raises OSError, also where it gets shorter meanwhile."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = os.fstat(source.fileno()).st_size, 0o600, self._written_at
        self._file.write(info.tobuf(tarfile.GNU_FORMAT))
        digest, left = hashlib.sha256(), info.size
        while left:
            self._on_piece()
            piece = source.read(min(PIECE_BYTES, left))
            if not piece:
                raise OSError(5, "it got shorter while it was read", source.name)
            digest.update(piece)
            self._file.write(piece)
            left -= len(piece)
        self._file.write(bytes(-info.size % BLOCK_BYTES))
        return Member(name, info.size, digest.hexdigest())

    def end(self) -> None:
        """Writes the end of the archive, as tar has it."""
        self._file.write(bytes(2 * BLOCK_BYTES))


def list_members(archive: BinaryIO) -> Iterator[Place]:
    """Lists what is in the archive, in its order, without reading the bytes. Raises WrongArchive for what is no archive
    of a backup, is cut off, or has anything in it that does not belong there."""
    end, at = os.fstat(archive.fileno()).st_size, 0
    while True:
        archive.seek(at)
        block = archive.read(BLOCK_BYTES)
        if at == 0 and (len(block) < BLOCK_BYTES or not any(block)):
            raise WrongArchive("This is no backup of Tick's.")
        if len(block) < BLOCK_BYTES:
            raise WrongArchive(CUT_OFF)
        if not any(block):
            return
        place = _read_header(block, at)
        at = place.offset + place.size + -place.size % BLOCK_BYTES
        if at > end:
            raise WrongArchive(CUT_OFF)
        yield place


def _read_header(block: bytes, at: int) -> Place:
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "replace")
    except tarfile.HeaderError:
        raise WrongArchive(
            "This is no backup of Tick's." if at == 0 else "The backup is damaged. Take another copy of it."
        ) from None
    if info.type != tarfile.REGTYPE or not _NAME.fullmatch(info.name) or info.size < 0:
        raise WrongArchive(
            "There is something in this archive that no backup of Tick's has in it, so nothing was taken out of it."
        )
    return Place(info.name, info.size, at + BLOCK_BYTES)


def read_member(archive: BinaryIO, place: Place, write: Callable[[bytes], object]) -> str:
    """Hands the bytes of a member to `write`, piece by piece; returns their SHA-256 in hex. Raises WrongArchive."""
    archive.seek(place.offset)
    digest, left = hashlib.sha256(), place.size
    while left:
        piece = archive.read(min(PIECE_BYTES, left))
        if not piece:
            raise WrongArchive(CUT_OFF)
        digest.update(piece)
        write(piece)
        left -= len(piece)
    return digest.hexdigest()
