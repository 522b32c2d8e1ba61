"""Where the bytes of files are: a folder, or a bucket of an S3-compatible store (`file_store_s3.py`).

Invariants: a file is there whole or not at all, and once it is there it survives the death of the process and of the
machine; its name is ours, made of its id alone, and nothing that a customer wrote is ever part of a path; no more than
a few pieces of a file are in memory, whatever its size; only Tick's own user can read the folder.
"""

import asyncio
import contextlib
import errno
import os
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from storage.errors import OperatorError

PIECE_BYTES = 256 * 1024
PROBE = "check"  # no name of a file: those are in folders of their own
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{16}")


class StoreDown(OperatorError):
    """The store can't do this now: nobody's fault who called, try again later. The text is one sentence."""


class NoFile(Exception):
    """The store has no such file."""


class FileStore(Protocol):
    """A place for files. `key` is `key_of` a file; all calls raise StoreDown."""

    async def put(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Keeps the file, whole; when `pieces` raises, nothing is kept and the error is the caller's."""

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, piece by piece; raises NoFile."""

    async def delete(self, key: str) -> None:
        """The file is gone, whether it was there or not."""

    async def check(self) -> str:
        """What is wrong with the store, in a sentence; "" when it keeps and gives back."""


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach a bucket; what is empty is looked for where all programs that speak S3 look for it."""

    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""
    endpoint: str = ""


def open_store(url: str, folder: Path, access: S3Access = S3Access()) -> FileStore:
    """The store of FILES_URL; `folder` where it names none. Opens nothing; raises StoreDown for what can't be."""
    if url.startswith("s3://"):
        from storage.blobs.s3 import BucketStore  # its library is large, and a folder does without

        return BucketStore(url, access)
    return FolderStore(Path(url) if url else folder)


def key_of(file_id: int) -> str:
    """The name of a file in the store. The last digits, which are nearly random, spread them over folders."""
    name = f"{file_id:016x}"
    return f"{name[-2:]}/{name}"


class FolderStore:
    """Files in a folder, at most 256 folders deep by one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        path = self._path(key)
        with _told():
            part, file = await asyncio.to_thread(_begin, path)
        try:
            async for piece in pieces:
                with _told():
                    await asyncio.to_thread(file.write, piece)
            with _told():
                await asyncio.to_thread(_keep, file, part, path)
        finally:
            await asyncio.shield(asyncio.to_thread(_drop, file, part))

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        with _told():
            file = await asyncio.to_thread(_open, self._path(key), start)
        return _pieces(file, None if end is None else end - start)

    async def delete(self, key: str) -> None:
        with _told():
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def check(self) -> str:
        try:
            with _told():
                await asyncio.to_thread(self._probe)
        except StoreDown as error:
            return str(error)
        return ""

    def _probe(self) -> None:
        path = self._folder / f"{PROBE}.{secrets.token_hex(4)}"
        part, file = _begin(path)
        try:
            file.write(b"check")
            _keep(file, part, path)
        finally:
            _drop(file, part)
        path.unlink()

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("not the key of a file")
        return self._folder / key


def _begin(path: Path) -> tuple[Path, BinaryIO]:
    _make(path.parent)
    for left in path.parent.glob(f"{path.name}.*.part"):  # by a process that died over this file
        left.unlink(missing_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    return part, open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _make(folder: Path) -> None:
    """The folder and those above it, for our eyes only: mkdir would give its parents the usual mode."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)


def _keep(file: BinaryIO, part: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    part.rename(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _drop(file: BinaryIO, part: Path) -> None:
    """Whatever is left of a file that is not to be; nothing, when it was kept."""
    with contextlib.suppress(OSError):  # what was still to be written of it doesn't fit, and is not wanted
        file.close()
    part.unlink(missing_ok=True)


def _open(path: Path, start: int) -> BinaryIO:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NoFile from None
    file.seek(start)
    return file


async def _pieces(file: BinaryIO, left: int | None) -> AsyncIterator[bytes]:
    try:
        while left is None or left > 0:
            with _told():
                piece = await asyncio.to_thread(file.read, PIECE_BYTES if left is None else min(PIECE_BYTES, left))
            if not piece:
                return
            if left is not None:
                left -= len(piece)
            yield piece
    finally:
        file.close()


class _told:  # noqa: N801 - reads as a word in `with`
    """Turns what the system says into a sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreDown("The disk with the folder of files (FILES_URL or DATA_DIR) is full.") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreDown(
                "The folder of files (FILES_URL or DATA_DIR) may not be written by Tick's user: change owner or mode."
            ) from None
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise StoreDown("FILES_URL or DATA_DIR names something that is no folder.") from None
        raise StoreDown(f"The folder of files (FILES_URL or DATA_DIR) fails: {error.strerror}.") from None
