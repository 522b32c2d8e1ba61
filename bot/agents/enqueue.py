"""Enqueues what an agent's change sends to its customer: one message, in as many outbox rows as its length needs.

Invariants
- The rows are written in the change's own transaction, in the order of their ids, which is the order of sending.
- With the window closed, what no template could carry is held.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bot.agents.errors import NotInDoubt
from bot.agents.transaction import LockedCustomer
from bot.delivery.ticket_events import is_event, make_delivery_event
from bot.templates.choice import convert_to_template
from bot.whatsapp.messages.build import fit_to_limits
from storage import audit, event_log, outbox, outbox_reads
from storage.audit import AuditLine
from storage.outbox import OutboxRow
from storage.replies import find_least_advanced
from storage.sql.database import Tx
from storage.statuses import NO_REASON, Origin, OutboxStatus, Why

Content = Mapping[str, object]  # a message as the outbox keeps it


class Part(NamedTuple):
    """One row to be: its id, content that is within WhatsApp's limits, and the id of the event, should it be held."""

    outbox_id: int
    content: Content
    event_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """A message to a customer, in parts that each become a row of the outbox. `ticket_id`: the ticket that it is about,
    if any."""

    origin: Origin
    parts: Sequence[Part]
    ticket_id: int | None

    @property
    def outbox_ids(self) -> list[int]:
        """The ids of the rows, in the order of sending."""
        return [part.outbox_id for part in self.parts]


def compose(
    origin: Origin, contents: Sequence[Content], *, ticket_id: int | None, make_id: Callable[[], int]
) -> OutboundMessage:
    """Makes a message of contents of any length, with its ids, before the transaction."""
    parts = [Part(make_id(), piece, make_id()) for content in contents for piece in fit_to_limits(content)]
    return OutboundMessage(origin=origin, parts=parts, ticket_id=ticket_id)


async def enqueue(
    tx: Tx, customer: LockedCustomer | None, message: OutboundMessage, now: datetime
) -> OutboxStatus | None:
    """Writes the rows of a message and returns the status of the least advanced; None when there is nobody to send to.

    What the window is by then, and what a template carries, is looked at again when they are sent.
    """
    if customer is None:
        return None
    rows = []
    events = []
    for outbox_id, content, event_id in message.parts:
        template = None if customer.window_open else await convert_to_template(tx, content)
        why_held = template if isinstance(template, Why) else None
        row = OutboxRow(
            outbox_id=outbox_id,
            customer_id=customer.customer_id,
            version=customer.version,
            origin=message.origin,
            payload=json.dumps(content, ensure_ascii=False, separators=(",", ":")),
            due_at=now,
            ticket_id=message.ticket_id,
            status=OutboxStatus.HELD if why_held else OutboxStatus.QUEUED,
            why=why_held or NO_REASON,
        )
        rows.append(row)
        if is_event(row, row.status):
            events.append(make_delivery_event(event_id, row, None, row.status, now))
    await outbox.insert(tx, rows)
    await event_log.write(tx, events)
    return find_least_advanced([row.status for row in rows])


async def find_delivery(tx: Tx, message: OutboundMessage) -> OutboxStatus | None:
    """Finds where a message stands that an earlier try of the same change has enqueued."""
    return find_least_advanced([row.status for row in await outbox_reads.find_sent(tx, message.outbox_ids)])


async def requeue(tx: Tx, outbox_id: int, line: AuditLine) -> bool:
    """Queues a message again, given by its first row, of which it is not known whether the customer has it; returns
    False when an earlier try of the same change has done it. Raises NotInDoubt."""
    if await audit.is_committed(tx, line.audit_id):
        return False
    if not await outbox.send_again(tx, outbox_id, line.at):
        raise NotInDoubt
    await audit.write(tx, line)
    return True
