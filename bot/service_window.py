"""The 24-hour customer service window: the one place that knows the rule.

Invariant: it counts from Meta's timestamp of the customer's last message; our own messages don't prolong it. At exactly
24 hours it is closed, and who never wrote has none.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.lane_state import LaneState

WINDOW = timedelta(hours=24)


def window_open(last_inbound_at: datetime | None, now: datetime) -> bool:
    """Whether a message that is no template may go out to this customer now."""
    return last_inbound_at is not None and now - last_inbound_at < WINDOW


def without_window(state: LaneState, sent_at: datetime) -> LaneState:
    """Meta refused what was sent at `sent_at` because the window was closed: what we counted from was wrong, unless the
    customer has written since."""
    if state.last_inbound_at is None or state.last_inbound_at > sent_at:
        return state
    return replace(state, last_inbound_at=None)
