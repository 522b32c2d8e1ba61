"""Hands a kept file over to whoever asked for it, under its own name, whatever letters that has."""

from pathlib import Path
from urllib.parse import quote

from quart import Response, send_file


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
