"""Kept counts are what counting would say, whatever happened, and whoever wrote at the same time.

They are compared with the tables after every scenario of the bot and of the end-to-end tests too.
"""

import ast
import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from storage import count_settlement, held, journal, journal_retention, kept_counts, outbox, tickets
from storage.count_settlement import LACKING
from storage.event_log import TicketEvent
from storage.journal import NewItem
from storage.kept_counts import JournalCounts
from storage.outbox import Move, OutboxRow
from storage.sql.database import APPS, Database, DatabaseSettings, Tx
from storage.sql.migrate import migrate
from storage.statuses import NO_REASON, EventAuthor, Fate, Origin, OutboxStatus, TicketEventKind, TicketStatus
from storage.tickets import StoredTicket
from tests.support.databases import Rival
from tests.support.places import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNE = 2**62 + 1
CHANGES = re.compile(
    r"UPDATE (item|outbox) SET\b.*\b(fate|status) = \?, |UPDATE ticket SET status = \?|insert\(\"(item|outbox|ticket)\""
)


def item(item_id: int, key: str, *, reason: str = "", received_at: datetime = NOW) -> NewItem:
    return NewItem(item_id, key, "message", ANNE, "15550001111", NOW, received_at, "{}", reason)


def row(outbox_id: int, status: OutboxStatus = OutboxStatus.QUEUED) -> OutboxRow:
    return OutboxRow(outbox_id, ANNE, 1, Origin.PROMPT, "{}", NOW, status=status)


def ticket(ticket_id: int, issue_type: str = "hardware", status: TicketStatus = TicketStatus.NEW) -> StoredTicket:
    return StoredTicket(
        ticket_id, ANNE, "Ann", None, None, "It burns", issue_type, None, None, None, None, status, True, True, NOW, NOW
    )


async def find_lacking(database: Database) -> list[tuple[object, ...]]:
    async with database.reading() as tx:
        return [tuple(found) for found in await tx.fetch(LACKING)]


async def count_tickets(database: Database, *wanted: str | None) -> int:
    async with database.reading() as tx:
        return await kept_counts.count_tickets(tx, *wanted)  # type: ignore[arg-type]


async def test_the_journal(database: Database) -> None:
    async def write(tx: Tx) -> None:
        await journal.store(tx, [item(1, "m:1"), item(2, "m:2"), item(3, "s:7:w:read:1", reason="unknown_message")])
        await journal.store(tx, [item(4, "m:1"), item(5, "m:5"), item(6, "m:5")])
        await journal.close(tx, [1, 2, 5], Fate.DEAD, NOW)
        await journal.close(tx, [1], Fate.DONE, NOW)  # is not pending any more
        await journal.replay(tx, 2)
        await journal.revive_statuses(tx, "7", "w", reason="unknown_message")

    await database.run(write)
    async with database.reading() as tx:
        assert await kept_counts.count_items(tx) == JournalCounts(4, 0, 0, 2, 2, 2)
    assert await find_lacking(database) == []


async def test_what_retention_deletes_stays_counted(database: Database) -> None:
    long_ago = NOW - timedelta(days=91)
    items = [item(at, f"m:{at}", reason="group", received_at=long_ago) for at in range(1, 8)]
    await database.run(lambda tx: journal.store(tx, [*items, item(8, "m:1")]))
    async with database.reading() as tx:
        before = await kept_counts.count_items(tx)
    for _ in range(3):
        await database.run(lambda tx: journal_retention.apply_retention(tx, NOW, 4))
    async with database.reading() as tx:
        assert not await tx.fetch("SELECT id FROM item")
        assert await kept_counts.count_items(tx) == before == JournalCounts(7, 0, 7, 0, 0, 1)
    assert await find_lacking(database) == []


async def test_the_outbox(database: Database) -> None:
    async def write(tx: Tx) -> None:
        await outbox.insert(tx, [row(at) for at in range(1, 7)] + [row(7, OutboxStatus.HELD), row(8)])
        await outbox.mark_sending(tx, [1, 2, 3, 4, 7], "us", NOW)
        await outbox.mark_accepted(tx, {1: "wamid.1", 2: "wamid.2", 5: "wamid.5"}, NOW)
        unknown = Move(3, OutboxStatus.SENDING, 1, OutboxStatus.UNKNOWN, customer_id=ANNE, ticket_id=None)
        assert await outbox.move(tx, unknown, NOW)
        assert not await outbox.move(tx, unknown, NOW)
        locked = await outbox.lock(tx, [1, 2, 3])
        await outbox.advance(tx, OutboxStatus.READ, {1: "wamid.1", 3: "wamid.3"}, locked, NOW)
        await outbox.take_another_way(tx, locked[2], 1, OutboxStatus.QUEUED, "wamid.2", NOW, NO_REASON, timedelta())
        await held.release(tx, [ANNE], NOW)

    await database.run(write)
    async with database.reading() as tx:
        counts = await kept_counts.count_outbox(tx)
    assert {status: count for status, count in counts.items() if count} == {"queued": 5, "sending": 1, "read": 2}
    assert await find_lacking(database) == []


async def test_tickets_by_status_and_issue_type(database: Database) -> None:
    change = TicketEvent(
        event_id=1, ticket_id=2, customer_id=ANNE, kind=TicketEventKind.STATUS, author=EventAuthor.BOT, at=NOW,
        was=TicketStatus.NEW, became=TicketStatus.CLOSED,
    )  # fmt: skip

    async def write(tx: Tx) -> None:
        await tickets.insert(tx, [ticket(1), ticket(2), ticket(3, "Gerät 😀")])
        await tickets.set_status(tx, change, "hardware")

    await database.run(write)
    assert await count_tickets(database) == 3
    assert await count_tickets(database, "new") == 2
    assert await count_tickets(database, None, "hardware") == 2
    assert await count_tickets(database, "closed", "hardware") == 1
    assert await count_tickets(database, None, "Gerät 😀") == 1
    assert await count_tickets(database, "closed", "Gerät 😀") == 0
    assert await find_lacking(database) == []


