"""Tests on both databases that all that is held goes out in the end, but for what is not true any more."""

from datetime import UTC, datetime, timedelta

import pytest

from storage import held, outbox
from storage.held import MAX_IDS_PER_STATEMENT
from storage.outbox import OutboxRow
from storage.sql.database import Database
from storage.statuses import Origin, OutboxStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=30)
ANNE, BEN = 2**62 + 1, 2**62 + 2
PRINTER, SCREEN = 12, 13


def row(
    outbox_id: int,
    kind: str = "reply",
    *,
    customer_id: int = ANNE,
    version: int = 0,
    ticket_id: int | None = PRINTER,
    status: OutboxStatus = OutboxStatus.HELD,
    language: str = "en",
    age: timedelta = timedelta(),
) -> OutboxRow:
    origin = Origin.AGENT if kind == "reply" else Origin.NOTICE
    payload = f'{{"type":"text","text":"😀","notice":{{"kind":"{kind}","language":"{language}","values":{{}}}}}}'
    return OutboxRow(
        outbox_id, customer_id, version or outbox_id, origin, payload, NOW - age, ticket_id=ticket_id, status=status
    )


async def insert(database: Database, *rows: OutboxRow) -> None:
    await database.run(lambda tx: outbox.insert(tx, rows))


async def states(database: Database) -> dict[int, str]:
    async with database.reading() as tx:
        return dict(await tx.fetch("SELECT id, status FROM outbox"))


async def test_who_writes_gets_everything_however_much_it_is(database: Database) -> None:
    many = MAX_IDS_PER_STATEMENT + 2
    await insert(database, *(row(at) for at in range(1, many + 1)), row(many + 1, customer_id=BEN))
    await database.run(lambda tx: held.release(tx, [ANNE], NOW))
    found = await states(database)
    assert found.pop(many + 1) == "held"
    assert set(found.values()) == {"queued"}


@pytest.mark.parametrize("became", ["held", "queued", "accepted", "read", "failed", "unknown"])
async def test_a_notice_that_a_later_one_overtook_never_goes_out(database: Database, became: str) -> None:
    """Whatever became of the later one: what the earlier one says is not so any more."""
    await insert(
        database,
        row(1, "in_progress"),
        row(2, "waiting", ticket_id=SCREEN),
        row(3),
        row(4, "resolved", status=OutboxStatus(became)),
        row(5, "reply"),
    )
    await database.run(lambda tx: held.release(tx, [ANNE, BEN], NOW))
    later = "queued" if became == "held" else became
    assert await states(database) == {1: "failed", 2: "queued", 3: "queued", 4: later, 5: "queued"}
    async with database.reading() as tx:
        ((reason,),) = await tx.fetch("SELECT reason FROM outbox WHERE id = 1")
    assert reason == "superseded"


async def test_only_what_is_held_is_released(database: Database) -> None:
    await insert(database, row(1), row(2, status=OutboxStatus.FAILED), row(3, "closed", ticket_id=None))
    await database.run(lambda tx: held.release(tx, [ANNE], NOW))
    assert await states(database) == {1: "queued", 2: "failed", 3: "queued"}


async def test_a_template_takes_what_it_carries_of_everybody(database: Database) -> None:
    await insert(
        database,
        row(1, "resolved"),
        row(2, "resolved", customer_id=BEN, ticket_id=SCREEN, language="pt_BR"),
        row(3, "closed", ticket_id=SCREEN),
        row(4, "reply"),
        row(5, "resolved", ticket_id=14, status=OutboxStatus.ACCEPTED),
    )
    assert await database.run(lambda tx: held.release_carried(tx, "resolved", NOW, SINCE, 3)) == 2
    assert await states(database) == {1: "queued", 2: "queued", 3: "held", 4: "held", 5: "accepted"}
    assert await database.run(lambda tx: held.release_carried(tx, "reply", NOW, SINCE, 3)) == 1


async def test_a_template_takes_nothing_that_is_overtaken_or_old_or_was_refused_too_often(database: Database) -> None:
    day = timedelta(days=1)
    await insert(
        database,
        row(1, "in_progress"),
        row(2, "waiting", status=OutboxStatus.READ),
        row(3, "in_progress"),
        row(4, "in_progress", ticket_id=SCREEN, age=31 * day),
        row(5, "in_progress", ticket_id=14, age=29 * day),
        row(6, "in_progress", ticket_id=15),
    )
    await database.run(lambda tx: tx.execute("UPDATE outbox SET refusals = 3 WHERE id = 6"))
    assert await database.run(lambda tx: held.release_carried(tx, "in_progress", NOW, SINCE, 3)) == 2
    assert await states(database) == {1: "held", 2: "read", 3: "queued", 4: "held", 5: "queued", 6: "held"}
    await database.run(lambda tx: held.release(tx, [ANNE], NOW))
    assert await states(database) == {1: "failed", 2: "read", 3: "queued", 4: "queued", 5: "queued", 6: "queued"}
