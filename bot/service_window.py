"""Judges the 24-hour customer service window, outside of which Meta takes nothing but templates.

Invariants
- The window counts from Meta's timestamp of the customer's last message. Our own messages don't prolong it.
- At exactly 24 hours it is closed. A customer who never wrote has none.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.lane_state import LaneState

WINDOW = timedelta(hours=24)


def is_window_open(last_inbound_at: datetime | None, now: datetime) -> bool:
    """Whether a message that is no template may go out to this customer now."""
    return last_inbound_at is not None and now - last_inbound_at < WINDOW


def close_window(state: LaneState, sent_at: datetime) -> LaneState:
    """Returns the state with the window closed, unless the customer has written since `sent_at`: Meta refused what was
    sent then, so what we counted from was wrong."""
    if state.last_inbound_at is None or state.last_inbound_at > sent_at:
        return state
    return replace(state, last_inbound_at=None)
