"""Tests on both databases that a row of the outbox has one sender, and moves only forward."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage import kept_counts, outbox, outbox_reads
from storage.outbox import MOVES, Move, OutboxRow
from storage.sql.columns import to_millis
from storage.sql.database import Database, Tx
from storage.statuses import Origin, OutboxStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNE, BEN = 2**62 + 1, 2**62 + 2
STATUSES = sorted(OutboxStatus)


def row(
    outbox_id: int,
    *,
    customer_id: int = ANNE,
    version: int = 1,
    status: OutboxStatus = OutboxStatus.QUEUED,
    **more: object,
) -> OutboxRow:
    payload = '{"text":"😀"}'
    return OutboxRow(outbox_id, customer_id, version, Origin.PROMPT, payload, NOW, status=status, **more)  # type: ignore[arg-type]


async def insert(database: Database, *rows: OutboxRow) -> None:
    await database.run(lambda tx: outbox.insert(tx, rows))


def back(source: OutboxStatus, attempts: int) -> Move:
    """The move of the first row into the queue, from where it was seen."""
    return Move(1, source, attempts, OutboxStatus.QUEUED, customer_id=ANNE, ticket_id=None)


async def status(database: Database, outbox_id: int = 1) -> str:
    async with database.reading() as tx:
        return str((await tx.fetch("SELECT status FROM outbox WHERE id = ?", [outbox_id]))[0][0])


async def test_rows_come_in_the_order_of_the_commits(database: Database) -> None:
    """Ids of two processes may be out of step: the version, which the fence gives, decides."""
    await insert(database, row(9, version=1), row(5, version=2), row(3, version=2), row(7, customer_id=BEN))
    await insert(database, row(8, version=1, status=OutboxStatus.ACCEPTED), row(6, version=3, status=OutboxStatus.HELD))
    async with database.reading() as tx:
        found = await outbox_reads.load_open_rows(tx, [ANNE, BEN], 10)
    assert [one.outbox_id for one in found] == [9, 3, 5, 6, 7]
    assert found[0] == replace(row(9), status_at=found[0].due_at)


async def test_of_many_senders_one_gets_the_row(database: Database) -> None:
    await insert(database, *(row(at) for at in range(1, 6)))
    asked = [
        database.run(lambda tx, name=name: outbox.mark_sending(tx, [1, 2, 3, 4, 5], name, NOW))  # type: ignore[misc]
        for name in ("a", "b", "c", "d", "e", "f")
    ]
    got = await asyncio.gather(*asked)
    assert sorted(len(one) for one in got) == [0, 0, 0, 0, 0, 5]


async def test_a_mark_whose_commit_was_not_heard_is_found_again(database: Database) -> None:
    await insert(database, row(1), row(2, status=OutboxStatus.ACCEPTED))
    for _ in range(2):
        assert await database.run(lambda tx: outbox.mark_sending(tx, [1, 2], "a", NOW)) == {1}
    async with database.reading() as tx:
        assert (await outbox_reads.load_open_rows(tx, [ANNE], 10))[0].attempts == 1


@pytest.mark.parametrize("source", STATUSES)
@pytest.mark.parametrize("target", sorted(MOVES))
async def test_a_row_goes_only_where_the_table_says(
    sqlite_database: Database, source: OutboxStatus, target: OutboxStatus
) -> None:
    await insert(sqlite_database, row(1, status=source, attempts=2))
    step = Move(1, source, 2, target, customer_id=ANNE, ticket_id=None)
    if source in MOVES[target]:
        assert await sqlite_database.run(lambda tx: outbox.move(tx, step, NOW))
        assert await status(sqlite_database) == target
    else:
        with pytest.raises(ValueError, match="never"):
            await sqlite_database.run(lambda tx: outbox.move(tx, step, NOW))
        assert await status(sqlite_database) == source


async def test_a_row_that_moved_meanwhile_stays_where_it_is(database: Database) -> None:
    """A process that stood still saw it being sent by itself; since then another resolved it and sends it now."""
    await insert(database, row(1, status=OutboxStatus.SENDING, owner="other", attempts=2))
    assert not await database.run(lambda tx: outbox.move(tx, back(OutboxStatus.SENDING, 1), NOW))
    assert not await database.run(lambda tx: outbox.move(tx, back(OutboxStatus.UNKNOWN, 2), NOW))
    assert await status(database) == "sending"


async def test_an_acceptance_never_takes_a_status_back(database: Database) -> None:
    await insert(
        database,
        row(1, status=OutboxStatus.SENDING),
        row(2, status=OutboxStatus.SENDING),
        row(3, status=OutboxStatus.SENDING),
    )

    async def read(tx: Tx) -> None:
        await outbox.advance(tx, OutboxStatus.READ, {1: "wamid.1"}, await outbox.lock(tx, [1]), NOW)

    await database.run(read)
    wamids = {1: "wamid.1", 2: "wamid.AbC", 3: "wamid.aBc"}
    await database.run(lambda tx: outbox.mark_accepted(tx, wamids, NOW))
    assert [await status(database, at) for at in (1, 2, 3)] == ["read", "accepted", "accepted"]
    async with database.reading() as tx:
        assert [one.outbox_id for one in await outbox_reads.find_sent_as(tx, ["wamid.AbC"])] == [2], "the case counts"
        assert [one.wamid for one in await outbox_reads.find_sent(tx, [3, 3, 9])] == ["wamid.aBc"]
        assert await outbox_reads.find_sent(tx, []) == []


async def test_the_sweep_finds_what_is_due_and_whose_sender_is_dead(database: Database) -> None:
    rows = [
        row(1, customer_id=1),
        row(2, customer_id=2, status=OutboxStatus.SENDING, owner="dead"),
        row(3, customer_id=3, status=OutboxStatus.SENDING, owner="alive"),
        row(4, customer_id=4, status=OutboxStatus.UNKNOWN),
        row(5, customer_id=5, status=OutboxStatus.HELD),
        row(6, customer_id=6, status=OutboxStatus.FAILED),
        OutboxRow(7, 7, 1, Origin.PROMPT, "{}", NOW + timedelta(seconds=9)),
        OutboxRow(8, 8, 1, Origin.PROMPT, "{}", NOW + timedelta(seconds=9), status=OutboxStatus.UNKNOWN),
    ]
    await insert(database, *rows)
    await database.run(
        lambda tx: tx.execute("UPDATE outbox SET marked_at = ? WHERE status = 'sending'", [to_millis(NOW)])
    )
    async with database.reading() as tx:
        later = NOW + timedelta(seconds=5)
        assert sorted(await outbox_reads.find_due_customers(tx, later, later, ["alive", "us"], 100)) == [1, 2, 4]
        assert sorted(await outbox_reads.find_due_customers(tx, later, NOW, ["alive", "us"], 100)) == [1, 4]
        assert len(await outbox_reads.find_due_customers(tx, later + timedelta(seconds=5), later, ["us"], 2)) == 2
        assert (await kept_counts.count_outbox(tx))[OutboxStatus.SENDING] == 2
