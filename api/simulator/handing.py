"""Takes a file in, piece by piece, and hands it over under its own name, whatever letters that has."""

import hashlib
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from quart import Response, send_file

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
    response = await send_file(path, mimetype=mime_type)
    if filename:
        response.headers["Content-Disposition"] = disposition(filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def disposition(filename: str) -> str:
    """RFC 6266: the name in full (RFC 5987), and in ASCII for those who know no better."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\;%/' else "_" for char in filename
    )
    whole = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"
