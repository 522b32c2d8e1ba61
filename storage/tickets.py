"""Tickets and what is said on them, as agents see and change them (`filing.py` is the customers' side).

Invariants: STATUSES and MOVES are the one table of what a ticket may become; whoever changes a ticket of a customer
holds that customer's fence, and whoever changes one of nobody's holds its row (`hold`); a status is changed from the
value that was read behind it. Whose ticket it is never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.database import Row, Tx, marks
from storage.fields import from_millis, to_millis

STATUSES = ("new", "in_progress", "waiting", "resolved", "closed")
# From each status to where: an open ticket goes anywhere, a closed one only comes back as work.
MOVES: Mapping[str, frozenset[str]] = {
    **{status: frozenset(STATUSES) - {status} for status in STATUSES},
    "closed": frozenset({"in_progress"}),
}
# What is told of a message that went out in several rows: the first of these that one of them has.
PROGRESS = ("failed", "held", "unknown", "queued", "sending", "accepted", "sent", "delivered", "read")
TICKET_COLUMNS = (
    "id", "customer_id", "name", "email", "mobile", "description", "issue_type", "issue_type_other", "issue_title",
    "attachment_name", "attachment_type", "status", "whatsapp_enabled", "whatsapp_notifications",
    "created_at", "updated_at",
)  # fmt: skip
TICKET = ", ".join(TICKET_COLUMNS)
REPLY_COLUMNS = (
    "id", "ticket_id", "author", "author_name", "message", "outbox_id", "late", "written_at", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A ticket, whole."""

    ticket_id: int
    customer_id: int | None
    name: str
    email: str | None
    mobile: str | None
    description: str
    issue_type: str
    issue_type_other: str | None
    issue_title: str | None
    attachment_name: str | None
    attachment_type: str | None
    status: str
    whatsapp_enabled: bool
    whatsapp_notifications: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredReply:
    """Something said on a ticket. `outbox_id`: the first of the rows that carry it to the customer; `late`: a straggler
    that was put in its place."""

    reply_id: int
    ticket_id: int
    author: str
    message: str
    wamid: str | None
    outbox_id: int | None
    written_at: datetime
    author_name: str = ""
    late: bool = False


async def insert(tx: Tx, ticket: StoredTicket) -> None:
    """Writes a new ticket."""
    row = (
        ticket.ticket_id, ticket.customer_id, ticket.name, ticket.email, ticket.mobile, ticket.description,
        ticket.issue_type, ticket.issue_type_other, ticket.issue_title, ticket.attachment_name, ticket.attachment_type,
        ticket.status, ticket.whatsapp_enabled, ticket.whatsapp_notifications, to_millis(ticket.created_at),
        to_millis(ticket.updated_at),
    )  # fmt: skip
    await tx.insert("ticket", TICKET_COLUMNS, [row])


async def insert_reply(tx: Tx, reply: StoredReply, author_name: str) -> None:
    """Writes an agent's reply, and notes on its ticket that it was touched."""
    at = to_millis(reply.written_at)
    row = (reply.reply_id, reply.ticket_id, reply.author, author_name, reply.message, reply.outbox_id, False, at, at)
    await tx.insert("reply", REPLY_COLUMNS, [row])
    await tx.execute("UPDATE ticket SET updated_at = ? WHERE id = ?", [at, reply.ticket_id])


async def hold(tx: Tx, ticket_id: int) -> None:
    """Locks a ticket that is nobody's, and so has no fence, until the end of the transaction."""
    await tx.execute("UPDATE ticket SET status = status WHERE id = ?", [ticket_id])


async def set_status(tx: Tx, ticket_id: int, status: str, at: datetime) -> None:
    """Changes the status; the caller looked at MOVES behind the fence."""
    await tx.execute("UPDATE ticket SET status = ?, updated_at = ? WHERE id = ?", [status, to_millis(at), ticket_id])


async def find(tx: Tx, ticket_id: int) -> StoredTicket | None:
    """The ticket with this number."""
    rows = await tx.fetch(f"SELECT {TICKET} FROM ticket WHERE id = ?", [ticket_id])
    return _ticket(rows[0]) if rows else None


async def page(
    tx: Tx, *, status: str, mobiles: Sequence[str], offset: int, limit: int
) -> tuple[Sequence[StoredTicket], int]:
    """One page of tickets, the newest first, and how many there are in all. "" and none mean any."""
    conditions = ["status = ?"] * bool(status) + [f"mobile IN ({marks(len(mobiles))})"] * bool(mobiles)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    values = [*([status] if status else []), *mobiles]
    total = int((await tx.fetch(f"SELECT COUNT(*) FROM ticket {where}", values))[0][0])
    if offset >= total:
        return [], total
    # numbers come in blocks, one a process, so a higher number is not always the newer ticket
    rows = await tx.fetch(
        f"SELECT {TICKET} FROM ticket {where} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    return [_ticket(row) for row in rows], total


async def replies(tx: Tx, ticket_id: int) -> Sequence[StoredReply]:
    """Everything said on a ticket, in the order in which it was written; within a second, which is as fine as Meta's
    clock, in the order in which it came."""
    rows = await tx.fetch(
        "SELECT id, ticket_id, author, message, whatsapp_message_id, outbox_id, written_at, author_name, late "
        "FROM reply WHERE ticket_id = ?",
        [ticket_id],
    )
    in_order = sorted(rows, key=lambda row: (row[6] // 1000, row[0]))
    return [_reply(row) for row in in_order]


async def carriers(tx: Tx, customer_id: int, ticket_id: int) -> Mapping[int, tuple[str, str | None]]:
    """How far the messages about a ticket have come, by the first row of each: the least advanced of its rows, and the
    first one's wamid. The rows of one message are those that one transaction wrote."""
    found: dict[int, tuple[str, str | None]] = {}
    first: dict[int, int] = {}
    rows = await tx.fetch(
        "SELECT id, version, status, wamid FROM outbox WHERE customer_id = ? AND ticket_id = ? ORDER BY version, id",
        [customer_id, ticket_id],
    )
    for outbox_id, version, status, wamid in rows:
        head = first.setdefault(version, outbox_id)
        known, first_wamid = found.get(head, (status, wamid))
        found[head] = (min(known, status, key=PROGRESS.index), first_wamid)
    return found


def _ticket(row: Sequence[object]) -> StoredTicket:
    return StoredTicket(*row[:12], *map(bool, row[12:14]), *map(from_millis, row[14:]))  # type: ignore[arg-type]


def _reply(row: Row) -> StoredReply:
    *same, written_at, author_name, late = row
    return StoredReply(*(*same, from_millis(written_at), author_name, bool(late)))
