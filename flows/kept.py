"""The parts of a stored conversation. Reading is total: what is not as it should be is left out."""

from __future__ import annotations

from typing import Any, get_args

from flows.draft import Piece
from flows.events import Media, MediaKind

MEDIA_KINDS = frozenset(get_args(MediaKind))


def text_in(kept: dict[str, Any], name: str) -> str:
    value = kept.get(name)
    return value if isinstance(value, str) else ""


def number_in(kept: dict[str, Any], name: str) -> int:
    value = kept.get(name)
    return value if type(value) is int and 0 < value < 1 << 63 else 0


def sorry_in(kept: dict[str, Any]) -> tuple[str, int]:
    match kept.get("sorry"):
        case [str(what), int(at)] if 0 < at < 1 << 63:
            return what, at
    return "", 0


def row_of(piece: Piece) -> list[object]:
    media = piece.media
    file = [media.media_id, media.mime_type, media.filename, media.kind, media.sha256] if media else None
    return [piece.text, file, piece.wamid, piece.shown]


def pieces_in(kept: dict[str, Any]) -> tuple[Piece, ...]:
    """Earlier versions kept one text and the files beside it."""
    pieces = [Piece(text_in(kept, "description"))] if text_in(kept, "description") else []
    pieces += [Piece(media=media) for media in map(_media, _rows(kept, "attachments")) if media]
    for row in _rows(kept, "pieces"):
        if isinstance(row, list) and len(row) == 4:
            text, media, wamid, shown = row[0], _media(row[1]), row[2], row[3]
            if isinstance(text, str) and isinstance(wamid, str) and isinstance(shown, str):
                pieces.append(Piece(text, media, wamid, shown))
    return tuple(pieces)


def _rows(kept: dict[str, Any], name: str) -> list[object]:
    value = kept.get(name)
    return value if isinstance(value, list) else []


def _media(row: object) -> Media | None:
    if not isinstance(row, list) or len(row) not in (4, 5) or not all(isinstance(field, str) for field in row):
        return None
    return Media(*row) if row[3] in MEDIA_KINDS else None
