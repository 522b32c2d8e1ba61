"""Tests that workers go on without Redis: by SQL, each lane by its fence alone, nothing doubled or out of order."""

import asyncio
from collections import Counter, deque

import pytest

from bot.worker.lane_claims import choose_lanes
from bot.worker.worker import Worker
from storage.redis.lanes import MAX_WAIT_SECONDS
from tests.bot.graph import Reply
from tests.bot.world import ANNE, BEN, World
from tests.support.redis_presence import SettablePresence

CUSTOMERS = [f"155500010{number:02}" for number in range(12)]


async def without_redis(world: World, count: int) -> list[Worker]:
    """So many workers that have no Redis."""
    return [world.worker(presence=(await SettablePresence().take_away()).presence) for _ in range(count)]


async def wait_for_answers(world: World, requests: int) -> None:
    """Waits until Meta was asked so often."""
    async with asyncio.timeout(60):
        while len(world.graph.requests) < requests:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("limit", "chosen"), [(6, [1, 2, 3, 4, 5]), (5, [1, 2, 3, 4, 5]), (4, [1, 2, 4, 5]), (1, [1]), (0, [])]
)
def test_where_more_wait_than_fit_half_are_those_who_came_last(limit: int, chosen: list[int]) -> None:
    assert choose_lanes([1, 2, 3, 4, 5], limit) == chosen


async def test_two_workers_share_what_waits(world: World) -> None:
    async with world.working(*await without_redis(world, 2)):
        for text in ("Hi", "The printer is on fire", "Once more"):
            for phone in CUSTOMERS:
                await world.write(text, phone=phone)
        await world.at_rest(60)
    assert set(await world.fates()) == {("done", "")}
    assert world.graph.doubled == []
    assert set(Counter(request.outbox_id for request in world.graph.requests).values()) == {1}
    for phone in CUSTOMERS:
        sent = [request.outbox_id for request in world.graph.requests if request.to == f"+{phone}"]
        ordered = await world.rows(
            "SELECT outbox.id FROM outbox JOIN alias ON alias.customer_id = outbox.customer_id "
            "WHERE alias.alias = ? ORDER BY version, outbox.id",
            f"p:{phone}",
        )
        assert sent == [row[0] for row in ordered]


async def test_a_message_that_is_being_sent_is_left_to_its_worker(world: World) -> None:
    """Both may take the lane, since nobody holds it: the row's mark keeps the other from it, and what is behind it."""
    world.slow_seconds = 0.05
    held = asyncio.Event()
    world.graph.script.append(Reply(held=held))
    async with world.working(*await without_redis(world, 2)):
        await world.write("Hi")
        await world.graph.until(1)
        await world.write("The printer is on fire")
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'queued'"))
        for _ in range(20):  # looks of both
            await world.rows("SELECT 1")
            await asyncio.sleep(0.05)
        assert len(world.graph.requests) == 1
        held.set()
        await world.at_rest(60)
    assert world.graph.doubled == []
    assert len(world.graph.requests) == len({request.outbox_id for request in world.graph.requests}) == 2


async def test_the_lanes_are_back_with_redis(world: World) -> None:
    presence = SettablePresence()
    worker = world.worker(presence=presence.presence)
    await presence.take_away()
    held = asyncio.Event()
    world.graph.by_customer[f"+{ANNE}"] = deque([Reply(held=held)])
    async with world.working(worker):
        await world.write("Hi", phone=ANNE)
        await world.graph.until(1)
        await presence.give_back()
        await world.write("The printer is on fire", phone=ANNE)  # its lane is worked on, and Redis does not know
        await world.write("Hi", phone=BEN)
        await wait_for_answers(world, 2)
        assert world.graph.requests[1].to == f"+{BEN}"
        held.set()
        await wait_for_answers(world, 3)
        await world.at_rest(60)
    assert world.graph.doubled == []
    assert MAX_WAIT_SECONDS <= 1, "a worker that waits for a lane looks up as often"
