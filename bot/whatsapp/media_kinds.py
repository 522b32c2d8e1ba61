"""What kinds of files WhatsApp takes from us: Meta's table of types and sizes, as data.

Invariant: a file that Meta's upload would refuse is refused here, with a sentence that says what to do instead.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bot.whatsapp.form_limits import TooLong, Unsendable

_MB: Final = 1024 * 1024
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
OPUS: Final = "audio/ogg; codecs=opus"
ANY_DOCUMENT: Final = "application/pdf"  # what a phone makes of it goes by the file's name


@dataclass(frozen=True, slots=True)
class MediaRule:
    """`most_bytes` and the types of one kind; whether it shows a caption, and a name."""

    most_bytes: int
    types: frozenset[str]
    caption: bool = True
    filename: bool = False


MEDIA_RULES: Final = MappingProxyType(
    {
        "image": MediaRule(5 * _MB, frozenset({"image/jpeg", "image/png"})),
        "video": MediaRule(16 * _MB, frozenset({"video/mp4", "video/3gpp"})),
        "audio": MediaRule(
            16 * _MB, frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", OPUS}), caption=False
        ),
        # Only those who make stickers know what is one: a webp of somebody's holiday isn't.
        "sticker": MediaRule(500 * 1024, frozenset({"image/webp"}), caption=False),
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
            filename=True,
        ),
    }
)
_CHOSEN: Final = ("image", "video", "audio")
# An ogg without a codec's name may hold anything, and arrives as a document.
_TAKEN: Final = frozenset({"audio/ogg"}).union(*(rule.types for rule in MEDIA_RULES.values()))
_ALSO_CALLED: Final = MappingProxyType(
    {
        "image/jpg": "image/jpeg",
        "audio/mp3": "audio/mpeg",
        "audio/m4a": "audio/mp4",
        "audio/x-m4a": "audio/mp4",
        "audio/opus": OPUS,  # as audio/opus it is taken and never arrives
        "video/3gp": "video/3gpp",
    }
)


def upload_type(mime_type: str) -> str:
    """The name under which Meta takes a file of this type; itself where it has no other."""
    plain, _, parameters = mime_type.strip().lower().partition(";")
    plain = _ALSO_CALLED.get(plain.strip(), plain.strip())
    if plain == "audio/ogg" and parameters.replace(" ", "").replace('"', "") == "codecs=opus":
        return OPUS
    return "text/plain" if plain.startswith("text/") else plain


def upload_types(mime_type: str, kind: str) -> tuple[str, ...]:
    """The names under which to offer a file to Meta, one after the other: it may keep a picture or a video to the size
    of its kind at the upload already, whatever that is then sent as, and takes any size under a document's name."""
    name = upload_type(mime_type)
    own = kind != "document" or name in MEDIA_RULES["document"].types
    return (name,) if own else (name, ANY_DOCUMENT)


def media_kind(mime_type: str, size: int) -> str:
    """What to send a file as: a document when it is too big, or of the wrong type, for the kind it is. Raises
    Unsendable."""
    name = upload_type(mime_type)
    limit = MEDIA_RULES["document"].most_bytes
    if size > limit:
        raise TooLong(f"The file has {size / _MB:.1f} MB, and WhatsApp takes at most {limit // _MB} MB.")
    if size < 1:
        raise Unsendable("The file is empty.")
    if name not in _TAKEN:
        raise Unsendable(f"WhatsApp takes no files of the type {name[:60]}. Send it as a PDF or, a picture, as JPEG.")
    kinds = (kind for kind in _CHOSEN if name in MEDIA_RULES[kind].types and size <= MEDIA_RULES[kind].most_bytes)
    return next(kinds, "document")
