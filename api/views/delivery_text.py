"""Where a message stands, in words for agents.

Invariant: whatever is stored as a status or a reason reads as a sentence here, with what happens next; what
has no words of ours is shown as it was stored, which is a sentence of ours as well.
"""

from collections.abc import Mapping, Sequence

from storage.alerts import Alert
from storage.replies import Carriers

CHANNEL = "channel"  # the subject of the alert that says why nothing goes out
DELIVERY = {
    "failed": "Not delivered",
    "held": "Held",
    "unknown": "In doubt",
    "queued": "Queued",
    "sending": "Sending",
    "accepted": "On its way",
    "sent": "Sent",
    "delivered": "Delivered",
    "read": "Read",
}
_HELD = (
    "The customer has not written for 24 hours, so WhatsApp takes only a template, and none carries this. "
    "It goes out when one does, or when they write again."
)
_UNKNOWN = "It is not known whether the customer has it."
_REASONS: Mapping[str, str] = {
    "window_closed": _HELD,
    "superseded": "Something newer about the ticket took its place.",
    "in doubt": "The connection broke on the first try, so it is sent once more.",
    "in doubt: send it again by hand": f"{_UNKNOWN} Ask them, or send it again.",
    "in doubt again after it was resent": f"{_UNKNOWN} Ask them, or write it again.",
    "the sender died": "Tick stopped while it was being sent. A status from WhatsApp will tell within seconds.",
}
_ON_THE_WAY = frozenset({"accepted", "sent", "delivered", "read"})


def stopped(alerts: Sequence[Alert]) -> str:
    """Why nothing goes out, "" while it does."""
    return next((alert.message for alert in alerts if alert.subject == CHANNEL), "")


def why(sent: Carriers, channel_stopped: str) -> str:
    """Why a message is where it is, and what happens next; "" when it is on its way."""
    if sent.status in _ON_THE_WAY:
        return ""
    if sent.status == "queued" and channel_stopped:
        return f"Waiting, because WhatsApp is stopped: {channel_stopped}"
    if sent.status == "held" and sent.reason not in _REASONS:
        return f"{sent.reason.rstrip('.')}. It goes out when the customer writes again."
    return _REASONS.get(sent.reason, sent.reason)
