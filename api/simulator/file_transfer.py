"""Moves files between HTTP and the disk, in pieces: uploads are saved, downloads are served under their own names.

No file stays open while somebody takes their time over it: whoever hangs up leaves nothing behind.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final, NamedTuple
from urllib.parse import quote

from quart import Response

PIECE_BYTES: Final = 1024 * 1024


class SavedFile(NamedTuple):
    """What is known of a file once it is on the disk: its bytes, and its SHA-256 in hex."""

    size: int
    sha256: str


def save_file(content: IO[bytes], path: Path) -> SavedFile:
    """Copies `content` to `path`. It blocks: call it in a thread."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        while piece := content.read(PIECE_BYTES):
            digest.update(piece)
            size += file.write(piece)
    return SavedFile(size, digest.hexdigest())


async def serve_file(path: Path, mime_type: str, filename: str = "") -> Response:
    """Answers with a file, or 404. With a filename it is a download; without one a browser may show it."""
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
    except FileNotFoundError:
        return Response("", 404)
    response = Response(_read_pieces(path), content_type=mime_type, headers={"Content-Length": str(size)})
    if filename:
        response.headers["Content-Disposition"] = make_content_disposition(filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _read_pieces(path: Path) -> AsyncIterator[bytes]:
    offset = 0
    while piece := await asyncio.to_thread(_read_piece, path, offset):
        yield piece
        offset += len(piece)


def _read_piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE_BYTES)


def make_content_disposition(filename: str) -> str:
    """Builds the header of a download (RFC 6266): the name in full (RFC 5987), and in ASCII for old clients."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\;%/' else "_" for char in filename
    )
    whole = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"
