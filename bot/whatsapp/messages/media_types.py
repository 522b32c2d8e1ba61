"""Recognizes of which type a file is: by its first bytes where only those tell, else by what was claimed, or its name.

Invariants
- Opus in Ogg is voice under whatever type a browser gives it, and nothing is voice but by its bytes.
- A type that comes out is one of Meta's names, where Meta has one for it.

Sources: Meta, media (supported media types); RFC 3533 (Ogg), RFC 7845 (Opus in Ogg); Google, WebP container.
"""

import mimetypes
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final, NamedTuple

HEAD_BYTES: Final = 4096  # the pages in which an Ogg file names its streams, and more than any other format needs
ANY_TYPE: Final = "application/octet-stream"
OPUS: Final = "audio/ogg; codecs=opus"
OGG: Final = "audio/ogg"
OFFICE: Final = "application/vnd.openxmlformats-officedocument"
STICKER_PIXELS: Final = 512  # each way

_OTHER_NAMES: Final = MappingProxyType(
    {
        "image/jpg": "image/jpeg",
        "image/pjpeg": "image/jpeg",
        "image/x-png": "image/png",
        "audio/mp3": "audio/mpeg",
        "audio/mpeg3": "audio/mpeg",
        "audio/x-mp3": "audio/mpeg",
        "audio/x-mpeg": "audio/mpeg",
        "audio/aacp": "audio/aac",
        "audio/x-aac": "audio/aac",
        "audio/m4a": "audio/mp4",
        "audio/x-m4a": "audio/mp4",
        "audio/amr-nb": "audio/amr",
        "audio/x-amr": "audio/amr",
        "audio/opus": OPUS,  # Meta takes audio/opus and never delivers it
        "video/3gp": "video/3gpp",
        "video/x-m4v": "video/mp4",
        "application/x-pdf": "application/pdf",
    }
)
_OGG_NAMES: Final = frozenset(
    f"{family}/{prefix}{name}"
    for family in ("application", "audio", "video")
    for prefix in ("", "x-")
    for name in ("ogg", "oga", "opus", "opus+ogg", "vorbis", "vorbis+ogg")
)
_UNKNOWN_NAMES: Final = frozenset({"", ANY_TYPE, "binary/octet-stream", "application/x-unknown", "application/unknown"})
_OGG_CODECS: Final = MappingProxyType(
    {b"OpusHead": "opus", b"\x01vorbis": "vorbis", b"\x7fFLAC": "flac", b"Speex   ": "speex", b"\x80theora": "theora"}
)
_SKELETON: Final = b"fishead\0"  # a stream that only describes the others
# The endings under which a file without a name is given out, and by which one without a type is recognized.
ENDINGS: Final = MappingProxyType(
    {
        "image/jpeg": ".jpg",
        "image/png": ".png",
        "image/gif": ".gif",
        "image/webp": ".webp",
        "video/mp4": ".mp4",
        "video/3gpp": ".3gp",
        "audio/aac": ".aac",
        "audio/amr": ".amr",
        "audio/mpeg": ".mp3",
        "audio/mp4": ".m4a",
        OGG: ".ogg",
        "text/plain": ".txt",
        "text/csv": ".csv",
        "application/pdf": ".pdf",
        "application/msword": ".doc",
        "application/vnd.ms-excel": ".xls",
        "application/vnd.ms-powerpoint": ".ppt",
        f"{OFFICE}.wordprocessingml.document": ".docx",
        f"{OFFICE}.spreadsheetml.sheet": ".xlsx",
        f"{OFFICE}.presentationml.presentation": ".pptx",
    }
)
_TYPES_BY_ENDING: Final = MappingProxyType(
    {ending: mime_type for mime_type, ending in ENDINGS.items()}
    | {".jpeg": "image/jpeg", ".oga": OGG, ".opus": OGG, ".md": "text/plain", ".log": "text/plain"}
)
_STARTS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
    (b"#!AMR\n", "audio/amr"),
    (b"ID3", "audio/mpeg"),
)


def normalize_mime_type(mime_type: str) -> str:
    """Returns the name under which Meta takes a file of this type; itself where there is no other."""
    plain, _, parameters = mime_type.strip().lower().partition(";")
    plain = _OTHER_NAMES.get(plain.strip(), plain.strip())
    if plain == OGG and parameters.replace(" ", "").replace('"', "") == "codecs=opus":
        return OPUS
    return "text/plain" if plain.startswith("text/") else plain


def recognize_mime_type(claimed: str, filename: str, head: bytes) -> str:
    """Returns the type of a file that begins with `head`, which holds HEAD_BYTES or all of it. `claimed`: what its
    sender says. Of an Ogg file it names the codecs."""
    if codecs := _list_ogg_codecs(head):
        return f"{OGG}; codecs={','.join(codecs)}"
    name = normalize_mime_type(claimed)
    if name.partition(";")[0] in _UNKNOWN_NAMES:
        name = normalize_mime_type(_recognize_start(head) or _guess_by_ending(filename))
    return OGG if name.partition(";")[0] in _OGG_NAMES else name


def find_ending(mime_type: str) -> str:
    """Returns the ending of a file of this type, ".jpg"; "" where it is not one of those that are known."""
    plain = mime_type.partition(";")[0].strip().lower()
    return ENDINGS.get(plain) or ENDINGS.get(normalize_mime_type(plain).partition(";")[0], "")


def _recognize_start(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return {b"M4A ": "audio/mp4", b"3gp4": "video/3gpp", b"3gp5": "video/3gpp"}.get(head[8:12], "")
    return next((name for start, name in _STARTS if head.startswith(start)), "")


def _guess_by_ending(filename: str) -> str:
    ending = filename.rpartition(".")[2].lower()
    return _TYPES_BY_ENDING.get(f".{ending}") or mimetypes.guess_type(f"file.{ending}")[0] or ANY_TYPE


def _list_ogg_codecs(head: bytes) -> list[str]:
    """Lists the codecs of the streams in an Ogg file, as far as its first pages name them; [] when it is none."""
    codecs = set()
    for packet in _list_first_packets(head):
        codec = next((name for start, name in _OGG_CODECS.items() if packet.startswith(start)), "unknown")
        if not packet.startswith(_SKELETON):
            codecs.add(codec)
    return sorted(codecs)


def _list_first_packets(head: bytes) -> Iterator[bytes]:
    """Yields the beginning of each stream, from the pages with which an Ogg file begins."""
    at = 0
    while head[at : at + 5] == b"OggS\0" and head[at + 5 : at + 6] and head[at + 5] & 2:
        segments = head[at + 27 : at + 27 + head[at + 26]] if len(head) > at + 26 else b""
        begin = at + 27 + len(segments)
        yield head[begin : begin + sum(segments)]
        at = begin + sum(segments)


class StickerShape(NamedTuple):
    """What decides whether a WebP picture can be a sticker."""

    width: int
    height: int
    is_animated: bool


def read_webp_shape(head: bytes) -> StickerShape | None:
    """Reads how large a WebP picture is; None when `head` does not begin one."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        return StickerShape(width, height, bool(head[20] & 2))
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return StickerShape((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, is_animated=False)
    if head[12:16] == b"VP8 ":
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        return StickerShape(width, height, is_animated=False)
    return None
