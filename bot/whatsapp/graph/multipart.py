"""A file as the multipart form that Meta's upload wants, piece by piece.

Invariant: never more than one piece is in memory, and the form is exactly as long as was said before the first byte
went out: a file that turns out shorter or longer breaks the request instead of becoming another file.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from bot.whatsapp.graph.http import RequestBody, UnreadableFile
from bot.whatsapp.sanitize import clean_file_name, clean_mime_type

_PIECE_BYTES = 256 * 1024


def build_multipart(file: Path | AsyncIterator[bytes], kind: str, filename: str, size: int) -> RequestBody:
    """The body of POST /media. `kind` is a MIME type."""
    boundary = secrets.token_hex(16)
    kind = clean_mime_type(kind)
    # Neither name leaves a quote, a line break or a backslash in the form; what is not ASCII goes as UTF-8.
    name = clean_file_name(filename) or "file"
    start = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="messaging_product"\r\n\r\nwhatsapp\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="type"\r\n\r\n{kind}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()
    end = f"\r\n--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield start
        async for piece in _exactly(size, _read(file) if isinstance(file, Path) else file):
            yield piece
        yield end

    return RequestBody(pieces(), f"multipart/form-data; boundary={boundary}", len(start) + size + len(end))


async def _exactly(size: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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


async def _read(path: Path) -> AsyncIterator[bytes]:
    opened = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()
