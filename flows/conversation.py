"""A customer's place in a flow, and how it is kept between two turns.

It is kept as JSON that leaves out what is empty. Reading never fails: what can't be read is a conversation that starts
again, with as much of the draft as is still readable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from flows.model import Media, MediaKind
from flows.words import is_blank

FIRST_FLOW = "open_ticket"
FIRST_STATE = "new_issue"
MEDIA_KINDS = frozenset(get_args(MediaKind))


@dataclass(frozen=True, slots=True)
class Draft:
    """What will become the ticket. Its number is the id of the item that began it, so no two drafts share one."""

    number: int = 0
    issue_type: str = ""
    description: str = ""
    attachments: tuple[Media, ...] = ()
    page: int = 0  # of the list of topics

    @property
    def has_content(self) -> bool:
        return bool(self.attachments) or not is_blank(self.description)


NO_DRAFT = Draft()


@dataclass(frozen=True, slots=True)
class Conversation:
    flow: str
    state: str = FIRST_STATE
    draft: Draft = NO_DRAFT
    ticket_id: int = 0  # the ticket that what they write now belongs to

    @classmethod
    def new(cls, flow: str = FIRST_FLOW) -> Conversation:
        return cls(flow)

    def to_json(self) -> str:
        draft = self.draft
        kept: dict[str, Any] = {"flow": self.flow, "state": self.state}
        if self.ticket_id:
            kept["ticket_id"] = self.ticket_id
        if draft.number:
            kept["draft"] = draft.number
        if draft.issue_type:
            kept["issue_type"] = draft.issue_type
        if draft.description:
            kept["description"] = draft.description
        if draft.attachments:
            kept["attachments"] = [[m.media_id, m.mime_type, m.filename, m.kind] for m in draft.attachments]
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
            number=_number(kept.get("draft")),
            issue_type=_text(kept.get("issue_type")),
            description=_text(kept.get("description")),
            attachments=_attachments(kept.get("attachments")),
            page=_number(kept.get("page")),
        )
        flow, state = _text(kept.get("flow")) or FIRST_FLOW, _text(kept.get("state")) or FIRST_STATE
        return cls(flow, state, draft, _number(kept.get("ticket_id")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if type(value) is int and 0 < value < 1 << 63 else 0


def _attachments(value: object) -> tuple[Media, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(
        Media(*row)
        for row in rows
        if isinstance(row, list)
        and len(row) == 4
        and all(isinstance(field, str) for field in row)
        and row[3] in MEDIA_KINDS
    )
