"""The 24-hour customer service window: the one place that knows the rule.

Invariant: it counts from Meta's timestamp of the customer's last message; our own messages don't prolong it. At exactly
24 hours it is closed, and who never wrote has none.
"""

from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)


def window_open(last_inbound_at: datetime | None, now: datetime) -> bool:
    """Whether a message that is no template may go out to this customer now."""
    return last_inbound_at is not None and now - last_inbound_at < WINDOW
