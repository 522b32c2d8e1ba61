"""What turns write about tickets, in bulk: new tickets, what customers add to them, and notes of what happened to it.

Invariant: these rows go in behind the fence of their customer, in the transaction that closes the items that caused
them, so one message files one thing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx, marks
from storage.statuses import TicketStatus

TICKET_COLUMNS = (
    "id", "customer_id", "name", "mobile", "description", "issue_type", "issue_type_other", "issue_title",
    "attachment_name", "attachment_type", "status", "whatsapp_enabled", "whatsapp_notifications", "created_at",
    "updated_at",
)  # fmt: skip
REPLY_COLUMNS = (
    "id", "ticket_id", "author", "author_name", "message", "whatsapp_message_id", "item_id", "outbox_id", "late",
    "written_at", "created_at", "kind",
)  # fmt: skip
WAMID_CAP = 200
MOBILE_CAP = 20


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket that a customer opened. `mobile` with `+`, or "" when their number is not known."""

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
    author: str = "customer"
    kind: str = "message"


@dataclass(frozen=True, slots=True)
class Known:
    """What a message on WhatsApp is here: a reply to a ticket, or (`reply_id` 0) a part of its description."""

    ticket_id: int
    reply_id: int
    text: str


async def insert_tickets(tx: Tx, tickets: Sequence[NewTicket]) -> None:
    """Writes new tickets, status `new`."""
    rows = []
    for ticket in tickets:
        at = to_millis(ticket.created_at)
        mobile = ticket.mobile if len(ticket.mobile) <= MOBILE_CAP else ""  # a part of it would be somebody else's
        rows.append((ticket.ticket_id, ticket.customer_id, ticket.name[:200], mobile or None, ticket.description,
                     ticket.issue_type[:50], ticket.issue_type_other[:200] or None, ticket.title[:200],
                     ticket.attachment_name[:255] or None, ticket.attachment_type[:100] or None,
                     TicketStatus.NEW, True, True, at, at))  # fmt: skip
    if rows:
        await tx.insert("ticket", TICKET_COLUMNS, rows)


async def insert_replies(tx: Tx, replies: Sequence[NewReply]) -> None:
    """Writes customers' replies, and notes on their tickets that they were touched."""
    if not replies:
        return
    rows = []
    for reply in replies:
        wamid = reply.wamid if reply.wamid.isascii() and len(reply.wamid) <= WAMID_CAP else ""
        written, created = to_millis(reply.written_at), to_millis(reply.created_at)
        rows.append((reply.reply_id, reply.ticket_id, reply.author, "", reply.message, wamid or None, reply.item_id,
                     None, reply.late, written, created, reply.kind))  # fmt: skip
    await tx.insert("reply", REPLY_COLUMNS, rows)
    if not (ticket_ids := sorted({reply.ticket_id for reply in replies if reply.kind == "message"})):
        return
    await tx.execute(
        f"UPDATE ticket SET updated_at = ? WHERE id IN ({marks(len(ticket_ids))})",
        [to_millis(replies[-1].created_at), *ticket_ids],
    )


async def mark_changed(tx: Tx, changes: Mapping[int, str]) -> None:
    """Replies that their customer has since edited or deleted; what they said stays."""
    for reply_id, change in sorted(changes.items()):
        await tx.execute("UPDATE reply SET changed = ? WHERE id = ?", [change, reply_id])


async def insert_messages(tx: Tx, messages: Sequence[tuple[str, int, int]]) -> None:
    """(wamid, customer, ticket) of messages that became descriptions."""
    kept = {row[0]: row for row in messages if row[0].isascii() and 0 < len(row[0]) <= WAMID_CAP}
    if kept:  # a message that is replayed is the new ticket's
        await tx.execute(f"DELETE FROM ticket_message WHERE wamid IN ({marks(len(kept))})", list(kept))
        await tx.insert("ticket_message", ("wamid", "customer_id", "ticket_id"), list(kept.values()))


async def known_messages(
    tx: Tx, customer_ids: Sequence[int], wamids: Sequence[str]
) -> Mapping[int, Mapping[str, Known]]:
    """What these messages are, for each of these customers: only what is on a ticket of their own."""
    if not wamids:
        return {}
    whose, which = marks(len(customer_ids)), marks(len(wamids))
    found: dict[int, dict[str, Known]] = {}
    parts = await tx.fetch(
        "SELECT ticket.customer_id, ticket_message.wamid, ticket.id, 0, ticket.description FROM ticket_message "
        "JOIN ticket ON ticket.id = ticket_message.ticket_id "
        f"WHERE ticket_message.wamid IN ({which}) AND ticket_message.customer_id IN ({whose})",
        [*wamids, *customer_ids],
    )
    theirs = await tx.fetch(
        "SELECT ticket.customer_id, reply.whatsapp_message_id, ticket.id, reply.id, reply.message FROM reply "
        "JOIN ticket ON ticket.id = reply.ticket_id "
        f"WHERE reply.whatsapp_message_id IN ({which}) AND ticket.customer_id IN ({whose})",
        [*wamids, *customer_ids],
    )
    ours = await tx.fetch(
        "SELECT outbox.customer_id, outbox.wamid, outbox.ticket_id, reply.id, reply.message FROM outbox "
        "LEFT JOIN reply ON reply.outbox_id = outbox.id AND reply.ticket_id = outbox.ticket_id "
        f"WHERE outbox.wamid IN ({which}) AND outbox.customer_id IN ({whose}) AND outbox.ticket_id IS NOT NULL",
        [*wamids, *customer_ids],
    )
    for customer_id, wamid, ticket_id, reply_id, text in (*parts, *theirs, *ours):
        found.setdefault(customer_id, {})[wamid] = Known(ticket_id, reply_id or 0, text or "")
    return found


async def names(tx: Tx, customer_ids: Sequence[int]) -> Mapping[int, str]:
    """The names under which we know these customers: the one on their last ticket, else the first they wrote under."""
    if not customer_ids:
        return {}
    whose = f"({marks(len(customer_ids))})"
    first = await tx.fetch(f"SELECT id, name FROM customer WHERE id IN {whose}", customer_ids)
    last = await tx.fetch(
        f"SELECT customer_id, name FROM ticket WHERE customer_id IN {whose} AND name <> '' ORDER BY id", customer_ids
    )
    return dict((*first, *last))


async def open_tickets(tx: Tx, customer_ids: Sequence[int]) -> Mapping[int, list[tuple[int, str, str]]]:
    """(number, status, title) of each customer's tickets that are not closed, the last touched first."""
    if not customer_ids:
        return {}
    found: dict[int, list[tuple[int, str, str]]] = {}
    rows = await tx.fetch(
        "SELECT customer_id, id, status, issue_title FROM ticket "
        f"WHERE customer_id IN ({marks(len(customer_ids))}) AND status <> ? ORDER BY updated_at DESC, id DESC",
        [*customer_ids, TicketStatus.CLOSED],
    )
    for customer_id, ticket_id, status, title in rows:
        found.setdefault(customer_id, []).append((ticket_id, status, title or ""))
    return found
