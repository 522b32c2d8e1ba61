"""A customer's place in a flow, and how it is kept between two turns.

It is kept as JSON that leaves out what is empty. Reading never fails: what can't be read is a conversation that starts
again, with as much of the draft as is still readable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flows.draft import NO_DRAFT, Draft
from flows.kept import number_in, pieces_in, row_of, sorry_in, text_in

FIRST_FLOW = "open_ticket"
FIRST_STATE = "new_issue"


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
            kept["pieces"] = [row_of(piece) for piece in draft.pieces]
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
            number=number_in(kept, "draft"),
            issue_type=text_in(kept, "issue_type"),
            pieces=pieces_in(kept),
            page=number_in(kept, "page"),
        )
        flow, state = text_in(kept, "flow") or FIRST_FLOW, text_in(kept, "state") or FIRST_STATE
        return cls(flow, state, draft, number_in(kept, "ticket_id"), *sorry_in(kept))
