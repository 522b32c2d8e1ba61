"""Tests what turns write about tickets: whole texts in every script, and no more than the columns hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from storage import turn_writes
from storage.sql.database import Database
from storage.statuses import ReplyKind
from storage.turn_writes import NewReply, NewTicket

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = "😀" * 300


def ticket(ticket_id: int, *, customer_id: int = 1, text: str = "It burns", created_at: datetime = NOW) -> NewTicket:
    return NewTicket(ticket_id, customer_id, text, "+15550001111", text, text, text, text, text, text, created_at)


def reply(reply_id: int, ticket_id: int, wamid: str = "wamid.A", created_at: datetime = NOW) -> NewReply:
    return NewReply(reply_id, ticket_id, LONG * 50, wamid, reply_id, False, NOW, created_at)


async def test_long_texts_fit_and_the_description_is_whole(database: Database) -> None:
    await database.run(lambda tx: turn_writes.insert_tickets(tx, [ticket(1, text=LONG)]))
    await database.run(
        lambda tx: turn_writes.insert_replies(tx, [reply(1, 1), reply(2, 1, "é"), reply(3, 1, "w" * 201)])
    )
    async with database.reading() as tx:
        rows = await tx.fetch("SELECT description, name, issue_type, status FROM ticket")
        assert tuple(rows[0]) == (LONG, LONG[:200], LONG[:50], "new")
        replies = await tx.fetch("SELECT message, whatsapp_message_id, author FROM reply ORDER BY id")
    assert [tuple(row) for row in replies] == [
        (LONG * 50, "wamid.A", "customer"),
        (LONG * 50, None, "customer"),
        (LONG * 50, None, "customer"),
    ]


async def test_the_ticket_last_touched_comes_first_and_a_closed_one_not_at_all(database: Database) -> None:
    tickets = [ticket(1), ticket(2), ticket(3), ticket(4, customer_id=2), ticket(5)]
    await database.run(lambda tx: turn_writes.insert_tickets(tx, tickets))
    later = NOW + timedelta(seconds=5)
    await database.run(lambda tx: turn_writes.insert_replies(tx, [reply(1, 2, created_at=later)]))
    await database.run(lambda tx: tx.execute("UPDATE ticket SET status = 'closed' WHERE id = 3"))
    async with database.reading() as tx:
        found = await turn_writes.list_open_tickets(tx, [1, 2, 9])
        assert await turn_writes.list_open_tickets(tx, []) == {}
    assert {customer: [row[0] for row in rows] for customer, rows in found.items()} == {1: [2, 5, 1], 2: [4]}


async def test_who_writes_on_whatsapp_can_be_answered_there(database: Database) -> None:
    """Most tickets of the original system said otherwise."""
    await database.run(lambda tx: turn_writes.insert_tickets(tx, [ticket(1), ticket(2), ticket(3)]))
    await database.run(lambda tx: tx.execute("UPDATE ticket SET whatsapp_enabled = ?", [False]))
    note = replace(reply(2, 2), kind=ReplyKind.NOTE)
    await database.run(lambda tx: turn_writes.insert_replies(tx, [reply(1, 1), note]))
    async with database.reading() as tx:
        rows = await tx.fetch("SELECT id, whatsapp_enabled FROM ticket ORDER BY id")
    assert [(row[0], bool(row[1])) for row in rows] == [(1, True), (2, False), (3, False)]


async def test_nothing_is_filed_from_nothing(database: Database) -> None:
    await database.run(lambda tx: turn_writes.insert_tickets(tx, []))
    await database.run(lambda tx: turn_writes.insert_replies(tx, []))
