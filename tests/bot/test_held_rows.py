"""A row that another session holds locked keeps its own customer waiting, and nobody else.

Shown by order, never by a clock: while the rival still holds its rows, everybody else gets their answers; the customer
whose rows they are gets theirs once the rival has let go. SQLite has one lock for all, so this is about a server.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from bot.agents.errors import AgentError
from bot.worker.owned_sessions import OwnedSessions
from storage import fence, kept_counts
from storage.kept_counts import Counted
from storage.redis.lanes import Lanes
from storage.sql import sessions
from storage.sql.database import Database, DatabaseDown, RowsHeld, Tx
from storage.sql.held_rows import HeldFor
from storage.sql.lock_waits import MAX_IDLE_SECONDS
from storage.statuses import Fate
from tests.bot.world import ANNE, World
from tests.support.databases import Rival

OTHERS = [f"1555002{number:04}" for number in range(6)]
HELD = {
    "conversation": "SELECT 1 FROM conversation WHERE customer_id = ? FOR UPDATE",
    "items": "SELECT 1 FROM item WHERE customer_id = ? FOR UPDATE",
    "outbox": "SELECT 1 FROM outbox WHERE customer_id = ? FOR UPDATE",
    "customer": "SELECT 1 FROM customer WHERE id = ? FOR UPDATE",
    "aliases": "SELECT 1 FROM alias WHERE customer_id = ? FOR UPDATE",
}


@pytest.fixture
def other_session(migrated_mariadb_url: str) -> Iterator[Rival]:
    other = Rival(migrated_mariadb_url)
    yield other
    other.close()


async def meet(world: World, *phones: str) -> dict[str, int]:
    """Each of them has written once, and has been answered."""
    for phone in phones:
        await world.write("Hi", phone=phone)
    async with world.working():
        await world.at_rest(60)
    known = await world.customers()
    return {phone: known[f"p:{phone}"] for phone in phones}


@asynccontextmanager
async def holding(other: Rival, sql: str, customer_id: int) -> AsyncIterator[None]:
    other.begin()
    other.execute(sql, [customer_id])
    try:
        yield
    finally:
        other.commit()


async def at_rest_but_for(world: World, customer_id: int) -> None:
    """Everybody else's messages are handled, and what answers them has gone out."""

    async def look() -> bool:
        return not await world.rows(
            "SELECT 1 FROM item WHERE fate = 'pending' AND customer_id <> ? "
            "UNION ALL SELECT 1 FROM outbox WHERE status IN ('queued', 'sending', 'unknown') AND customer_id <> ?",
            customer_id,
            customer_id,
        )

    await world.until(look, 25)


@pytest.mark.parametrize("what", HELD)
async def test_others_are_answered_while_rows_of_one_are_held(
    mariadb_world: World, other_session: Rival, what: str
) -> None:
    world = mariadb_world
    known = await meet(world, ANNE, *OTHERS)
    await world.write("before it is held", phone=ANNE)
    async with holding(other_session, HELD[what], known[ANNE]):
        hers = asyncio.create_task(world.write("Hello?", phone=ANNE))
        async with world.working():
            for text in ("first", "second"):
                await asyncio.gather(*(world.write(text, phone=phone) for phone in OTHERS))
                await at_rest_but_for(world, known[ANNE])
    await asyncio.gather(hers, return_exceptions=True)
    if hers.exception() is not None:  # Meta sends again what was not taken
        assert isinstance(hers.exception(), RowsHeld)
        await world.write("Hello?", phone=ANNE)
    async with world.working():
        await world.at_rest(60)
    assert await world.rows("SELECT DISTINCT fate FROM item") == [("done",)]


async def test_the_counter_of_tickets_is_waited_for_by_nobody_while_there_are_numbers(
    mariadb_world: World, other_session: Rival
) -> None:
    world = mariadb_world
    await meet(world, ANNE)
    async with world.working():
        await world.write("one", phone=OTHERS[0])
        await world.at_rest(60)  # this process has a block by now
        other_session.begin()
        other_session.execute("SELECT value FROM counter WHERE name = 'ticket' FOR UPDATE")
        await asyncio.gather(*(world.write("two", phone=phone) for phone in OTHERS))
        await world.at_rest(60)
        other_session.commit()


async def test_a_session_that_stands_still_with_its_counts_keeps_nobody(
    mariadb_world: World, migrated_mariadb_url: str
) -> None:
    """Every transaction writes counts: each session has rows of its own."""
    world = mariadb_world
    frozen = [Rival(migrated_mariadb_url) for _ in range(20)]
    for session in frozen:  # they write as a process of ours does that is frozen before its commit
        session.begin()
        session.execute(
            "INSERT INTO kept_count (id, counted, state, topic, total) "
            "VALUES (CONCAT('item.pending.s', CONNECTION_ID()), 'item', 'pending', '', 1)"
        )
    await meet(world, *OTHERS)
    for session in frozen:
        session.execute("ROLLBACK")
        session.close()


