"""Reads and writes tickets for agents (what customers cause is in `turn_writes.py`, what is said in `replies.py`).

Invariants
- MOVES is the one table of what a ticket may become.
- Whoever changes a ticket of a customer holds that customer's fence; whoever changes one that is nobody's holds its row
  (`hold`). A status is changed from the value that was read behind it.
- Whose ticket it is never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx, marks
from storage.statuses import TicketStatus

# From each status to where: an open ticket goes anywhere, a closed one only comes back as work.
MOVES: Mapping[TicketStatus, frozenset[TicketStatus]] = {
    **{status: frozenset(TicketStatus) - {status} for status in TicketStatus},
    TicketStatus.CLOSED: frozenset({TicketStatus.IN_PROGRESS}),
}
TICKET_COLUMNS = (
    "id", "customer_id", "name", "email", "mobile", "description", "issue_type", "issue_type_other", "issue_title",
    "attachment_name", "attachment_type", "status", "whatsapp_enabled", "whatsapp_notifications",
    "created_at", "updated_at",
)  # fmt: skip
TICKET = ", ".join(TICKET_COLUMNS)


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
    status: TicketStatus
    whatsapp_enabled: bool
    whatsapp_notifications: bool
    created_at: datetime
    updated_at: datetime

    @property
    def title(self) -> str:
        """What to call it in a list."""
        return self.issue_title or self.issue_type_other or self.issue_type


async def insert(tx: Tx, ticket: StoredTicket) -> None:
    """Writes a new ticket."""
    row = (
        ticket.ticket_id, ticket.customer_id, ticket.name, ticket.email, ticket.mobile, ticket.description,
        ticket.issue_type, ticket.issue_type_other, ticket.issue_title, ticket.attachment_name, ticket.attachment_type,
        ticket.status, ticket.whatsapp_enabled, ticket.whatsapp_notifications, to_millis(ticket.created_at),
        to_millis(ticket.updated_at),
    )  # fmt: skip
    await tx.insert("ticket", TICKET_COLUMNS, [row])


async def hold(tx: Tx, ticket_id: int) -> None:
    """Locks a ticket that is nobody's, and so has no fence, until the end of the transaction."""
    await tx.execute("UPDATE ticket SET status = status WHERE id = ?", [ticket_id])


async def set_status(tx: Tx, ticket_id: int, status: TicketStatus, at: datetime) -> None:
    """Changes the status; the caller looked at MOVES behind the fence."""
    await tx.execute("UPDATE ticket SET status = ?, updated_at = ? WHERE id = ?", [status, to_millis(at), ticket_id])


async def find(tx: Tx, ticket_id: int) -> StoredTicket | None:
    """The ticket with this number."""
    rows = await tx.fetch(f"SELECT {TICKET} FROM ticket WHERE id = ?", [ticket_id])
    return _ticket(rows[0]) if rows else None


async def page(
    tx: Tx, *, status: TicketStatus | None, mobiles: Sequence[str], offset: int, limit: int
) -> tuple[Sequence[StoredTicket], int]:
    """One page of tickets, the newest first, and how many there are in all. None and [] mean any."""
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


def _ticket(row: Sequence[object]) -> StoredTicket:
    columns: dict[str, Any] = dict(zip(TICKET_COLUMNS, row, strict=True))
    return StoredTicket(
        ticket_id=columns.pop("id"),
        status=TicketStatus(columns.pop("status")),
        whatsapp_enabled=bool(columns.pop("whatsapp_enabled")),
        whatsapp_notifications=bool(columns.pop("whatsapp_notifications")),
        created_at=from_millis(columns.pop("created_at")),
        updated_at=from_millis(columns.pop("updated_at")),
        **columns,
    )
