"""A customer's place in a flow, and how it is kept between two turns.

It is kept as JSON that leaves out what is empty. Reading never fails: what can't be read is a conversation that starts
again, with as much of the draft as is still readable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from flows.draft import NO_DRAFT, Draft, Piece
from flows.events import Media, MediaKind

FIRST_FLOW = "open_ticket"
FIRST_STATE = "new_issue"
MEDIA_KINDS = frozenset(get_args(MediaKind))


@dataclass(frozen=True, slots=True)
class Conversation:
    flow: str
    state: str = FIRST_STATE
    draft: Draft = NO_DRAFT
    ticket_id: int = 0  # the ticket that what they write now belongs to
    sorry_for: str = ""  # what they were last told that could not be read (see scripts/unsupported.py)
    sorry_at: int = 0  # and when, in seconds of Meta's clock

    @classmethod
    def new(cls, flow: str = FIRST_FLOW) -> Conversation:
        return cls(flow)

    def to_json(self) -> str:
        draft = self.draft
        kept: dict[str, Any] = {"flow": self.flow, "state": self.state}
        if self.ticket_id:
            kept["ticket_id"] = self.ticket_id
        if self.sorry_at:
            kept["sorry"] = [self.sorry_for, self.sorry_at]
        if draft.number:
            kept["draft"] = draft.number
        if draft.issue_type:
            kept["issue_type"] = draft.issue_type
        if draft.pieces:
            kept["pieces"] = [_piece_to_row(piece) for piece in draft.pieces]
        if draft.page:
            kept["page"] = draft.page
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Conversation:
        try:
            kept = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            return cls.new()
        if not isinstance(kept, dict):
            return cls.new()
        draft = Draft(
            number=_read_number(kept, "draft"),
            issue_type=_read_text(kept, "issue_type"),
            pieces=_read_pieces(kept),
            page=_read_number(kept, "page"),
        )
        flow, state = _read_text(kept, "flow") or FIRST_FLOW, _read_text(kept, "state") or FIRST_STATE
        return cls(flow, state, draft, _read_number(kept, "ticket_id"), *_read_apology(kept))


def _read_text(kept: dict[str, Any], name: str) -> str:
    value = kept.get(name)
    return value if isinstance(value, str) else ""


def _read_number(kept: dict[str, Any], name: str) -> int:
    value = kept.get(name)
    return value if type(value) is int and 0 < value < 1 << 63 else 0


def _read_apology(kept: dict[str, Any]) -> tuple[str, int]:
    match kept.get("sorry"):
        case [str(what), int(at)] if 0 < at < 1 << 63:
            return what, at
    return "", 0


def _piece_to_row(piece: Piece) -> list[object]:
    media = piece.media
    file = [media.media_id, media.mime_type, media.filename, media.kind, media.sha256] if media else None
    return [piece.text, file, piece.wamid, piece.shown]


def _read_pieces(kept: dict[str, Any]) -> tuple[Piece, ...]:
    """Earlier versions kept one text and the files beside it."""
    pieces = [Piece(_read_text(kept, "description"))] if _read_text(kept, "description") else []
    pieces += [Piece(media=media) for media in map(_read_media, _read_rows(kept, "attachments")) if media]
    for row in _read_rows(kept, "pieces"):
        if isinstance(row, list) and len(row) == 4:
            text, media, wamid, shown = row[0], _read_media(row[1]), row[2], row[3]
            if isinstance(text, str) and isinstance(wamid, str) and isinstance(shown, str):
                pieces.append(Piece(text, media, wamid, shown))
    return tuple(pieces)


def _read_rows(kept: dict[str, Any], name: str) -> list[object]:
    value = kept.get(name)
    return value if isinstance(value, list) else []


def _read_media(row: object) -> Media | None:
    if not isinstance(row, list) or len(row) not in (4, 5) or not all(isinstance(field, str) for field in row):
        return None
    return Media(*row) if row[3] in MEDIA_KINDS else None