async def test_what_sessions_left_that_are_over_is_folded(mariadb_database: Database, other_session: Rival) -> None:
    database = mariadb_database
    for at in range(kept_counts.MIN_FOLDED + 5):
        other_session.execute("INSERT INTO kept_count VALUES (?, 'item', 'done', '', 2)", [f"item.done.s{10**9 + at}"])
    await database.run(_count_one)
    assert await database.run(kept_counts.fold) == kept_counts.MIN_FOLDED + 5
    async with database.reading() as tx:
        assert (await kept_counts.count_items(tx)).done == 2 * (kept_counts.MIN_FOLDED + 5) + 1
        assert len(await tx.fetch("SELECT id FROM kept_count")) == 2, "one session is alive, and has its row"
    assert await database.run(kept_counts.fold) == 0


async def _count_one(tx: Tx) -> None:
    kept_counts.add(tx, Counted.ITEM, [Fate.DONE])


async def test_an_agent_hears_at_once_that_a_customer_is_held_and_others_do_not(
    mariadb_world: World, other_session: Rival
) -> None:
    world = mariadb_world
    known = await meet(world, ANNE, OTHERS[0])

    async def write(tx: Tx, locked: object) -> object:
        return locked

    async with holding(other_session, HELD["conversation"], known[ANNE]):
        for _ in range(3):
            with pytest.raises(RowsHeld) as refused:
                await world.agents.run_for_customer(known[ANNE], write)
            assert not isinstance(refused.value, AgentError)
        assert await world.agents.run_for_customer(known[OTHERS[0]], write)
        summary = world.database.held.summarize()
        assert summary is not None
        assert summary.customer_ids == [known[ANNE]]
    assert await world.agents.run_for_customer(known[ANNE], write)
    assert not world.database.held[HeldFor.AGENTS].list_holds()


async def test_a_session_idle_in_a_transaction_is_ended(mariadb_database: Database, other_session: Rival) -> None:
    """Its process is frozen, or cut off: what it holds is free within seconds."""
    columns = ("customer_id", "version", "body")
    await mariadb_database.run(lambda tx: tx.insert("conversation", columns, [(1, 0, "")]))
    other_session.execute("SET innodb_lock_wait_timeout = 60")

    async def stand_still() -> None:
        async with mariadb_database.transaction() as tx:
            await fence.raise_version(tx, 1)
            await asyncio.to_thread(other_session.execute, "UPDATE conversation SET body = 'ours'")
            await tx.fetch("SELECT 1")

    with pytest.raises(DatabaseDown):
        await stand_still()
    assert other_session.execute("SELECT version, body FROM conversation") == [(0, "ours")]


async def test_what_takes_long_is_not_ended(mariadb_database: Database) -> None:
    waits = "SELECT @@idle_transaction_timeout, @@innodb_lock_wait_timeout"
    async with mariadb_database.transaction() as tx:
        ((idle, wait),) = await tx.fetch(waits)
    async with mariadb_database.transaction(60.0) as tx:
        ((long_idle, long_wait),) = await tx.fetch(waits)
    async with mariadb_database.transaction() as tx:
        assert list(await tx.fetch(waits)) == [(idle, wait)], "it has another session"
    assert (idle, wait, long_idle) == (MAX_IDLE_SECONDS, 1, 0)
    assert long_wait >= 60


async def test_who_takes_over_ends_the_sessions_of_the_dead_alone(
    mariadb_world: World, migrated_mariadb_url: str
) -> None:
    world, dead = mariadb_world, Rival(migrated_mariadb_url)
    ((dead_id,),) = dead.execute("SELECT CONNECTION_ID()")
    theirs = await sessions.read_sessions(world.database, [dead_id])
    living = OwnedSessions(database=world.database, lanes=world.lanes)
    await world.lanes.beat()
    await Lanes(world.redis, "dead").sessions.record({dead_id: "10.0.0.1:1"})  # this number is another's by now
    living.look_soon()
    await living.keep()
    await world.until(lambda: world.redis.hexists("tick:sessions", "intake"))

    async def look() -> bool:
        living.look_soon()
        await living.keep()
        return not await world.redis.hexists("tick:sessions", "dead")

    await world.later(0)
    async with world.working():  # it beats, and after a second it is known who is alive
        await world.until(look, 25)
        assert dead.execute("SELECT 1") == [(1,)], "what came from elsewhere is not theirs"
        await Lanes(world.redis, "dead").sessions.record(theirs)
        await world.until(look, 25)
    with pytest.raises(Exception, match="Lost connection|gone away|closed|killed"):
        dead.execute("SELECT 1")
