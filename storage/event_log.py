"""Writes the event log (table `ticket_event`): what happened to each ticket, when, and by whom.

History, live events, webhooks to others, search and statistics are to be made of this table; nothing else tells them.

Invariants
- An event is written in the transaction that makes it true, and is never altered, but for whose it is where two
  customers become one (`customer_join.py`). What changes the ticket itself is behind the fence of its customer (behind
  the lock on the ticket, where it is nobody's); a delivery is behind the lock on its row of the outbox.
- It holds ids and members of enums, and no word that anybody wrote: what was said is found by `reply_id` and
  `outbox_id`, and erased where it stands.
- Whoever replays a ticket's events gets the status that the ticket has: `opened` and `status` say what it became.
- It stays as long as its ticket.

Who reads the log of one ticket takes its events in the order of their ids. Who follows the whole log can't go by the
ids alone: an id is made before its transaction, and another process may commit a greater one first. So a follower asks
each time again for a trailing window (the ids begin with the time: those from a minute before the newest that it has
seen, since no transaction lasts as long), remembers the ids of that minute, and drops the repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.database import Tx
from storage.sql.row_mapper import RowMapper
from storage.statuses import EventAuthor, TicketEventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """A row of the table `ticket_event`: its fields are the columns.

    `author_id`: the agent's or the key's; `was`, `became`: statuses of the ticket, or of a row of the outbox for a
    delivery, agents' ids for an assignment, "" where there is none; `reply_id`, `outbox_id`: what it is about.
    """

    event_id: int
    ticket_id: int
    customer_id: int | None
    kind: TicketEventKind
    author: EventAuthor
    at: datetime
    author_id: int | None = None
    was: str = ""
    became: str = ""
    reply_id: int | None = None
    outbox_id: int | None = None


_MAPPER = RowMapper(TicketEvent, {"event_id": "id"})


async def write(tx: Tx, events: Sequence[TicketEvent]) -> None:
    """Adds events to the log."""
    if events:
        await tx.insert("ticket_event", _MAPPER.columns, [_MAPPER.to_row(event) for event in events])
