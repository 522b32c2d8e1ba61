"""Says where a message stands, and why, in words for agents.

Invariants
- Each status and each reason of the outbox has its words here, and nowhere else (`assert_never` holds us to it).
- A reason reads as whole sentences that say what happens next.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from bot.delivery import circuit_breaker
from storage.alerts import Alert
from storage.replies import Carriers
from storage.statuses import OutboxReason, OutboxStatus, Why

DELIVERY: Mapping[OutboxStatus, str] = {
    OutboxStatus.FAILED: "Not delivered",
    OutboxStatus.HELD: "Held",
    OutboxStatus.UNKNOWN: "In doubt",
    OutboxStatus.QUEUED: "Queued",
    OutboxStatus.SENDING: "Sending",
    OutboxStatus.ACCEPTED: "On its way",
    OutboxStatus.SENT: "Sent",
    OutboxStatus.DELIVERED: "Delivered",
    OutboxStatus.READ: "Read",
}
# The heaps of messages that a page counts, and what they are called there.
COUNTED: Mapping[OutboxStatus, str] = {
    OutboxStatus.QUEUED: "Waiting to go out",
    OutboxStatus.SENDING: "On their way out",
    OutboxStatus.HELD: "Held until the customer writes",
    OutboxStatus.UNKNOWN: "In doubt",
    OutboxStatus.FAILED: "Not delivered",
}
_HELD = (
    "The customer has not written for 24 hours, so WhatsApp takes only a template, and none carries this. "
    "It goes out when one does, or when they write again."
)
_UNKNOWN = "It is not known whether the customer has it."
_ON_THE_WAY = frozenset({OutboxStatus.ACCEPTED, OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.READ})


def why_stopped(alerts: Sequence[Alert]) -> str:
    """Why nothing goes out, "" while it does."""
    return next((alert.message for alert in alerts if alert.subject == circuit_breaker.SUBJECT), "")


def explain_delivery(sent: Carriers, channel_stopped: str) -> str:
    """Why a message is where it is, and what happens next; "" when it is on its way."""
    if sent.status in _ON_THE_WAY:
        return ""
    if sent.status is OutboxStatus.QUEUED and channel_stopped:
        return f"Waiting, because WhatsApp is stopped: {channel_stopped}"
    if sent.status is OutboxStatus.HELD and sent.why.detail:
        return f"{sent.why.detail.rstrip('.')}. It goes out when the customer writes again."
    return explain_reason(sent.why)


def explain_reason(why: Why) -> str:
    """What a reason means, in sentences; "" when there is none."""
    match why.reason:
        case OutboxReason.NONE:
            return ""
        case OutboxReason.WINDOW_CLOSED | OutboxReason.NO_TEMPLATE:
            return _HELD
        case OutboxReason.SUPERSEDED:
            return "Something newer about the ticket took its place."
        case OutboxReason.RATE_LIMITED:
            return "WhatsApp takes only so many messages in a short time. It goes out by itself in a moment."
        case OutboxReason.SENDER_DIED:
            return "Tick stopped while it was being sent. A status from WhatsApp will tell within seconds."
        case OutboxReason.RESENT:
            return "The connection broke on the first try, so it is sent once more."
        case OutboxReason.DOUBTED_AGAIN:
            return f"{_UNKNOWN} Ask them, or write it again."
        case OutboxReason.ASK_A_PERSON:
            return f"{_UNKNOWN} Ask them, or send it again."
        case OutboxReason.MARKED_TOO_SLOWLY:
            return "The database was too slow to send it safely. It is tried again by itself."
        case (
            OutboxReason.ANSWER_LOST
            | OutboxReason.NOT_SENT
            | OutboxReason.NOT_UPLOADED
            | OutboxReason.TEMPLATE_UNFIT
            | OutboxReason.UNSENDABLE
            | OutboxReason.REFUSED
        ):
            return why.detail
        case _:
            assert_never(why.reason)
