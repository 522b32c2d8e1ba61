"""Builds the multipart body of Meta's media upload, piece by piece.

Invariants
- Never more than one piece is in memory.
- The body is exactly as long as was said before its first byte went out: a file that turns out shorter or longer
  breaks the request instead of becoming another file.

Sources: Meta, media (POST /media); multipart/form-data: RFC 7578.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from bot.whatsapp.graph.http import RequestBody, UnreadableFile
from bot.whatsapp.sanitize import clean_file_name, clean_mime_type

_PIECE_BYTES = 256 * 1024


def build_multipart(file: Path | AsyncIterator[bytes], *, mime_type: str, filename: str, size: int) -> RequestBody:
    """Returns the body of POST /media for a file of `size` bytes.

    While it is sent, UnreadableFile is raised when the file can't be read or has another size.
    """
    boundary = secrets.token_hex(16)
    mime_type = clean_mime_type(mime_type)
    # Neither name leaves a quote, a line break or a backslash in the body; what is not ASCII goes as UTF-8.
    name = clean_file_name(filename) or "file"
    start = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="messaging_product"\r\n\r\nwhatsapp\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="type"\r\n\r\n{mime_type}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {mime_type}\r\n\r\n"
    ).encode()
    end = f"\r\n--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield start
        async for piece in _check_size(size, _read_file(file) if isinstance(file, Path) else file):
            yield piece
        yield end

    return RequestBody(pieces(), f"multipart/form-data; boundary={boundary}", len(start) + size + len(end))


async def _check_size(size: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields the pieces, and raises UnreadableFile when they are not exactly `size` bytes."""
    left = size
    try:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            yield piece
    except Exception as error:
        raise UnreadableFile(type(error).__name__) from error
    if left:
        raise UnreadableFile("its size is another")


async def _read_file(path: Path) -> AsyncIterator[bytes]:
    opened = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()
