"""The worker through the bad days of Redis and SQL, and at its own end."""

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pymysql
import pytest

from bot.settings import BotSettings
from bot.worker.rounds import MAX_ITEMS_PER_ROUND
from flows import DEFAULT_ISSUE_TYPES
from storage import kept_counts
from storage.customers import NOBODY
from storage.sql.columns import to_millis
from storage.sql.database import Database, DatabaseDown
from tests.bot.graph import Reply
from tests.bot.world import ANNE, BEN, NUMBER, World, open_world
from tests.support.servers import MariaDBServer, RedisServer

PATIENCE_SECONDS = 30


@pytest.fixture
def own_redis(redis_url: str) -> Iterator[RedisServer]:
    """A Redis that may be killed."""
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
async def lonely(database: Database, own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    """A world on a Redis of its own."""
    async with open_world(database, own_redis.url, tmp_path) as world:
        yield world


async def wait_for_answers(world: World, requests: int) -> None:
    """Waits until Meta was asked so often."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(world.graph.requests) < requests:
            await asyncio.sleep(0.01)


async def test_redis_may_forget_everything_in_mid_conversation(world: World) -> None:
    async with world.working():
        for at, text in ((1, "My printer is on fire"), (3, "yes")):
            await world.write(text)
            if at == 1:
                await wait_for_answers(world, 1)
                await world.redis.flushall()
                await world.write("hardware")
            await world.redis.flushall()
            await wait_for_answers(world, at + (at == 1))
        await world.at_rest()
    assert len(await world.rows("SELECT 1 FROM ticket")) == 1
    assert len(world.graph.requests) == 3


async def test_what_nobody_rang_for_is_found_by_the_sweep(world: World) -> None:
    world.sweep_seconds = BotSettings(NUMBER, issue_types=DEFAULT_ISSUE_TYPES).sweep_seconds
    await world.write("Hi")
    await world.redis.flushall()
    async with world.working():
        await wait_for_answers(world, 1)


async def test_a_redis_that_is_absent_at_the_start_and_comes_later(lonely: World, own_redis: RedisServer) -> None:
    lonely.sweep_seconds = BotSettings(NUMBER, issue_types=DEFAULT_ISSUE_TYPES).sweep_seconds
    own_redis.stop(signal.SIGKILL)
    await lonely.write("Hi")
    async with lonely.working():
        await asyncio.sleep(0.5)
        assert not lonely.graph.requests
        own_redis.start()
        await wait_for_answers(lonely, 1)
        await lonely.at_rest()


async def test_a_redis_that_is_killed_and_comes_back(lonely: World, own_redis: RedisServer) -> None:
    async with lonely.working():
        await lonely.write("My printer is on fire")
        await wait_for_answers(lonely, 1)
        own_redis.stop(signal.SIGKILL)
        await lonely.write("hardware")
        own_redis.start()
        await wait_for_answers(lonely, 2)
        await lonely.write("yes")
        await wait_for_answers(lonely, 3)
        await lonely.at_rest()
    assert len(await lonely.rows("SELECT 1 FROM ticket")) == 1
    assert len(lonely.graph.requests) == 3


async def test_a_redis_that_hangs_delays_the_webhook_little(lonely: World, own_redis: RedisServer) -> None:
    async with lonely.working():
        await lonely.write("Hi")
        await wait_for_answers(lonely, 1)
        own_redis.send(signal.SIGSTOP)
        waits = []
        for text in ("My printer is on fire", "And so is the desk"):
            began = time.monotonic()
            await lonely.write(text)
            waits.append(time.monotonic() - began)
        await asyncio.sleep(2.5)  # longer than any call to Redis waits
        own_redis.send(signal.SIGCONT)
        await wait_for_answers(lonely, 3)
        await lonely.at_rest()
    assert min(waits) < 1, "a call to Redis waits for two; of the webhooks a busy machine delays some, and not all"
    assert await lonely.fates() == [("done", "")] * 3


async def test_a_stop_finishes_what_is_being_sent_and_leaves_nothing_in_doubt(world: World) -> None:
    held = asyncio.Event()
    world.graph.by_customer[f"+{ANNE}"] = deque([Reply(held=held)])
    await world.write("Hi")
    stop = asyncio.Event()
    worker = world.worker()
    running = asyncio.create_task(worker.run(stop))
    await world.graph.until(1)
    stop.set()
    await world.write("Hi", phone=BEN)  # nobody takes this one
    asyncio.get_running_loop().call_later(0.7, held.set)
    await asyncio.wait_for(running, 8)
    assert await world.rows("SELECT status FROM outbox") == [("accepted",)]
    assert await world.fates() == [("done", ""), ("pending", "")]
    alive = await world.lanes.find_alive_owners()
    assert not alive or worker._lanes.owner not in alive
    async with world.working():  # and the next process goes on at once
        await wait_for_answers(world, 2)


async def test_a_stop_comes_to_an_end_at_whatever_moment(mariadb_world: World) -> None:
    """A cancellation may be lost in a library that is just opening a connection: one stop of fifty hung."""
    world = mariadb_world
    for at in range(80):
        stop = asyncio.Event()
        running = asyncio.create_task(world.worker().run(stop))
        await asyncio.sleep(at % 20 * 0.003)
        stop.set()
        await world.lanes.ring({NOBODY: 0.0})
        await asyncio.wait_for(running, 20)


async def test_a_lane_that_is_slow_to_deliver_keeps_nobody_waiting(world: World) -> None:
    held = asyncio.Event()
    world.graph.by_customer[f"+{ANNE}"] = deque([Reply(held=held)])
    await world.write("Hi")
    async with world.working():
        await world.graph.until(1)
        for at in range(3):
            await world.write(f"word {at}", phone=BEN)
        await wait_for_answers(world, 4)
        held.set()
        await world.at_rest()
    assert [request.to for request in world.graph.requests] == [f"+{ANNE}"] + [f"+{BEN}"] * 3


async def test_a_sender_that_died_is_in_doubt_and_then_sent_again(world: World) -> None:
    """It marked the row, and was never heard of again."""
    world.doubt_seconds = 1.0
    await world.write("Hi")
    await world.play()
    at = int(world.clock().timestamp() * 1000)
    world.is_written_by_hand = True
    await world.database.run(
        lambda tx: tx.execute("UPDATE outbox SET status = 'sending', owner = 'gone', attempts = 1, marked_at = ?", [at])
    )
    async with world.working():
        await wait_for_answers(world, 1)
        await world.at_rest()
    assert await world.rows("SELECT status, resent FROM outbox") == [("accepted", 1)]


async def test_a_database_that_hangs_costs_time_and_nothing_else(
    mariadb_world: World, mariadb_server: MariaDBServer
) -> None:
    world = mariadb_world
    async with world.working():
        await world.write("My printer is on fire", "hardware")
        mariadb_server.send(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        mariadb_server.send(signal.SIGCONT)
        await world.write("yes")
        await world.at_rest()
    assert len(await world.rows("SELECT 1 FROM ticket")) == 1
    assert len(world.graph.requests) == 3
    assert not world.graph.doubled


async def test_connections_that_are_killed_again_and_again_cost_nothing(
    mariadb_world: World, mariadb_server: MariaDBServer
) -> None:
    world = mariadb_world
    phones = [f"1555000{number}" for number in range(1000, 1006)]

    async def kill() -> None:
        for _ in range(15):
            await asyncio.sleep(0.08)
            for (connection_id,) in mariadb_server.execute(
                "SELECT id FROM information_schema.processlist WHERE user = 'tick'"
            ):
                with contextlib.suppress(pymysql.err.OperationalError):  # it has gone by itself
                    mariadb_server.execute(f"KILL CONNECTION {connection_id}")

    async def walk(phone: str) -> None:
        for text in ("My printer is on fire", "hardware", "yes"):
            await persist(world, text, phone)

    async with world.working(world.worker(), world.worker()):
        await asyncio.gather(kill(), *(walk(phone) for phone in phones))
        await until_rest(world)
    assert len(await world.rows("SELECT 1 FROM ticket")) == 6
    assert len({request.outbox_id for request in world.graph.requests}) == len(world.graph.requests) == 18


async def persist(world: World, text: str, phone: str) -> None:
    """As Meta does: the webhook comes again until it was taken."""
    value = world.message(text, phone=phone)
    while True:
        try:
            await world.receive(value)
            return
        except DatabaseDown:
            await asyncio.sleep(0.1)


async def until_rest(world: World) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                await world.at_rest()
                return
            except DatabaseDown:
                await asyncio.sleep(0.1)


async def test_retention_runs_beside_the_work(world: World) -> None:
    await world.write("Hi")
    await world.play()
    world.clock.forward(91 * 86_400)
    before = await world.counts()
    async with world.working():
        await world.until(lambda: world.rows("SELECT 1 FROM daily_total"))
    async with world.database.reading() as tx:
        assert (await kept_counts.count_items(tx))._asdict() == before
    assert await world.rows("SELECT 1 FROM item") == []


async def test_a_round_takes_no_more_than_it_can_commit(world: World) -> None:
    phones = [f"1555000{n:04d}" for n in range(25)]
    for phone in phones:
        await world.receive(*[world.message(str(n), phone=phone, ago=200 - n) for n in range(60)])
    played = await world.rounds().play([await world.lane(phone) for phone in phones])
    assert (await world.counts())["done"] == MAX_ITEMS_PER_ROUND
    assert all(lane.again_seconds is not None and lane.again_seconds <= 0 for lane in played)


async def test_a_mark_that_its_living_owner_has_lost_is_found(world: World) -> None:
    worker = world.worker()
    async with world.working(worker):
        await world.write("Hi")
        await world.at_rest()
        marked_at = to_millis(world.clock() - timedelta(seconds=61))
        async with world.database.transaction() as tx:
            world.is_written_by_hand = True
            lost = "UPDATE outbox SET status = 'sending', wamid = NULL, owner = ?, marked_at = ?"
            await tx.execute(lost, [worker._lanes.owner, marked_at])
        await world.at_rest()
    assert await world.sends() == [("accepted", "")]
