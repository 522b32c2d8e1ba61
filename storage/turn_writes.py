"""Writes in bulk what turns cause on tickets, and reads what turns may know of them.

Written are new tickets, what customers add to them, and notes of what happened.

Invariants
- These rows go in behind the fence of their customer, in the transaction that closes the items that caused them, so one
  message has its effect once.
- A text is cut to its column. What would mean something else when cut (a phone, a message's id) is left out instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from storage import tickets as ticket_table
from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import ReplyAuthor, ReplyKind, TicketStatus
from storage.tickets import StoredTicket

REPLY_COLUMNS = (
    "id", "ticket_id", "author", "author_name", "message", "whatsapp_message_id", "item_id", "outbox_id", "late",
    "written_at", "created_at", "kind",
)  # fmt: skip
MAX_WAMID_LENGTH = 200  # characters
MAX_MOBILE_LENGTH = 20  # characters
MAX_TICKETS_FOR_NOTE = 20  # nobody has more open


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket as a turn opens it. `mobile` with `+`, or "" when the customer's number is not known."""

    ticket_id: int
    customer_id: int
    name: str
    mobile: str
    issue_type: str
    issue_type_other: str
    title: str
    description: str
    attachment_name: str
    attachment_type: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewReply:
    """What a customer added to a ticket, or a note of what happened to it. `written_at`: by Meta's clock."""

    reply_id: int
    ticket_id: int
    message: str
    wamid: str
    item_id: int
    late: bool
    written_at: datetime
    created_at: datetime
    author: ReplyAuthor = ReplyAuthor.CUSTOMER
    kind: ReplyKind = ReplyKind.MESSAGE


class OpenTicketRow(NamedTuple):
    """A ticket that is not closed, as a turn may know it."""

    ticket_id: int
    status: TicketStatus
    title: str


class TicketMessage(NamedTuple):
    """A message on WhatsApp that became part of a ticket's description."""

    wamid: str
    customer_id: int
    ticket_id: int


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """What a message on WhatsApp is here: a reply to a ticket, or (`reply_id` 0) a part of its description."""

    ticket_id: int
    reply_id: int
    text: str


async def insert_tickets(tx: Tx, tickets: Sequence[NewTicket]) -> None:
    """Inserts new tickets, status `new`. One that was opened without a name has the name that we know."""
    nameless = sorted({ticket.customer_id for ticket in tickets if not ticket.name})
    names = await load_names(tx, nameless)
    named = [replace(ticket, name=ticket.name or names.get(ticket.customer_id, "")) for ticket in tickets]
    await ticket_table.insert(tx, [_store_ticket(ticket) for ticket in named])


def _store_ticket(ticket: NewTicket) -> StoredTicket:
    return StoredTicket(
        ticket_id=ticket.ticket_id,
        customer_id=ticket.customer_id,
        name=ticket.name[: ticket_table.MAX_NAME_LENGTH],
        email=None,
        mobile=ticket.mobile if 0 < len(ticket.mobile) <= MAX_MOBILE_LENGTH else None,
        description=ticket.description,
        issue_type=ticket.issue_type[:50],
        issue_type_other=ticket.issue_type_other[:200] or None,
        issue_title=ticket.title[:200],
        attachment_name=ticket.attachment_name[:255] or None,
        attachment_type=ticket.attachment_type[:100] or None,
        status=TicketStatus.NEW,
        whatsapp_enabled=True,
        whatsapp_notifications=True,
        created_at=ticket.created_at,
        updated_at=ticket.created_at,
    )


async def insert_replies(tx: Tx, replies: Sequence[NewReply]) -> None:
    """Inserts customers' replies and notes, and notes on the tickets of the replies that they were touched.

    Who writes on WhatsApp can be answered there, whatever the original system had noted.
    """
    if not replies:
        return
    rows = []
    for reply in replies:
        wamid = reply.wamid if _is_stored_wamid(reply.wamid) else None
        written, created = to_millis(reply.written_at), to_millis(reply.created_at)
        rows.append((reply.reply_id, reply.ticket_id, reply.author, "", reply.message, wamid, reply.item_id,
                     None, reply.late, written, created, reply.kind))  # fmt: skip
    await tx.insert("reply", REPLY_COLUMNS, rows)
    if not (ticket_ids := sorted({reply.ticket_id for reply in replies if reply.kind is ReplyKind.MESSAGE})):
        return
    await tx.execute(
        f"UPDATE ticket SET updated_at = ?, whatsapp_enabled = ? WHERE id IN ({placeholders(len(ticket_ids))})",
        [to_millis(replies[-1].created_at), True, *ticket_ids],
    )


async def mark_changed(tx: Tx, changes: Mapping[int, str]) -> None:
    """Marks replies that their customer has since edited or deleted; what they said stays."""
    for reply_id, change in sorted(changes.items()):
        await tx.execute("UPDATE reply SET changed = ? WHERE id = ?", [change, reply_id])


