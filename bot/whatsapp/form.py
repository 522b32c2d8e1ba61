"""A file as the multipart form that Meta's upload wants, piece by piece.

Invariant: never more than one piece is in memory, and the form is exactly as long as was said before the first byte
went out: a file that turns out shorter or longer breaks the request instead of becoming another file.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from bot.whatsapp.cleaning import file_name
from bot.whatsapp.graph import Content

_PIECE_BYTES = 256 * 1024


def file_form(file: Path | AsyncIterator[bytes], mime_type: str, filename: str, size: int) -> Content:
    """The body of POST /media."""
    boundary = secrets.token_hex(16)
    kind = mime_type.replace("\r", " ").replace("\n", " ")
    # file_name leaves no quote, line break or backslash; what is not ASCII goes as UTF-8, as browsers do it.
    name = file_name(filename) or "file"
    start = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="messaging_product"\r\n\r\nwhatsapp\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="type"\r\n\r\n{kind}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()
    end = f"\r\n--{boundary}--\r\n".encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield start
        left = size
        async for piece in _read(file) if isinstance(file, Path) else file:
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            raise OSError("the file is not as long as was said")
        yield end

    return Content(pieces(), f"multipart/form-data; boundary={boundary}", len(start) + size + len(end))


async def _read(path: Path) -> AsyncIterator[bytes]:
    opened = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()
