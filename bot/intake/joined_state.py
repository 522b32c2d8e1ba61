"""Makes one lane state of the two of customers who are one person. Pure.

The conversation that went on last goes on, since its question is the one on the customer's screen and its buttons name
its draft. What the customer had told in the other one is put in front of it, so no word and no file is lost, and
nothing is sent for it. There are two exceptions. A conversation at rest has asked nothing: where the other one is in
the middle of a report, that one goes on. And what they had cancelled stays cancelled.
"""

from dataclasses import replace
from datetime import datetime

from bot.lane_state import LaneState
from flows import Conversation

CANCELLED = "cancelled"  # the state in which a draft is kept that nobody is to see


def join_states(one: LaneState, other: LaneState) -> LaneState:
    """Returns the state of the customer who has been known in these two."""
    later, earlier = sorted((one, other), key=_get_last_item_at, reverse=True)
    return LaneState(
        address=later.address or earlier.address,
        last_inbound_at=_find_latest(one.last_inbound_at, other.last_inbound_at),
        last_item_at=_find_latest(one.last_item_at, other.last_item_at),
        flow=_join_conversations(later.flow, earlier.flow),
        quiet_until=_find_latest(one.quiet_until, other.quiet_until),
        note="\n".join(filter(None, (earlier.note, later.note))),
    )


def _join_conversations(later_text: str, earlier_text: str) -> str:
    if not later_text or not earlier_text:
        return later_text or earlier_text
    later, earlier = Conversation.from_json(later_text), Conversation.from_json(earlier_text)
    if _is_reporting(later) and _is_reporting(earlier):
        issue_type = later.draft.issue_type or earlier.draft.issue_type
        pieces = (*earlier.draft.pieces, *later.draft.pieces)
        return replace(later, draft=replace(later.draft, issue_type=issue_type, pieces=pieces)).to_json()
    if _is_reporting(later) or (later.ticket_id and not _is_reporting(earlier)):
        return later_text
    return earlier_text


def _is_reporting(conversation: Conversation) -> bool:
    return conversation.draft.number > 0 and conversation.state != CANCELLED


def _get_last_item_at(state: LaneState) -> float:
    return state.last_item_at.timestamp() if state.last_item_at else 0.0


def _find_latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)
