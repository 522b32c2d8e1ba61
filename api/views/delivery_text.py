"""Says how far a message is on its way to the customer, and why, in words for agents. Pure.

Invariants
- Each status and each reason of the outbox has its words here, and nowhere else (`assert_never` holds us to it).
- A reason reads as whole sentences that say what happens next.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from bot.delivery import circuit_breaker
from storage.alerts import Alert
from storage.replies import Delivery
from storage.statuses import OutboxReason, OutboxStatus, Why

DELIVERY_LABELS: Mapping[OutboxStatus, str] = {
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
# Messages that have not gone out, counted by status, and what each count is called.
BACKLOG_LABELS: Mapping[OutboxStatus, str] = {
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


def find_stop_reason(alerts: Sequence[Alert]) -> str:
    """Finds why nothing goes out among the open alerts; "" while messages go out."""
    return next((alert.message for alert in alerts if alert.subject == circuit_breaker.SUBJECT), "")


def explain_delivery(delivery: Delivery, stop_reason: str) -> str:
    """Explains why a message is where it is, and what happens next; "" when it is on its way. `delivery`: how far it
    has come; `stop_reason`: why nothing goes out, "" while messages do."""
    if delivery.status in _ON_THE_WAY:
        return ""
    if delivery.status is OutboxStatus.QUEUED and stop_reason:
        return f"Waiting, because WhatsApp is stopped: {stop_reason}"
    if delivery.status is OutboxStatus.HELD and delivery.why.detail:
        return f"{delivery.why.detail.rstrip('.')}. It goes out when the customer writes again."
    return explain_reason(delivery.why)


def explain_reason(why: Why) -> str:
    """Explains a reason of the outbox in sentences; "" where there is none."""
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
            return "An earlier try may have got lost, so it is sent once more."
        case OutboxReason.SERVER_FAILED:
            return f"{why.detail} If WhatsApp does not have it after all, it is sent again by itself."
        case OutboxReason.NO_ADDRESS:
            return (
                "It was not sent. The number that this customer wrote from now belongs to somebody else, and we know "
                "no other way to reach them."
            )
        case OutboxReason.DOUBTED_AGAIN:
            return f"{_UNKNOWN} Ask them, or write it again."
        case OutboxReason.ASK_A_PERSON:
            return f"{_UNKNOWN} Ask them, or send it again."
        case OutboxReason.WENT_BACK:
            return f"Tick's database was taken back to an earlier state. {_UNKNOWN} Ask them, or send it again."
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
