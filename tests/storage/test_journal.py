"""Tests the journal on both databases: every item once, one fate each, and counts that add up whatever is repeated."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tortoise.exceptions import IntegrityError

from storage import journal, journal_retention, kept_counts
from storage.journal import NewItem, PendingItem
from storage.overdue import find_overdue_customers
from storage.sql.database import Clash, Database, DatabaseDown, Tx
from storage.statuses import Fate
from tests.support.databases import Rival, until_blocked
from tests.support.servers import MariaDBServer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNE, BEN = 2**62 + 1, 2**62 + 2


def item(
    item_id: int, key: str = "", *, customer_id: int | None = ANNE, kind: str = "message", **other: object
) -> NewItem:
    at = NOW + timedelta(seconds=item_id)
    made = NewItem(item_id, key or f"m:1:{item_id}", kind, customer_id, "15550001111", at, at, "{}")
    return replace(made, **other)  # type: ignore[arg-type]


async def store(database: Database, *items: NewItem) -> int:
    return await database.run(lambda tx: journal.store(tx, items), clash=Clash.RUN_AGAIN)


async def counts(database: Database) -> dict[str, int]:
    async with database.reading() as tx:
        found = (await kept_counts.count_items(tx))._asdict()
    assert found["received"] == found["done"] + found["ignored"] + found["dead"] + found["pending"]
    return found


async def pending(database: Database, *customer_ids: int, most: int = 100) -> list[PendingItem]:
    async with database.reading() as tx:
        return await journal.load_pending(tx, customer_ids, most)


async def close(database: Database, item_ids: Sequence[int], fate: Fate, reason: str = "") -> int:
    return await database.run(lambda tx: journal.close(tx, item_ids, fate, NOW, reason=reason))


async def test_an_item_comes_back_as_it_went_in(database: Database) -> None:
    payload = "😀👩‍👩‍👧 \U00010348 'quotes\" %s ? \\ \r\n é"
    await store(database, item(1, payload=payload, address="US.1349"), item(2, customer_id=None, reason="group"))
    assert await pending(database, ANNE) == [
        PendingItem(1, "m:1:1", "message", ANNE, "US.1349", NOW + timedelta(seconds=1), NOW + timedelta(seconds=1),
                    payload, 0, False)
    ]  # fmt: skip
    assert await counts(database) == {
        "received": 2, "done": 0, "ignored": 1, "dead": 0, "pending": 1, "duplicates": 0
    }  # fmt: skip


async def test_what_comes_again_is_counted_and_nothing_else(database: Database) -> None:
    assert await store(database, item(1, "m:1:a"), item(2, "m:1:b")) == 0
    assert await store(database, item(3, "m:1:a"), item(4, "m:1:c"), item(5, "m:1:c"), item(6, "m:1:c")) == 3
    found = await counts(database)
    assert (found["received"], found["duplicates"]) == (3, 3)
    assert [one.item_id for one in await pending(database, ANNE)] == [1, 2, 4]


async def test_keys_differ_by_case_and_by_every_byte(database: Database) -> None:
    """Under MySQL's default collations these would be one message, and the second customer's lost."""
    keys = ["m:1:wamid.AbC=", "m:1:wamid.aBc=", "m:1:wamid.abc=", "m:1:wamid.AbC"]
    assert await store(database, *(item(at, key) for at, key in enumerate(keys, 1))) == 0
    assert sorted(one.key for one in await pending(database, ANNE)) == sorted(keys)


async def test_a_second_try_after_an_unknown_commit_counts_nothing_twice(database: Database) -> None:
    """The commit landed, its answer was lost: the same transaction runs again, with the same ids."""
    await store(database, item(1, "m:1:old"))
    batch = [item(2, "m:1:a"), item(3, "m:1:a"), item(4, "m:1:old")]
    assert await store(database, *batch) == 2
    before = await counts(database)
    await store(database, *batch)
    assert await counts(database) == before


async def test_a_key_taken_meanwhile_makes_the_loser_run_again(database: Database, rival: Rival) -> None:
    """Two processes get the same webhook at once: both look, both find nothing, one inserts first."""
    tried = []

    async def work(tx: Tx) -> int:
        tried.append(1)
        if len(tried) == 1 and database.dialect == "mysql":
            await tx.fetch("SELECT 1 FROM item WHERE `key` = 'm:1:a'")
            _insert(rival, 7, "m:1:a")  # commits between our look and our insert
        return await journal.store(tx, [item(1, "m:1:a")])

    if database.dialect == "sqlite":  # nobody gets between: the write lock is taken before the look
        _insert(rival, 7, "m:1:a")
    async with database.reading() as tx:
        assert (await tx.fetch("SELECT COUNT(*) FROM item"))[0][0] in (0, 1)
    assert await database.run(work, clash=Clash.RUN_AGAIN) == 1
    assert (await counts(database))["received"] == 0, "what the other process has stored, it has counted"
    assert [one.item_id for one in await pending(database, ANNE)] == [7]


async def test_a_blocked_insert_finds_the_key_taken(
    migrated_mariadb_url: str, mariadb_database: Database, mariadb_server: MariaDBServer
) -> None:
    """The other process has inserted and not yet committed: our insert waits for it, clashes, and runs again."""
    rival = Rival(migrated_mariadb_url)
    rival.begin()
    _insert(rival, 7, "m:1:a")
    storing = asyncio.create_task(store(mariadb_database, item(1, "m:1:a"), item(2, "m:1:b")))
    await until_blocked(mariadb_server)
    rival.commit()
    assert await storing == 1
    assert [one.item_id for one in await pending(mariadb_database, ANNE)] == [7, 2]
    rival.close()


def _insert(rival: Rival, item_id: int, key: str) -> None:
    rival.execute(
        "INSERT INTO item (id, `key`, kind, customer_id, address, meta_at, received_at, payload, fate, reason, "
        "attempts, late, duplicates) VALUES (?, ?, 'message', ?, '', 9000000, 0, '{}', 'pending', '', 0, 0, 0)",
        [item_id, key, ANNE],
    )


async def test_twenty_senders_of_the_same_items_store_them_once(database: Database) -> None:
    batches = [[item(100 * n + at, f"m:1:{at}") for at in range(10)] for n in range(1, 21)]
    duplicates = await asyncio.gather(*(store(database, *batch) for batch in batches))
    assert sum(duplicates) == 190
    found = await counts(database)
    assert (found["received"], found["duplicates"]) == (10, 190)


async def test_a_clash_of_primary_keys_is_an_error_and_never_a_duplicate(database: Database) -> None:
    await store(database, item(1, "m:1:a"))
    with pytest.raises(IntegrityError):
        await store(database, item(1, "m:1:b"))
    found = await counts(database)
    assert (found["received"], found["duplicates"]) == (1, 0)


async def test_a_truncation_is_an_error(mariadb_database: Database) -> None:
    with pytest.raises(Exception, match="Data too long"):
        await store(mariadb_database, item(1, "m:1:" + "a" * 200))
    with pytest.raises(Exception, match="ollation|Incorrect string"):
        await store(mariadb_database, item(1, "m:1:é"))
    assert (await counts(mariadb_database))["received"] == 0


async def test_a_batch_larger_than_one_packet_is_stored(
    mariadb_server: MariaDBServer, mariadb_database: Database
) -> None:
    """Many large webhooks share a transaction; the server takes 16 MB at a time, and quotes count twice."""
    ((usual,),) = mariadb_server.execute("SELECT @@max_allowed_packet")
    mariadb_server.execute("SET GLOBAL max_allowed_packet = 16777216")
    try:
        assert await store(mariadb_database, *(item(at, payload="'" * 65_000) for at in range(1, 141))) == 0
    finally:
        mariadb_server.execute(f"SET GLOBAL max_allowed_packet = {usual}")
    assert (await counts(mariadb_database))["received"] == 140


async def test_a_lane_is_in_the_order_of_meta_then_of_arrival(database: Database) -> None:
    await store(database, item(3, meta_at=NOW), item(1, meta_at=NOW + timedelta(seconds=5)), item(2, meta_at=NOW))
    await store(database, item(4, customer_id=BEN), item(5, kind="status"))
    assert [one.item_id for one in await pending(database, ANNE, BEN)] == [2, 3, 1, 5, 4]
    # so many of each kind and lane: a flood of statuses can't hide a message
    assert [one.item_id for one in await pending(database, ANNE, BEN, most=1)] == [2, 5, 4]


async def test_only_a_pending_item_is_closed_and_once(database: Database) -> None:
    await store(database, item(1), item(2), item(3))
    effects = {1: '[["say","1"]]', 2: "[]"}
    assert await database.run(lambda tx: journal.close(tx, [1, 2], Fate.DONE, NOW, effects=effects)) == 2
    assert await close(database, [1, 2, 3], Fate.IGNORED, "superseded") == 1
    assert await close(database, [], Fate.DONE) == 0
    async with database.reading() as tx:
        rows = await tx.fetch("SELECT id, fate, reason, effects FROM item ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (1, "done", "", effects[1]),
        (2, "done", "", "[]"),
        (3, "ignored", "superseded", None),
    ]


async def test_attempts_are_counted_and_a_dead_item_is_replayed_late(database: Database) -> None:
    await store(database, item(1))
    for expected in (1, 2):
        assert await database.run(lambda tx: journal.add_attempt(tx, [1], "ValueError: no")) == {1: expected}
    assert not await database.run(lambda tx: journal.replay(tx, 1)), "it is not dead"
    await close(database, [1], Fate.DEAD)
    assert await database.run(lambda tx: journal.replay(tx, 1))
    (found,) = await pending(database, ANNE)
    assert (found.attempts, found.late) == (0, True)
    assert (await counts(database))["dead"] == 0


async def test_statuses_that_nobody_knew_come_back_with_their_wamid(database: Database) -> None:
    known = [item(1, "s:106:wamid.A:sent:1", kind="status"), item(2, "s:106:wamid.A:read:2", kind="status")]
    others = [
        item(3, "s:106:wamid.AB:sent:1", kind="status"),
        item(4, "s:106:wamid.a:sent:1", kind="status"),
        item(5, "s:107:wamid.A:sent:1", kind="status"),
    ]
    await store(database, *known, *others, item(6, "s:106:wamid.A:sent:9", kind="status"))
    await close(database, [1, 2, 3, 4, 5], Fate.IGNORED, "unknown_message")
    await close(database, [6], Fate.IGNORED, "superseded")
    assert await database.run(lambda tx: journal.revive_statuses(tx, "106", "wamid.A", reason="unknown_message")) == 2
    assert [one.item_id for one in await pending(database, ANNE)] == [1, 2]


async def test_the_sweep_finds_who_waits_longest(database: Database) -> None:
    await store(database, item(3, customer_id=ANNE), item(1, customer_id=BEN), item(2, customer_id=BEN))
    await store(database, item(9, customer_id=7), item(4, customer_id=None, reason="group"))
    async with database.reading() as tx:
        for now, limit in ((NOW + timedelta(seconds=5), 10), (NOW + timedelta(seconds=60), 2)):
            found = await find_overdue_customers(tx, now, timedelta(), limit, fresh_for=timedelta(seconds=-5))
            assert list(found) == [BEN, ANNE]


async def test_the_sweep_finds_who_wrote_lately_however_many_wrote_before(database: Database) -> None:
    await store(database, *(item(number, customer_id=number) for number in range(1, 8)), item(9, customer_id=3))
    later, lately = NOW + timedelta(seconds=20), timedelta(seconds=13)
    async with database.reading() as tx:
        found = await find_overdue_customers(tx, later, timedelta(), 4, fresh_for=lately)
        everybody = await find_overdue_customers(tx, later, timedelta(), 10, fresh_for=lately)
    assert {who: (at - NOW).total_seconds() for who, at in found.items()} == {1: 1, 2: 2, 3: 9, 7: 7}
    assert {who: (at - NOW).total_seconds() for who, at in everybody.items()} == {n: n for n in range(1, 8)}


async def test_the_sweep_finds_what_came_at_an_instant_that_is_yet_to_come(database: Database) -> None:
    await store(database, item(7, customer_id=ANNE), item(3_600, customer_id=BEN))
    async with database.reading() as tx:
        now = NOW + timedelta(seconds=6)
        assert list(await find_overdue_customers(tx, now, timedelta(), 10, fresh_for=timedelta())) == [BEN]


async def retain(database: Database, now: datetime, most: int) -> int:
    touched = 0
    for _ in range(50):
        once = await database.run(lambda tx: journal_retention.apply_retention(tx, now, most))
        touched += once
        if not once:
            return touched
    raise AssertionError("retention does not come to an end")


@pytest.mark.parametrize("most", [2, 500])
async def test_retention_deletes_what_is_old_and_the_counts_stay(database: Database, most: int) -> None:
    await store(database, *(item(at) for at in range(1, 10)))
    await store(database, item(10, "m:1:1"), item(11, "m:1:9"))
    await close(database, [1, 2, 3, 4, 5], Fate.DONE)
    await close(database, [6, 7], Fate.IGNORED, "superseded")
    await close(database, [8], Fate.DEAD)
    before = await counts(database)

    await retain(database, NOW + timedelta(days=31), most)
    async with database.reading() as tx:
        kept = await tx.fetch("SELECT fate, payload FROM item ORDER BY id")
    assert {row[0] for row in kept if row[1]} == {"dead", "pending"}, "payloads are emptied after 30 days"
    assert await counts(database) == before

    await retain(database, NOW + timedelta(days=91), most)
    async with database.reading() as tx:
        left = await tx.fetch("SELECT id FROM item ORDER BY id")
    assert [row[0] for row in left] == [8, 9], "the dead and the pending stay for ever"
    assert await counts(database) == before


async def test_retention_looks_at_few_rows_each_time(database: Database, rival: Rival) -> None:
    """What it has emptied it doesn't look at again: among millions, that would take longer than a transaction may."""
    await store(database, *(item(at) for at in range(1, 31)))
    await close(database, list(range(1, 21)), Fate.DONE)
    await retain(database, NOW + timedelta(days=31), 7)
    rival.execute("UPDATE item SET payload = 'seen' WHERE id <= 20")
    await close(database, list(range(21, 31)), Fate.DONE)
    assert await retain(database, NOW + timedelta(days=32), 7) == 10
    async with database.reading() as tx:
        full = await tx.fetch("SELECT id FROM item WHERE payload <> '' ORDER BY id")
    assert [row[0] for row in full] == list(range(1, 21))


async def test_two_processes_retain_at_once_and_count_once(database: Database) -> None:
    await store(database, *(item(at) for at in range(1, 101)))
    await close(database, range(1, 101), Fate.DONE)
    before = await counts(database)
    later = NOW + timedelta(days=91)
    await database.run(lambda tx: journal_retention.apply_retention(tx, later, 10))  # the day has its totals
    racing = (database.run(lambda tx: journal_retention.apply_retention(tx, later, 500)) for _ in range(6))
    for error in await asyncio.gather(*racing, return_exceptions=True):
        assert isinstance(error, int | DatabaseDown)
    assert await counts(database) == before
    await retain(database, later, 500)
    assert await counts(database) == before
