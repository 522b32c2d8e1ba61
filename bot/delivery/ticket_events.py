"""Decides which moves of a row of the outbox are events of the ticket that it is about. Pure.

An event is what somebody at the desk wants to know of: that a message waits, has come to an end, or waits for a person.
What lies between (on its way, tried again) is read from the row. A prompt of the flow is about no ticket, so the many
statuses of those cost nothing here.
"""

from datetime import datetime
from typing import Protocol

from storage.event_log import TicketEvent
from storage.statuses import NO_REASON, EventAuthor, OutboxReason, OutboxStatus, TicketEventKind, Why

TOLD = frozenset({OutboxStatus.HELD, OutboxStatus.DELIVERED, OutboxStatus.READ, OutboxStatus.FAILED})
FOR_A_PERSON = frozenset({OutboxReason.ASK_A_PERSON, OutboxReason.WENT_BACK})
REPORTED = frozenset({OutboxStatus.DELIVERED, OutboxStatus.READ})  # by Meta alone


class Row(Protocol):
    """What of a row an event names. `ticket_id`: None where it is about no ticket."""

    @property
    def outbox_id(self) -> int: ...
    @property
    def customer_id(self) -> int | None: ...
    @property
    def ticket_id(self) -> int | None: ...


def is_event(row: Row, became: OutboxStatus, why: Why = NO_REASON) -> bool:
    """Whether it is an event of the row's ticket that the row became this, for this reason."""
    return row.ticket_id is not None and (became in TOLD or why.reason in FOR_A_PERSON)


def make_delivery_event(
    event_id: int, row: Row, was: OutboxStatus | None, became: OutboxStatus, at: datetime, why: Why = NO_REASON
) -> TicketEvent:
    """Makes the event of a row that is about a ticket. `was`: None of a new row."""
    if row.ticket_id is None:
        raise ValueError("a row that is about no ticket makes no event")
    is_metas = became in REPORTED or why.reason is OutboxReason.REFUSED
    return TicketEvent(
        event_id=event_id,
        ticket_id=row.ticket_id,
        customer_id=row.customer_id,
        kind=TicketEventKind.DELIVERY,
        author=EventAuthor.META if is_metas else EventAuthor.BOT,
        at=at,
        was=was or "",
        became=became,
        outbox_id=row.outbox_id,
    )