async def insert_messages(tx: Tx, messages: Sequence[TicketMessage]) -> None:
    """Notes which messages became part of a description. A message that is replayed belongs to the newer ticket."""
    kept = {message.wamid: message for message in messages if _is_stored_wamid(message.wamid)}
    if kept:
        await tx.execute(f"DELETE FROM ticket_message WHERE wamid IN ({placeholders(len(kept))})", list(kept))
        await tx.insert("ticket_message", TicketMessage._fields, list(kept.values()))


def _is_stored_wamid(wamid: str) -> bool:
    return wamid.isascii() and 0 < len(wamid) <= MAX_WAMID_LENGTH


async def find_known_messages(
    tx: Tx, customer_ids: Sequence[int], wamids: Sequence[str]
) -> Mapping[int, Mapping[str, KnownMessage]]:
    """Finds what these messages are here, by customer and wamid: only what is on a ticket of the customer's own."""
    if not wamids:
        return {}
    whose, which = placeholders(len(customer_ids)), placeholders(len(wamids))
    values = [*wamids, *customer_ids]
    described = await tx.fetch(
        "SELECT ticket.customer_id, ticket_message.wamid, ticket.id, 0, ticket.description FROM ticket_message "
        "JOIN ticket ON ticket.id = ticket_message.ticket_id "
        f"WHERE ticket_message.wamid IN ({which}) AND ticket_message.customer_id IN ({whose})",
        values,
    )
    replied = await tx.fetch(
        "SELECT ticket.customer_id, reply.whatsapp_message_id, ticket.id, reply.id, reply.message FROM reply "
        "JOIN ticket ON ticket.id = reply.ticket_id "
        f"WHERE reply.whatsapp_message_id IN ({which}) AND ticket.customer_id IN ({whose})",
        values,
    )
    sent = await tx.fetch(
        "SELECT outbox.customer_id, outbox.wamid, outbox.ticket_id, reply.id, reply.message FROM outbox "
        "LEFT JOIN reply ON reply.outbox_id = outbox.id AND reply.ticket_id = outbox.ticket_id "
        f"WHERE outbox.wamid IN ({which}) AND outbox.customer_id IN ({whose}) AND outbox.ticket_id IS NOT NULL",
        values,
    )
    sent_before = await tx.fetch(
        "SELECT outbox.customer_id, outbox_wamid.wamid, outbox.ticket_id, reply.id, reply.message FROM outbox_wamid "
        "JOIN outbox ON outbox.id = outbox_wamid.outbox_id "
        "LEFT JOIN reply ON reply.outbox_id = outbox.id AND reply.ticket_id = outbox.ticket_id "
        f"WHERE outbox_wamid.wamid IN ({which}) AND outbox.customer_id IN ({whose}) AND outbox.ticket_id IS NOT NULL",
        values,
    )
    found: dict[int, dict[str, KnownMessage]] = {}
    for customer_id, wamid, ticket_id, reply_id, text in (*described, *replied, *sent, *sent_before):
        found.setdefault(customer_id, {})[wamid] = KnownMessage(ticket_id, reply_id or 0, text or "")
    return found


async def load_names(tx: Tx, customer_ids: Sequence[int]) -> Mapping[int, str]:
    """Loads the names under which we know these customers: the one on their last ticket, else the one that they gave
    themselves last."""
    if not customer_ids:
        return {}
    whose = f"({placeholders(len(customer_ids))})"
    first = await tx.fetch(f"SELECT id, name FROM customer WHERE id IN {whose}", customer_ids)
    last = await tx.fetch(
        f"SELECT customer_id, name FROM ticket WHERE customer_id IN {whose} AND name <> '' ORDER BY id", customer_ids
    )
    return dict((*first, *last))


async def list_tickets_for_note(tx: Tx, customer_id: int) -> list[int]:
    """Lists the tickets on which agents are to see what concerns this customer: the open ones, else the newest; []
    where there is none."""
    rows = await tx.fetch(
        "SELECT id, status FROM ticket WHERE customer_id = ? ORDER BY CASE status WHEN ? THEN 1 ELSE 0 END, id DESC "
        "LIMIT ?",
        [customer_id, TicketStatus.CLOSED, MAX_TICKETS_FOR_NOTE],
    )
    return [ticket_id for ticket_id, status in rows if status != TicketStatus.CLOSED] or [row[0] for row in rows[:1]]


async def list_open_tickets(tx: Tx, customer_ids: Sequence[int]) -> Mapping[int, list[OpenTicketRow]]:
    """Lists each customer's tickets that are not closed, the last touched first."""
    if not customer_ids:
        return {}
    found: dict[int, list[OpenTicketRow]] = {}
    rows = await tx.fetch(
        "SELECT customer_id, id, status, issue_title FROM ticket "
        f"WHERE customer_id IN ({placeholders(len(customer_ids))}) AND status <> ? ORDER BY updated_at DESC, id DESC",
        [*customer_ids, TicketStatus.CLOSED],
    )
    for customer_id, ticket_id, status, title in rows:
        found.setdefault(customer_id, []).append(OpenTicketRow(ticket_id, TicketStatus(status), title or ""))
    return found
