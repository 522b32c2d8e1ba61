"""Reads and writes tickets for agents (what customers cause is in `turn_writes.py`, what is said in `replies.py`).

Invariants
- MOVES is the one table of what a ticket may become.
- Whoever changes a ticket of a customer holds that customer's fence. Whoever changes one that is nobody's holds its row
  (`lock`). A status is changed from the value that was read behind that lock.
- Whose ticket it is never changes, but where two customers become one (`customer_join.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from storage import event_log, kept_counts
from storage.event_log import TicketEvent
from storage.kept_counts import Counted
from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.sql.row_mapper import RowMapper
from storage.statuses import TicketStatus

MAX_NAME_LENGTH = 200  # characters
MAX_DEPTH = 100_000  # tickets of a list; to find a place further down takes longer than anybody waits for a page
# For each status, those into which a ticket may go: an open one goes anywhere, a closed one only comes back as work.
MOVES: Mapping[TicketStatus, frozenset[TicketStatus]] = {
    **{status: frozenset(TicketStatus) - {status} for status in TicketStatus},
    TicketStatus.CLOSED: frozenset({TicketStatus.IN_PROGRESS}),
}


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A row of the table `ticket`, whole: its fields are the columns."""

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


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Which tickets a list has: those with this status, this issue type and one of these numbers. None and () stand for
    any."""

    status: TicketStatus | None = None
    issue_type: str | None = None
    mobiles: Sequence[str] = ()


class TicketPage(NamedTuple):
    """One page of a list of tickets, and how many tickets the whole list has."""

    tickets: Sequence[StoredTicket]
    total: int


_MAPPER = RowMapper(StoredTicket, {"ticket_id": "id"})


async def insert(tx: Tx, tickets: Sequence[StoredTicket]) -> None:
    """Inserts new tickets."""
    await tx.insert("ticket", _MAPPER.columns, [_MAPPER.to_row(ticket) for ticket in tickets])
    for ticket in tickets:
        kept_counts.add(tx, Counted.TICKET, [ticket.status], topic=ticket.issue_type)


async def lock(tx: Tx, ticket_id: int) -> None:
    """Locks a ticket that is nobody's, and so has no fence, until the end of the transaction."""
    await tx.execute("UPDATE ticket SET status = status WHERE id = ?", [ticket_id])


async def set_status(tx: Tx, change: TicketEvent, issue_type: str) -> None:
    """Gives a ticket of this issue type the status that it became, counts and logs the change; the caller looked at
    MOVES behind the fence."""
    await tx.execute(
        "UPDATE ticket SET status = ?, updated_at = ? WHERE id = ?",
        [change.became, to_millis(change.at), change.ticket_id],
    )
    kept_counts.move(tx, Counted.TICKET, change.was, change.became, topic=issue_type)
    await event_log.write(tx, [change])


async def fill_in_name(tx: Tx, customer_id: int, name: str) -> None:
    """Names those of a customer's tickets that have no name; one that has keeps it. Only behind the fence."""
    await tx.execute(
        "UPDATE ticket SET name = ? WHERE customer_id = ? AND name = ''", [name[:MAX_NAME_LENGTH], customer_id]
    )


async def find(tx: Tx, ticket_id: int) -> StoredTicket | None:
    """Finds the ticket with this number."""
    rows = await tx.fetch(f"SELECT {_MAPPER.column_list} FROM ticket WHERE id = ?", [ticket_id])
    return _MAPPER.from_row(rows[0]) if rows else None


async def find_many(tx: Tx, ticket_ids: Sequence[int]) -> dict[int, StoredTicket]:
    """Finds the tickets that have one of these numbers, by their number."""
    if not ticket_ids:
        return {}
    rows = await tx.fetch(
        f"SELECT {_MAPPER.column_list} FROM ticket WHERE id IN ({placeholders(len(ticket_ids))})", ticket_ids
    )
    return {ticket.ticket_id: ticket for ticket in _MAPPER.from_rows(rows)}


async def load_page(tx: Tx, wanted: TicketFilter, *, offset: int, limit: int) -> TicketPage:
    """Loads one page of a list, the newest first: `limit` tickets behind the first `offset`, which together are
    MAX_DEPTH at most."""
    if offset + limit > MAX_DEPTH:
        raise ValueError("a list is not read that far down")
    conditions, values = _make_conditions(wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    if wanted.mobiles:  # nobody has many tickets
        total = int((await tx.fetch(f"SELECT COUNT(*) FROM ticket {where}", values))[0][0])
    else:
        total = await kept_counts.count_tickets(tx, wanted.status, wanted.issue_type)
    # The page is found in an index, and only its tickets are read. Numbers come in blocks, one for each process, so a
    # higher number is not always the newer ticket.
    rows = await tx.fetch(
        f"SELECT {_MAPPER.column_list} FROM ticket JOIN (SELECT id AS place FROM ticket {where} "
        "ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?) AS page ON page.place = ticket.id "
        "ORDER BY created_at DESC, id DESC",
        [*values, limit, offset],
    )
    return TicketPage(_MAPPER.from_rows(rows), total)


def _make_conditions(wanted: TicketFilter) -> tuple[list[str], list[str]]:
    """Makes the conditions of a filter, and their values."""
    given = {"status": wanted.status, "issue_type": wanted.issue_type}
    chosen = {column: value for column, value in given.items() if value is not None}
    conditions = [f"{column} = ?" for column in chosen]
    if wanted.mobiles:
        conditions.append(f"mobile IN ({placeholders(len(wanted.mobiles))})")
    return conditions, [*chosen.values(), *wanted.mobiles]
