"""Compares the event log with the tables that it tells about: what a test has left behind must agree.

Invariants
- Every place that opens a ticket, adds a reply, changes a status or ends a delivery is met by some scenario, and each
  scenario is judged here, so a place that forgets its event fails the tests that go through it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from bot.delivery.ticket_events import TOLD
from storage.statuses import OutboxStatus, ReplyAuthor, ReplyKind, TicketEventKind

# In the order of the fields of LoggedTables.
SELECTS = (
    "SELECT id, customer_id, status FROM ticket",
    "SELECT id, ticket_id, author, kind, changed FROM reply",
    "SELECT id, ticket_id, customer_id, status FROM outbox WHERE ticket_id IS NOT NULL",
    "SELECT ticket_id, customer_id, kind, author, was, became, reply_id, outbox_id FROM ticket_event ORDER BY id",
)


class Event(NamedTuple):
    """A row of the log, as the last of SELECTS reads it."""

    ticket_id: int
    customer_id: int | None
    kind: str
    author: str
    was: str
    became: str
    reply_id: int | None
    outbox_id: int | None


class LoggedTables(NamedTuple):
    """The rows of SELECTS."""

    tickets: Sequence[Sequence[Any]]
    replies: Sequence[Sequence[Any]]
    outbox: Sequence[Sequence[Any]]
    events: Sequence[Sequence[Any]]


def find_disagreements(tables: LoggedTables) -> list[str]:
    """Finds where the log and the tables tell different stories, each as a sentence."""
    events = [Event(*row) for row in tables.events]
    by_ticket: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_ticket[event.ticket_id].append(event)
    found = [
        f"ticket {ticket_id} is in the log alone" for ticket_id in by_ticket.keys() - {row[0] for row in tables.tickets}
    ]
    for ticket_id, customer_id, status in tables.tickets:
        found += _compare_ticket(ticket_id, customer_id, status, by_ticket[ticket_id])
    return found + _compare_replies(tables.replies, events) + _compare_deliveries(tables.outbox, events)


def _compare_ticket(ticket_id: int, customer_id: int | None, status: str, events: Sequence[Event]) -> list[str]:
    """Replays a ticket's events, which must lead to the status that it has."""
    found = [
        f"ticket {ticket_id}: {event} names another customer" for event in events if event.customer_id != customer_id
    ]
    replayed = ""
    for event in events:
        if event.kind in (TicketEventKind.OPENED, TicketEventKind.STATUS):
            if event.was != replayed or (event.kind == TicketEventKind.OPENED) != (replayed == ""):
                found.append(f"ticket {ticket_id} was {replayed!r}, and then {event}")
            replayed = event.became
    if replayed != status:
        found.append(f"ticket {ticket_id} is {status}, and by the log {replayed!r}")
    return found


def _compare_replies(replies: Sequence[Sequence[Any]], events: Sequence[Event]) -> list[str]:
    logged = Counter(
        (event.kind, event.ticket_id, event.reply_id)
        for event in events
        if event.kind in (TicketEventKind.MESSAGE, TicketEventKind.ANSWER, TicketEventKind.NOTE)
    )
    written: Counter[tuple[str, int, int | None]] = Counter(
        (_name_kind(author, kind), ticket, reply) for reply, ticket, author, kind, _ in replies
    )
    changed = {reply: change for reply, _, _, _, change in replies if change}
    told = {event.reply_id: event.became for event in events if event.kind == TicketEventKind.CHANGED}
    found = [f"reply {reply} lacks its event" for reply in written - logged]
    found += [f"event {event} has no reply" for event in logged - written]
    return found + ([f"changed are {changed}, and by the log {told}"] if changed != told else [])


def _name_kind(author: str, kind: str) -> TicketEventKind:
    if kind == ReplyKind.NOTE:
        return TicketEventKind.NOTE
    return TicketEventKind.MESSAGE if author == ReplyAuthor.CUSTOMER else TicketEventKind.ANSWER


def _compare_deliveries(rows: Sequence[Sequence[Any]], events: Sequence[Event]) -> list[str]:
    """Compares where messages about tickets stand; those under way or queued again have no event of that."""
    last: dict[int | None, Event] = {}
    found = []
    for event in events:
        if event.kind == TicketEventKind.DELIVERY:
            if event.outbox_id in last and last[event.outbox_id].became == event.became == OutboxStatus.READ:
                found.append(f"{event} is told twice")
            last[event.outbox_id] = event
    for outbox_id, ticket_id, customer_id, status in rows:
        told = last.get(outbox_id)
        if told and (told.ticket_id, told.customer_id) != (ticket_id, customer_id):
            found.append(f"row {outbox_id} is about ticket {ticket_id} of {customer_id}, and {told} is not")
        if status in TOLD and (told is None or told.became != status):
            found.append(f"row {outbox_id} is {status}, and by the log {told.became if told else 'nothing'}")
    return found
