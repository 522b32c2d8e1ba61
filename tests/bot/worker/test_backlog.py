"""A backlog is fair: who writes now is not behind who wrote before, and of those whoever waits longest comes first.

What is compared are counts, since seconds depend on the machine.
"""

import os

from bot.worker.rounds import MAX_ITEMS_PER_LANE
from bot.worker.worker import MAX_HELD_LANES
from storage.redis.lanes import FRESH_SECONDS
from tests.bot.world import ANNE, BEN, World

BACKLOG = int(os.environ.get("CHAOS_BACKLOG", str(2 * MAX_HELD_LANES)))  # customers with a message each
NEWCOMERS = 20
HOUR_SECONDS = 3600.0


async def test_who_writes_now_is_not_behind_who_wrote_an_hour_ago(sqlite_world: World) -> None:
    world = sqlite_world
    world.slow_seconds, world.sweep_seconds = 10.0, 1.0
    before = [f"1555{number:07d}" for number in range(BACKLOG)]
    for start in range(0, BACKLOG, 500):
        await world.receive(*(world.message(phone=phone) for phone in before[start : start + 500]))
    world.clock.forward(HOUR_SECONDS)
    newcomers = [f"1666555{number:04d}" for number in range(NEWCOMERS)]
    await world.receive(*(world.message(phone=phone) for phone in newcomers))
    customers = await world.customers()  # rung here, since a ring of the intake's may be lost on a busy machine
    waits = {phone: place - HOUR_SECONDS for place, phone in enumerate(before)} | dict.fromkeys(newcomers, 0.0)
    await world.lanes.ring({customers[f"p:{phone}"]: wait for phone, wait in waits.items()})
    async with world.working():
        await world.graph.until(BACKLOG + NEWCOMERS, seconds=60 + BACKLOG / 50)
    played = await world.rows("SELECT customer_id FROM item ORDER BY closed_at, received_at, id")
    places = {customer_id: place for place, (customer_id,) in enumerate(played)}
    longest = before[: MAX_HELD_LANES // 2]
    assert max(places[customers[f"p:{phone}"]] for phone in newcomers) < MAX_HELD_LANES, "they are in the first round"
    assert max(places[customers[f"p:{phone}"]] for phone in longest) < MAX_HELD_LANES, "and so is who waits longest"


async def test_a_lane_with_more_than_a_round_takes_keeps_its_place_in_the_line(world: World) -> None:
    await world.receive(*(world.message(f"{number}", ago=0) for number in range(MAX_ITEMS_PER_LANE)))
    await world.later(HOUR_SECONDS)
    await world.write("and one more")
    await world.write("Hi", phone=BEN)
    played = await world.rounds().play([await world.lane(), await world.lane(BEN)])
    again = [lane.again_seconds for lane in played]
    assert again[1] is None
    assert again[0] is not None
    assert -HOUR_SECONDS - 60 < again[0] <= -HOUR_SECONDS


async def test_what_becomes_of_our_messages_takes_no_place_among_the_fresh(world: World) -> None:
    await world.receive(world.message(), world.message(phone=BEN))
    await world.play([await world.lane(), await world.lane(BEN)])
    await world.redis.flushall()
    await world.receive(world.status("wamid.out", "delivered"), world.status("wamid.out", "read", phone=BEN))
    await world.write("Thanks", phone=BEN)

    async def rung() -> bool:
        return int(await world.redis.zcard("tick:due")) == 2

    await world.until(rung)
    seconds, _ = await world.redis.time()
    anne = str((await world.customers())[f"p:{ANNE}"])
    due = await world.redis.zscore("tick:due", anne)
    assert due is not None
    assert due <= 1000 * (int(seconds) + 1 - FRESH_SECONDS)