async def test_what_is_rolled_back_is_not_counted(database: Database) -> None:
    async def fail(tx: Tx) -> None:
        await outbox.insert(tx, [row(1)])
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await database.run(fail)
    await database.run(lambda tx: outbox.insert(tx, [row(1)]))
    assert await find_lacking(database) == []


async def test_many_at_once_neither_lose_a_count_nor_clash(database: Database) -> None:
    async def write(number: int) -> None:
        ids = [number * 10 + at for at in range(4)]
        await database.run(lambda tx: journal.store(tx, [item(item_id, f"m:{item_id}") for item_id in ids]))
        await database.run(lambda tx: outbox.insert(tx, [row(item_id) for item_id in ids]))
        await database.run(lambda tx: journal.close(tx, ids[:2], Fate.DONE, NOW))
        await database.run(lambda tx: outbox.mark_sending(tx, ids[1:], "us", NOW))

    await asyncio.gather(*(write(number) for number in range(1, 41)))
    async with database.reading() as tx:
        assert await kept_counts.count_items(tx) == JournalCounts(160, 80, 0, 0, 80, 0)
    assert await find_lacking(database) == []


async def test_who_writes_at_the_same_time_has_another_shard(mariadb_database: Database) -> None:
    async with mariadb_database.transaction() as one, mariadb_database.transaction() as other:
        for tx in (one, other):
            await outbox.insert(tx, [row(1 if tx is one else 2)])
            for work in tx.before_commit:
                await work(tx)  # would wait for the lock of whoever was first, for ever
            tx.before_commit.clear()
    assert await find_lacking(mariadb_database) == []


@asynccontextmanager
async def opened(settings: DatabaseSettings) -> AsyncIterator[Database]:
    database = await Database.open(settings)
    try:
        yield database
    finally:
        await database.close()


async def write_as_before(rival: Rival) -> None:
    """Writes as a version did that counted nothing."""
    for at, fate in enumerate(("done", "done", "pending"), start=1):
        rival.execute(
            "INSERT INTO item (id, `key`, kind, address, meta_at, received_at, payload, fate, reason, attempts, late, "
            "duplicates) VALUES (?, ?, 'message', '', 0, 0, '', ?, '', 0, 0, 1)",
            [at, f"m:{at}", fate],
        )
    rival.execute("INSERT INTO daily_total (id, fate, total) VALUES ('2026-01-01:done', 'done', 5)")
    rival.execute(
        "INSERT INTO ticket (id, description, issue_type, status, created_at, updated_at, name, whatsapp_enabled, "
        "whatsapp_notifications) VALUES (1, '', 'hardware', 'closed', 0, 0, '', 1, 1)"
    )


async def expect_all_counted(database: Database) -> None:
    async with database.reading() as tx:
        assert await kept_counts.count_items(tx) == JournalCounts(8, 7, 0, 0, 1, 3)
        assert await kept_counts.count_tickets(tx, TicketStatus.CLOSED, "hardware") == 1
    assert await find_lacking(database) == []


async def test_the_migration_counts_what_there_is(database_url: str) -> None:
    settings = DatabaseSettings(database_url)
    async with opened(settings) as database:
        await MigrationExecutor(database.client, APPS).migrate([MigrationTarget("models", "0004_outbox_detail")])
    rival = Rival(database_url)
    await write_as_before(rival)
    rival.close()
    assert "0013_fill_counts" in await migrate(settings)
    async with opened(settings) as database:
        await expect_all_counted(database)


def forget_the_migrations_since(rival: Rival) -> None:
    """Those after it did not come to run."""
    rival.execute("DELETE FROM tortoise_migrations WHERE name >= '0013_fill_counts'")
    for table in ("answering", "worker_pulse"):
        rival.execute(f"DROP TABLE {table}")


async def test_a_migration_that_was_interrupted_counts_nothing_twice(database_url: str) -> None:
    """It had added the counts, and was killed before anybody wrote down that it had."""
    settings = DatabaseSettings(database_url)
    await migrate(settings)
    rival = Rival(database_url)
    forget_the_migrations_since(rival)
    await write_as_before(rival)
    assert "0013_fill_counts" in await migrate(settings)
    forget_the_migrations_since(rival)
    assert "0013_fill_counts" in await migrate(settings)
    rival.close()
    async with opened(settings) as database:
        await expect_all_counted(database)


async def test_what_the_earlier_version_wrote_after_the_migration_is_counted_once(
    mariadb_database: Database, migrated_mariadb_url: str
) -> None:
    rival = Rival(migrated_mariadb_url)
    await write_as_before(rival)
    rival.close()
    settled = await asyncio.gather(*(count_settlement.settle(mariadb_database) for _ in range(3)))
    assert sorted(settled)[:2] == [0, 0]
    assert sum(settled) == 4  # done, pending, duplicates, closed tickets
    await expect_all_counted(mariadb_database)
    assert await count_settlement.settle(mariadb_database) == 0


def test_whatever_changes_what_is_counted_counts_it() -> None:
    forgotten = []
    for path in (ROOT / "storage").glob("*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = ast.get_source_segment(source, node) or ""
                if CHANGES.search(" ".join(body.split())) and "kept_counts." not in body:
                    forgotten.append(f"{path.name}: {node.name}")
    assert forgotten == []
