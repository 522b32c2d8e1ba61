"""Stores files in a folder of the machine, or on a disk that several machines share.

Invariants, besides those of `store.py`
- A file that was stored survives the death of the machine: it and its folders are synced to the disk.
- Only Tick's own user can read the folder.
- A reserve of the disk stays free (`disk_room.py`): files that come when nothing else is left are refused.
- What blocks runs in a thread.
"""

import asyncio
import contextlib
import errno
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from storage.blobs.disk_room import RESERVE, DiskRoom, Reserve, measure_room
from storage.blobs.store import PIECE_BYTES, PROBE, NoFile, StoreDown

_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{16}")


class FolderStore:
    """A store of files in at most 256 folders inside of one."""

    def __init__(self, folder: Path, reserve: Reserve = RESERVE) -> None:
        self._folder = folder
        self._reserve = reserve

    async def put(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        path = self._find_path(key)
        with _store_errors():
            await asyncio.to_thread(self._keep_reserve)
            part = await asyncio.to_thread(_begin, path)
        try:
            async for piece in pieces:
                with _store_errors():
                    await asyncio.to_thread(self._write, part, piece)
            with _store_errors():
                await asyncio.to_thread(_finish, part, path)
        finally:
            await asyncio.shield(asyncio.to_thread(_discard, part))

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        with _store_errors():
            file = await asyncio.to_thread(_open, self._find_path(key), start)
        return _read_pieces(file, None if end is None else end - start)

    async def delete(self, key: str) -> None:
        with _store_errors():
            await asyncio.to_thread(self._find_path(key).unlink, missing_ok=True)

    async def check(self) -> str:
        try:
            with _store_errors():
                await asyncio.to_thread(self._probe)
        except StoreDown as error:
            return str(error)
        return ""

    async def check_room(self) -> str:
        try:
            with _store_errors():
                await asyncio.to_thread(self._keep_reserve)
        except StoreDown as error:
            return str(error)
        return ""

    def _write(self, part: "_Part", piece: bytes) -> None:
        self._keep_reserve()
        part.file.write(piece)

    def _keep_reserve(self) -> None:
        room = measure_room(self._folder, self._reserve)
        if room.is_short:
            raise StoreDown(
                f"The disk with the folder of files (FILES_URL or DATA_DIR) has less than {_in_megabytes(room)} MB "
                "left, which are kept free: make room there."
            )

    def _probe(self) -> None:
        self._keep_reserve()
        path = self._folder / f"{PROBE}.{secrets.token_hex(4)}"
        part = _begin(path)
        try:
            part.file.write(b"check")
            _finish(part, path)
        finally:
            _discard(part)
        path.unlink()

    def _find_path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("not the key of a file")
        return self._folder / key


class _Part(NamedTuple):
    """A file that is being written, under a name that no file of the store has."""

    path: Path
    file: BinaryIO


def _begin(path: Path) -> _Part:
    _make_folder(path.parent)
    for left in path.parent.glob(f"{path.name}.*.part"):  # by a process that died over this file
        left.unlink(missing_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    return _Part(part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"))


def _make_folder(folder: Path) -> None:
    """Makes the folder and those above it, for our eyes only: mkdir would give its parents the usual mode."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)


def _finish(part: _Part, path: Path) -> None:
    """Gives the part its name once all of it is on the disk."""
    part.file.flush()
    os.fsync(part.file.fileno())
    part.file.close()
    part.path.rename(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _discard(part: _Part) -> None:
    """Removes what is left of a part that was not finished; nothing is left of one that was."""
    with contextlib.suppress(OSError):  # what was still to be written of it doesn't fit, and is not wanted
        part.file.close()
    part.path.unlink(missing_ok=True)


def _open(path: Path, start: int) -> BinaryIO:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NoFile from None
    file.seek(start)
    return file


async def _read_pieces(file: BinaryIO, left: int | None) -> AsyncIterator[bytes]:
    """Reads `left` bytes, or all where it is None, and closes the file."""
    try:
        while left is None or left > 0:
            with _store_errors():
                piece = await asyncio.to_thread(file.read, PIECE_BYTES if left is None else min(PIECE_BYTES, left))
            if not piece:
                return
            if left is not None:
                left -= len(piece)
            yield piece
    finally:
        file.close()


def _in_megabytes(room: DiskRoom) -> int:
    return max(1, room.reserve_bytes // 1024**2)


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    """Turns what the system says into StoreDown, with a sentence for the operator."""
    try:
        yield
    except OSError as error:
        raise StoreDown(_explain(error)) from None


def _explain(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk with the folder of files (FILES_URL or DATA_DIR) is full."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "The folder of files (FILES_URL or DATA_DIR) may not be written by Tick's user: change owner or mode."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "FILES_URL or DATA_DIR names something that is no folder."
    return f"The folder of files (FILES_URL or DATA_DIR) fails: {error.strerror}."
