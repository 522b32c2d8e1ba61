"""Reads a ticket's thread, all that was said on it with its files and deliveries, for REST and the desk alike.

Invariants
- All of it is of one moment: the caller reads it in one transaction.
- What the state of a delivery means is said by `delivery_text.py` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from api.views.delivery_text import explain_delivery, find_stop_reason
from bot.lane_state import LaneState
from bot.service_window import WINDOW, is_window_open
from storage import alerts, files, replies
from storage.files import FileRow
from storage.replies import Deliveries, Delivery, StoredReply
from storage.sql.database import Tx
from storage.statuses import OutboxStatus
from storage.tickets import StoredTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadEntry:
    """A reply or a note, with all that belongs to it.

    `delivery` and `reason`: how far it is on its way to the customer and why, None and "" when it does not go there.
    `form`: what it went out as (`text`, `media`, `location_request` ...), "" likewise. `quoted`: the customer's message
    that it answers. `reaction`: the agents' emoji on it, "" when there is none. `in_doubt`: nobody knows whether the
    customer has it, and a person may send it again.
    """

    reply: StoredReply
    wamid: str | None
    files: Sequence[FileRow]
    reaction: str
    delivery: OutboxStatus | None = None
    reason: str = ""
    form: str = ""
    quoted: StoredReply | None = None
    in_doubt: bool = False


class Thread(NamedTuple):
    """All that was said on a ticket, the oldest first, and the files of its description."""

    entries: Sequence[ThreadEntry]
    description_files: Sequence[FileRow]


@dataclass(frozen=True, slots=True)
class TicketCustomer:
    """The customer on WhatsApp whom a ticket is with. `window_until`: when the customer service window closes, None
    when it is closed."""

    name: str
    unreachable_at: datetime | None
    unreachable_reason: str
    window_until: datetime | None


async def read_thread(tx: Tx, ticket: StoredTicket) -> Thread:
    """Reads all that was said on a ticket."""
    stored = await replies.list_of_ticket(tx, ticket.ticket_id)
    rows = await files.list_of_ticket(tx, ticket.ticket_id)
    deliveries = Deliveries()
    if ticket.customer_id is not None:
        deliveries = await replies.load_deliveries(tx, ticket.customer_id, ticket.ticket_id)
    stop_reason = find_stop_reason(await alerts.list_open(tx))
    by_wamid = {reply.wamid: reply for reply in stored if reply.wamid}
    entries = [
        _make_entry(
            reply,
            delivery=deliveries.messages.get(reply.outbox_id or 0),
            files=[row for row in rows if row.reply_id == reply.reply_id],
            reaction=deliveries.reactions.get(reply.wamid or "", ""),
            by_wamid=by_wamid,
            stop_reason=stop_reason,
        )
        for reply in stored
    ]
    return Thread(entries, [row for row in rows if row.reply_id is None])


async def read_entry(tx: Tx, reply: StoredReply) -> ThreadEntry:
    """Reads what belongs to one reply of an agent. It takes its own rows alone, however long the ticket is."""
    rows = await files.list_of_reply(tx, reply.ticket_id, reply.reply_id)
    delivery = await replies.find_delivery(tx, reply.outbox_id) if reply.outbox_id else None
    wamid = delivery.quoted_wamid if delivery else ""
    quoted = await replies.find_quoted(tx, reply.ticket_id, wamid) if wamid else None
    return _make_entry(
        reply,
        delivery=delivery,
        files=rows,
        reaction="",
        by_wamid={wamid: quoted} if quoted else {},
        stop_reason=find_stop_reason(await alerts.list_open(tx)),
    )


async def read_ticket_customer(tx: Tx, ticket: StoredTicket, now: datetime) -> TicketCustomer | None:
    """Reads whom a ticket is with; None when it is nobody on WhatsApp."""
    found = None if ticket.customer_id is None else await replies.find_customer(tx, ticket.customer_id)
    if found is None:
        return None
    heard_at = LaneState.from_json(found.body).last_inbound_at
    window_until = heard_at + WINDOW if heard_at is not None and is_window_open(heard_at, now) else None
    return TicketCustomer(found.name, found.unreachable_at, found.unreachable_reason, window_until)


def _make_entry(
    reply: StoredReply,
    *,
    delivery: Delivery | None,
    files: Sequence[FileRow],
    reaction: str,
    by_wamid: Mapping[str, StoredReply],
    stop_reason: str,
) -> ThreadEntry:
    if delivery is None:
        return ThreadEntry(reply=reply, wamid=reply.wamid, files=files, reaction=reaction)
    return ThreadEntry(
        reply=reply,
        wamid=reply.wamid or delivery.wamid,
        files=files,
        reaction=reaction,
        delivery=delivery.status,
        reason=explain_delivery(delivery, stop_reason),
        form=delivery.form,
        quoted=by_wamid.get(delivery.quoted_wamid),
        in_doubt=delivery.in_doubt,
    )
