"""Defines where a customer is in a flow, and the JSON in which that is stored between two turns.

Invariants
- The JSON leaves out what is empty.
- Reading never fails. What can't be read becomes a conversation that starts again, with as much of the draft as is
  still readable. What earlier versions stored is read as well.
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
MAX_STORED_NUMBER = (1 << 63) - 1  # ids are of 63 bits


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a customer stands, and what they have written so far."""

    flow: str
    state: str = FIRST_STATE
    draft: Draft = NO_DRAFT
    ticket_id: int = 0  # the ticket that what they write now belongs to
    apology_for: str = ""  # the loss (`Event.lost`) that they were last told of (see scripts/unsupported.py)
    apology_epoch: int = 0  # and when, in Unix seconds by Meta's clock; 0: something else was said since

    @classmethod
    def new(cls, flow: str = FIRST_FLOW) -> Conversation:
        """Returns the conversation of a customer who has not written before."""
        return cls(flow)

    def to_json(self) -> str:
        """Returns what is stored."""
        draft = self.draft
        stored: dict[str, Any] = {"flow": self.flow, "state": self.state}
        if self.ticket_id:
            stored["ticket_id"] = self.ticket_id
        if self.apology_epoch:
            stored["sorry"] = [self.apology_for, self.apology_epoch]
        if draft.number:
            stored["draft"] = draft.number
        if draft.issue_type:
            stored["issue_type"] = draft.issue_type
        if draft.pieces:
            stored["pieces"] = [_piece_to_row(piece) for piece in draft.pieces]
        if draft.page:
            stored["page"] = draft.page
        return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Conversation:
        """Returns the conversation that was stored as `text`, whatever that is."""
        try:
            stored = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            return cls.new()
        if not isinstance(stored, dict):
            return cls.new()
        draft = Draft(
            number=_read_number(stored, "draft"),
            issue_type=_read_text(stored, "issue_type"),
            pieces=_read_pieces(stored),
            page=_read_number(stored, "page"),
        )
        apology_for, apology_epoch = _read_apology(stored)
        return cls(
            flow=_read_text(stored, "flow") or FIRST_FLOW,
            state=_read_text(stored, "state") or FIRST_STATE,
            draft=draft,
            ticket_id=_read_number(stored, "ticket_id"),
            apology_for=apology_for,
            apology_epoch=apology_epoch,
        )


def _read_text(stored: dict[str, Any], name: str) -> str:
    value = stored.get(name)
    return value if isinstance(value, str) else ""


def _read_number(stored: dict[str, Any], name: str) -> int:
    value = stored.get(name)
    return value if type(value) is int and 0 < value <= MAX_STORED_NUMBER else 0


def _read_apology(stored: dict[str, Any]) -> tuple[str, int]:
    match stored.get("sorry"):
        case [str(lost), int(epoch)] if 0 < epoch <= MAX_STORED_NUMBER:
            return lost, epoch
    return "", 0


def _piece_to_row(piece: Piece) -> list[object]:
    media = piece.media
    file = [media.media_id, media.mime_type, media.filename, media.kind, media.sha256] if media else None
    return [piece.text, file, piece.wamid, piece.shown]


def _read_pieces(stored: dict[str, Any]) -> tuple[Piece, ...]:
    """Earlier versions stored one text, and the files beside it."""
    description = _read_text(stored, "description")
    pieces = [Piece(description)] if description else []
    pieces += [Piece(media=media) for media in map(_read_media, _read_rows(stored, "attachments")) if media]
    for row in _read_rows(stored, "pieces"):
        if isinstance(row, list) and len(row) == 4:
            text, media, wamid, shown = row[0], _read_media(row[1]), row[2], row[3]
            if isinstance(text, str) and isinstance(wamid, str) and isinstance(shown, str):
                pieces.append(Piece(text, media, wamid, shown))
    return tuple(pieces)


def _read_rows(stored: dict[str, Any], name: str) -> list[object]:
    value = stored.get(name)
    return value if isinstance(value, list) else []


def _read_media(row: object) -> Media | None:
    """Earlier versions stored no hash."""
    if not isinstance(row, list) or len(row) not in (4, 5) or not all(isinstance(field, str) for field in row):
        return None
    return Media(*row) if row[3] in MEDIA_KINDS else None
