"""What turns write about tickets, in bulk: new tickets, and what customers add to them.

Invariant: these rows go in behind the fence of their customer, in the transaction that closes the items that caused
them, so one message files one thing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.database import Tx, marks
from storage.fields import to_millis

TICKET_COLUMNS = (
    "id", "customer_id", "name", "mobile", "description", "issue_type", "issue_type_other", "issue_title",
    "attachment_name", "attachment_type", "status", "whatsapp_enabled", "whatsapp_notifications", "created_at",
    "updated_at",
)  # fmt: skip
REPLY_COLUMNS = (
    "id", "ticket_id", "author", "author_name", "message", "whatsapp_message_id", "item_id", "outbox_id", "late",
    "written_at", "created_at",
)  # fmt: skip
WAMID_CAP = 200


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
    """What a customer added to a ticket. `written_at`: by Meta's clock."""

    reply_id: int
    ticket_id: int
    message: str
    wamid: str
    item_id: int
    late: bool
    written_at: datetime
    created_at: datetime


async def insert_tickets(tx: Tx, tickets: Sequence[NewTicket]) -> None:
    """Writes new tickets, status `new`."""
    rows = []
    for ticket in tickets:
        at = to_millis(ticket.created_at)
        rows.append((ticket.ticket_id, ticket.customer_id, ticket.name[:200], ticket.mobile or None, ticket.description,
                     ticket.issue_type[:50], ticket.issue_type_other[:200] or None, ticket.title[:200],
                     ticket.attachment_name[:255] or None, ticket.attachment_type[:100] or None,
                     "new", True, True, at, at))  # fmt: skip
    if rows:
        await tx.insert("ticket", TICKET_COLUMNS, rows)


async def insert_replies(tx: Tx, replies: Sequence[NewReply]) -> None:
    """Writes customers' replies, and notes on their tickets that they were touched."""
    if not replies:
        return
    rows = []
    for reply in replies:
        wamid = reply.wamid if reply.wamid.isascii() and len(reply.wamid) <= WAMID_CAP else ""
        rows.append((reply.reply_id, reply.ticket_id, "customer", "", reply.message, wamid or None, reply.item_id, None,
                     reply.late, to_millis(reply.written_at), to_millis(reply.created_at)))  # fmt: skip
    await tx.insert("reply", REPLY_COLUMNS, rows)
    ticket_ids = sorted({reply.ticket_id for reply in replies})
    await tx.execute(
        f"UPDATE ticket SET updated_at = ? WHERE id IN ({marks(len(ticket_ids))})",
        [to_millis(replies[-1].created_at), *ticket_ids],
    )


async def open_tickets(tx: Tx, customer_ids: Sequence[int]) -> Mapping[int, list[tuple[int, str, str]]]:
    """(number, status, title) of each customer's tickets that are not closed, the last touched first."""
    if not customer_ids:
        return {}
    found: dict[int, list[tuple[int, str, str]]] = {}
    rows = await tx.fetch(
        "SELECT customer_id, id, status, issue_title FROM ticket "
        f"WHERE customer_id IN ({marks(len(customer_ids))}) AND status <> 'closed' ORDER BY updated_at DESC, id DESC",
        customer_ids,
    )
    for customer_id, ticket_id, status, title in rows:
        found.setdefault(customer_id, []).append((ticket_id, status, title or ""))
    return found
