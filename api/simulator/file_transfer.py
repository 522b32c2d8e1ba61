"""Takes a file in, piece by piece, and hands it over under its own name, whatever letters that has.

No file stays open while somebody takes their time over it: whoever hangs up leaves nothing behind.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from quart import Response

PIECE: Final = 1024 * 1024


def take_in(content: IO[bytes], path: Path) -> tuple[int, str]:
    """Its size, and its SHA-256 in hex. It blocks: for a thread."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            size += file.write(piece)
    return size, digest.hexdigest()


async def hand_over(path: Path, mime_type: str, filename: str = "") -> Response:
    """With a name it is a download; without one it may be shown."""
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
    except FileNotFoundError:
        return Response("", 404)
    response = Response(_pieces(path), content_type=mime_type, headers={"Content-Length": str(size)})
    if filename:
        response.headers["Content-Disposition"] = disposition(filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    at = 0
    while piece := await asyncio.to_thread(_read, path, at):
        yield piece
        at += len(piece)


def _read(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(PIECE)


def disposition(filename: str) -> str:
    """RFC 6266: the name in full (RFC 5987), and in ASCII for those who know no better."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\;%/' else "_" for char in filename
    )
    whole = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"
