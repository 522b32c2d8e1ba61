"""The fence: whatever happens between the plan of a round and its commit, one effect each, in order.

A rival process holds a lock, so that the round's transaction waits at its first statement; then the rival changes what
the plan rests on, and lets go.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.worker.played_lane import PlayedLane
from bot.worker.rounds import MAX_ITEMS_PER_LANE, Rounds
from storage import fence
from storage.fence import LaneStateUpdate
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Database, Tx
from storage.ticket_numbers import TicketNumbers
from tests.bot.world import ANNE, World
from tests.support.databases import Rival, until_blocked
from tests.support.servers import MariaDBServer

COUNT_PENDING = "INSERT INTO kept_count (id, counted, state, topic, total) VALUES ('item.x', 'item', 'pending', '', 1)"
SELECT_FATES = "SELECT fate, late FROM item ORDER BY meta_at, id"


class WaitingNumbers(TicketNumbers):
    """Has a round stand still when it has read what its turns rest on, until the rival has committed."""

    def __init__(self, world: World, rival: Rival) -> None:
        super().__init__(world.database)
        self._rival = rival
        self.reached = asyncio.Event()

    async def top_up(self, wanted: int) -> None:
        self.reached.set()
        while self._rival.is_in_transaction:
            await asyncio.sleep(0.005)
        await super().top_up(wanted)


@asynccontextmanager
async def between(world: World, rival: Rival, *lanes: ClaimedLane) -> AsyncIterator[asyncio.Task[list[PlayedLane]]]:
    """Inside, a round on `lanes` has read what it plays on, and waits for the rival; after it the round has come to its
    end."""
    numbers = WaitingNumbers(world, rival)
    rival.begin()
    playing = asyncio.create_task(world.rounds(numbers=numbers).play(lanes))
    await numbers.reached.wait()
    yield playing
    await playing


async def read_claimed_lane(world: World, phone: str = ANNE) -> ClaimedLane:
    """The lane as Redis brings it, with the working copy."""
    customer_id = (await world.customers())[f"p:{phone}"]
    ((version, body),) = await world.rows("SELECT version, body FROM conversation WHERE customer_id = ?", customer_id)
    return ClaimedLane(customer_id, version, body)


async def test_of_two_at_the_same_version_exactly_one_commits(database: Database, world: World) -> None:
    await world.write("Hi")
    lane = await read_claimed_lane(world)

    async def step(tx: Tx) -> bool:
        return await fence.raise_versions(tx, [LaneStateUpdate(lane.customer_id, 0, '["",null,null,""]')])

    assert sorted(await asyncio.gather(*(database.run(step) for _ in range(8)))) == [False] * 7 + [True]
    assert await world.rows("SELECT version FROM conversation") == [(1,)]


async def test_two_workers_that_planned_the_same_turn_have_one_effect(world: World) -> None:
    await world.write("My printer is on fire", "hardware", "yes")
    lane = await read_claimed_lane(world)
    played = await asyncio.gather(*(world.rounds().play([lane]) for _ in range(6)))
    assert await world.fates() == [("done", "")] * 3
    assert len(await world.rows("SELECT 1 FROM ticket")) == 1
    assert len(await world.sends()) == 3
    assert sum(one.moved for (one,) in played) == 1
    assert await world.rows("SELECT version FROM conversation") == [(1,)]


async def test_a_stalled_workers_late_commit_is_refused(world: World, rival: Rival) -> None:
    """It planned, stood still, and another took over and committed."""
    await world.write("My printer is on fire", "hardware", "yes")
    stalled = await read_claimed_lane(world)
    await world.play()
    (played,) = await world.rounds().play([stalled])
    assert not played.moved
    assert len(await world.rows("SELECT 1 FROM ticket")) == 1
    await world.write("It still burns")
    stale_copy = stalled  # version 0, where SQL has 1
    (played,) = await world.rounds().play([stale_copy])
    assert (played.moved, played.forced, played.version) == (True, True, 2)
    assert len(await world.rows("SELECT 1 FROM ticket")) == 1, "played on the newest conversation, as a reply"
    assert len(await world.rows("SELECT 1 FROM reply")) == 1


async def test_a_working_copy_ahead_of_sql_is_overwritten(world: World) -> None:
    """SQL was restored from a backup: Redis knows a later version."""
    await world.write("Hi")
    lane = await read_claimed_lane(world)
    (played,) = await world.rounds().play([ClaimedLane(lane.customer_id, 41, lane.body)])
    assert (played.moved, played.forced, played.version) == (True, True, 1)


async def test_an_older_message_that_comes_between_is_taken_in_order(world: World, rival: Rival) -> None:
    await world.write("hardware", ago=10)
    lane = await read_claimed_lane(world)
    customer_id = lane.customer_id
    async with between(world, rival, lane) as playing:
        item = world.message("My printer is on fire", ago=20)
        rival.execute(
            "INSERT INTO item (id, `key`, kind, customer_id, address, meta_at, received_at, payload, fate, reason, "
            "attempts, late, duplicates) VALUES (1, 'm:x', 'message', ?, ?, ?, ?, ?, 'pending', '', 0, 0, 0)",
            [customer_id, ANNE, int(item["messages"][0]["timestamp"]) * 1000, int(world.clock().timestamp() * 1000),
             '{"message":{"id":"wamid.x","type":"text","text":{"body":"My printer is on fire"}}}'],
        )  # fmt: skip
        rival.execute(COUNT_PENDING)
        rival.commit()
        (played,) = await playing
    assert played.forced
    assert await world.rows(SELECT_FATES) == [("done", 0), ("done", 0)]
    effects = await world.rows("SELECT id FROM outbox ORDER BY version, id")
    ordered = await world.rows("SELECT item_id FROM outbox ORDER BY version, id")
    assert len(effects) == 2
    assert ordered[0] == (1,), "the older one was answered first"


async def test_an_agents_change_that_comes_between_is_seen_by_the_turn(world: World, rival: Rival) -> None:
    await world.write("My printer is on fire", "hardware", "yes")
    await world.play()
    ((ticket_id,),) = await world.rows("SELECT id FROM ticket")
    await world.write("Thanks, it burns well")
    lane = await read_claimed_lane(world)
    async with between(world, rival, lane) as playing:
        rival.execute("UPDATE conversation SET version = version + 1 WHERE customer_id = ?", [lane.customer_id])
        world.is_written_by_hand = True
        rival.execute("UPDATE ticket SET status = 'closed' WHERE id = ?", [ticket_id])
        rival.commit()
        (played,) = await playing
    assert (played.moved, played.forced) == (True, True)
    assert await world.rows("SELECT version FROM conversation") == [(3,)]
    assert await world.rows("SELECT 1 FROM reply") == [], "a closed ticket takes no reply"


async def test_the_other_lanes_of_the_round_commit(world: World, rival: Rival) -> None:
    phones = [f"1555000{number}" for number in range(1000, 1006)]
    for phone in phones:
        await world.write("Hi", phone=phone)
    lanes = [await read_claimed_lane(world, phone) for phone in phones]
    moved = lanes[2].customer_id
    async with between(world, rival, *lanes) as playing:
        rival.execute("UPDATE conversation SET version = version + 1 WHERE customer_id = ?", [moved])
        rival.commit()
        played = await playing
    assert await world.fates() == [("done", "")] * 6
    assert len(await world.sends()) == 6
    versions = await world.rows("SELECT customer_id, version FROM conversation")
    assert {row[1] for row in versions if row[0] != moved} == {1}
    assert dict(versions)[moved] == 2
    assert {one.customer_id for one in played if one.forced} == {moved}
    assert sorted(one.customer_id for one in played) == sorted(lane.customer_id for lane in lanes)


async def test_twenty_rounds_over_the_same_lanes_meet_no_deadlock(world: World) -> None:
    phones = [f"1555000{number}" for number in range(1000, 1008)]
    for phone in phones:
        await world.write("My printer is on fire", "hardware", "yes", phone=phone)
    lanes = [await read_claimed_lane(world, phone) for phone in phones]
    together = (world.rounds() for _ in range(20))
    mixed = [lanes[at % 8 :] + lanes[: at % 8] if at % 2 else lanes[::-1] for at in range(20)]
    await asyncio.gather(*(Rounds.play(rounds, some) for rounds, some in zip(together, mixed, strict=True)))
    assert await world.fates() == [("done", "")] * 24
    assert len(await world.rows("SELECT 1 FROM ticket")) == 8
    assert len(await world.sends()) == 24
    if world.database.dialect == "mysql":
        ((status,),) = await world.rows("SELECT COUNT(*) FROM conversation WHERE version <> 1")
        assert status == 0


async def test_customers_are_locked_in_the_order_of_their_ids(
    mariadb_database: Database, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    async def work(tx: Tx) -> bool:
        return await fence.raise_versions(tx, [LaneStateUpdate(at, 0, "") for at in (3, 1, 4, 2)])

    rows = [(at, 0, "") for at in (4, 2, 3, 1)]
    await mariadb_database.run(lambda tx: tx.insert("conversation", ("customer_id", "version", "body"), rows))
    rival = Rival(migrated_mariadb_url)
    rival.begin()
    rival.execute("SELECT 1 FROM conversation WHERE customer_id = 2 FOR UPDATE")
    raising = asyncio.create_task(mariadb_database.run(work))
    await until_blocked(mariadb_server)
    for free in (3, 4):  # it stands at the second lock: those behind it are not taken yet
        rival.execute("SELECT 1 FROM conversation WHERE customer_id = ? FOR UPDATE NOWAIT", [free])
    rival.commit()
    assert await raising
    rival.close()


async def test_what_is_no_message_waits_for_its_turn_behind_many_messages(world: World) -> None:
    await world.receive(*[world.message(str(n), ago=300 - n, bsuid="US.1") for n in range(MAX_ITEMS_PER_LANE + 10)])
    change = {"wa_id": ANNE, "user_id": {"previous": "US.1", "current": "US.2"}, "timestamp": str(int(time.time()))}
    await world.receive({"user_id_update": [change]}, field="user_id_update")
    await world.play()
    await world.play()
    assert await world.rows("SELECT DISTINCT fate, late FROM item") == [("done", 0)]
