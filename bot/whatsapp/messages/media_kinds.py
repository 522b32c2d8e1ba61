"""Decides as which kind of media a file is sent, by Meta's table of types and sizes.

Invariants
- A file that Meta's upload would refuse is refused here, with a sentence that says what to do instead.

Source: Meta, media (supported media types).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bot.whatsapp.messages.limits import TooLong, Unsendable

_MB: Final = 1024 * 1024
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
OPUS: Final = "audio/ogg; codecs=opus"


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
        # Never chosen for a file: a webp picture of somebody's holiday is no sticker.
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
                    f"{_OFFICE}.wordprocessingml.document",
                    f"{_OFFICE}.spreadsheetml.sheet",
                    f"{_OFFICE}.presentationml.presentation",
                }
            ),
            shows_filename=True,
        ),
    }
)
_CHOSEN_KINDS: Final = ("image", "video", "audio", "document")
_OTHER_NAMES: Final = MappingProxyType(
    {
        "image/jpg": "image/jpeg",
        "audio/mp3": "audio/mpeg",
        "audio/m4a": "audio/mp4",
        "audio/x-m4a": "audio/mp4",
        "audio/opus": OPUS,  # Meta takes audio/opus and never delivers it
        "video/3gp": "video/3gpp",
    }
)


def normalize_mime_type(mime_type: str) -> str:
    """Returns the name under which Meta takes a file of this type; itself where there is no other."""
    plain, _, parameters = mime_type.strip().lower().partition(";")
    plain = _OTHER_NAMES.get(plain.strip(), plain.strip())
    if plain == "audio/ogg" and parameters.replace(" ", "").replace('"', "") == "codecs=opus":
        return OPUS
    return "text/plain" if plain.startswith("text/") else plain


def choose_media_kind(mime_type: str, size: int) -> str:
    """Returns the kind of media to send a file of `size` bytes as. Raises Unsendable, or TooLong for one too large."""
    name = normalize_mime_type(mime_type)
    if size < 1:
        raise Unsendable("The file is empty.")
    kind = next((kind for kind in _CHOSEN_KINDS if name in MEDIA_RULES[kind].mime_types), None)
    if kind is None:
        raise Unsendable(f"WhatsApp takes no files of the type {name[:60]}. Send it as a PDF or, a picture, as JPEG.")
    max_bytes = MEDIA_RULES[kind].max_bytes
    if size > max_bytes:
        raise TooLong(f"The {kind} has {size / _MB:.1f} MB, and WhatsApp takes at most {max_bytes // _MB} MB of one.")
    return kind
