"""Makes the HTTP headers of a file that a stranger sent. Pure.

Invariants
- A file is shown in a page only as one of a few types that can't act, and only when its first bytes are those of that
  type, whatever it is said to be. All others are downloads without a type.
- No name breaks out of its header (RFC 6266, RFC 8187).
"""

import re
from typing import NamedTuple
from urllib.parse import quote

from bot.whatsapp.messages.media_types import ANY_TYPE, find_ending
from bot.whatsapp.sanitize import clean_file_name

HEAD_BYTES = 16  # tell the type
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_NOT_PLAIN = re.compile(r'[^ !#-\[\]-~]|["%;\\]')
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
)
# Those that a page may show.
INLINE_TYPES = (
    "image/png", "image/jpeg", "image/gif", "image/webp", "audio/ogg", "audio/mpeg", "audio/mp4", "video/mp4",
)  # fmt: skip


class ByteRange(NamedTuple):
    """A part of a file: the first byte, and one past the last."""

    start: int
    end: int


class NoSuchRange(Exception):
    """The file has no such part."""


def choose_inline_type(head: bytes, claimed: str) -> str:
    """Chooses the type as which a page may show the file, or ANY_TYPE. `claimed` only tells sound from film."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] not in (b"heic", b"avif", b"mif1"):
        return "audio/mp4" if head[8:11] == b"M4A" or claimed.startswith("audio/") else "video/mp4"
    return next((name for start, name in _STARTS if head.startswith(start)), ANY_TYPE)


def make_content_disposition(inline: bool, name: str, file_id: int, mime_type: str = ANY_TYPE) -> str:
    """Makes the Content-Disposition, with the name as all programs read it, and as it is. Photos and voice notes have
    none: they get one, with the ending of their type where that is a harmless one."""
    shown = clean_file_name(name) or f"file-{file_id}{find_ending(mime_type)}"
    plain = _NOT_PLAIN.sub("_", shown.encode("ascii", "replace").decode().replace("?", "_"))
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """Reads which part a Range header asks for; None for all of it, as for several parts at once, which nobody needs.
    Raises NoSuchRange. RFC 9110, section 14."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        raise NoSuchRange
    return ByteRange(start, end)
