"""Decides as which kind of media a file is sent, by Meta's table of types and sizes.

Invariants
- A file that Meta's upload would refuse is refused here, with a sentence that says what to do instead.

Source: Meta, media (supported media types).
"""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bot.whatsapp.messages.limits import TooLong, Unsendable
from bot.whatsapp.messages.media_types import (
    OFFICE,
    OGG,
    OPUS,
    STICKER_PIXELS,
    normalize_mime_type,
    read_webp_shape,
)

_MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MediaRule:
    """What WhatsApp takes of one kind of media, and whether it shows a caption and a file name with it."""

    max_bytes: int
    mime_types: frozenset[str]
    shows_caption: bool = True
    shows_filename: bool = False


MEDIA_RULES: Final = MappingProxyType(
    {
        "image": MediaRule(5 * _MB, frozenset({"image/jpeg", "image/png"})),
        "video": MediaRule(16 * _MB, frozenset({"video/mp4", "video/3gpp"})),
        "audio": MediaRule(
            16 * _MB, frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", OPUS}), shows_caption=False
        ),
        # Chosen for what has the size of one: a webp picture of somebody's holiday is no sticker.
        "sticker": MediaRule(500 * 1024, frozenset({"image/webp"}), shows_caption=False),
        "document": MediaRule(
            100 * _MB,
            frozenset(
                {
                    "text/plain",
                    "application/pdf",
                    "application/msword",
                    "application/vnd.ms-excel",
                    "application/vnd.ms-powerpoint",
                    f"{OFFICE}.wordprocessingml.document",
                    f"{OFFICE}.spreadsheetml.sheet",
                    f"{OFFICE}.presentationml.presentation",
                }
            ),
            shows_filename=True,
        ),
    }
)
_CHOSEN_KINDS: Final = ("image", "video", "audio", "document")
_MAX_STILL_STICKER_BYTES: Final = 100 * 1024
# What to send instead, by what was given.
_HINTS: Final = MappingProxyType(
    {
        "image": "Send it as JPEG or PNG.",
        "video": "Send it as MP4 or 3GP.",
        "audio": "Send it as MP3, M4A, AAC or AMR, or as OGG with Opus inside.",
    }
)
_DOCUMENT_HINT: Final = "Send it as a PDF, a text file, or a Word, Excel or PowerPoint file."


def choose_media_kind(mime_type: str, size: int, head: bytes = b"") -> str:
    """Returns the kind of media to send a file of `size` bytes as, which begins with `head`. Raises Unsendable, or
    TooLong for one too large."""
    name = normalize_mime_type(mime_type)
    if size < 1:
        raise Unsendable("The file is empty.")
    if name == "image/webp" and _is_sticker(head, size):
        return "sticker"
    kind = next((kind for kind in _CHOSEN_KINDS if name in MEDIA_RULES[kind].mime_types), None)
    if kind is None:
        raise Unsendable(_explain_unsendable(mime_type, name))
    max_bytes = MEDIA_RULES[kind].max_bytes
    if size > max_bytes:
        # rounded up, since what is too large never reads as if it just fitted
        megabytes = math.ceil(size / _MB * 10) / 10
        raise TooLong(f"The {kind} has {megabytes:.1f} MB, and WhatsApp takes at most {max_bytes // _MB} MB of one.")
    return kind


def _is_sticker(head: bytes, size: int) -> bool:
    shape = read_webp_shape(head)
    if shape is None or (shape.width, shape.height) != (STICKER_PIXELS, STICKER_PIXELS):
        return False
    return size <= (MEDIA_RULES["sticker"].max_bytes if shape.is_animated else _MAX_STILL_STICKER_BYTES)


def _explain_unsendable(mime_type: str, name: str) -> str:
    _, _, codecs = mime_type.partition("; codecs=")
    if name == OGG:
        found = f"is {codecs.replace(',', ' and ')}" if codecs else "is not"
        return f"WhatsApp takes OGG with Opus inside and no other, and this one {found}. {_HINTS['audio']}"
    hint = _HINTS.get(name.partition("/")[0], _DOCUMENT_HINT)
    return f"WhatsApp takes no files of the type {name[:60]}. {hint}"
