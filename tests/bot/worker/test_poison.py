"""Who is to blame when processes die: only what they had in a round."""

import asyncio

from bot.worker.poison import MAX_ROUNDS_OF_SUSPECTS, divide_into_rounds
from storage.journal import MAX_ATTEMPTS
from storage.redis.lanes import ClaimedLane, LanePhase, Lanes
from storage.sql.database import Tx
from tests.bot.world import World
from tests.support.databases import Rival
from tests.support.servers import MariaDBServer

PHONES = [f"1555001{number:04}" for number in range(3)]


async def leave_by_the_dead(world: World, attempts: int) -> tuple[Lanes, list[int]]:
    """Each of PHONES has said something; as many processes have died in its round, and one more has claimed it."""
    for phone in PHONES:
        await world.write("Hi", phone=phone)

    async def died(tx: Tx) -> None:
        await tx.execute("UPDATE item SET attempts = ?", [attempts])

    await world.database.run(died)
    dead = Lanes(world.redis, "dead")
    customer_ids = sorted((await world.customers()).values())
    await dead.ring(dict.fromkeys(customer_ids, 0.0))
    assert len((await dead.claim(10)).lanes) == len(PHONES)
    return dead, customer_ids


async def test_of_those_that_run_alone_only_one_is_in_a_round(
    mariadb_world: World, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    """Should the process die now, the others have waited, and are not to blame."""
    world = mariadb_world
    await leave_by_the_dead(world, attempts=MAX_ATTEMPTS - 2)
    rival = Rival(migrated_mariadb_url)
    rival.execute("LOCK TABLES outbox READ")  # a round waits where it writes its answers
    async with world.working():
        waiting = "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'"
        async with asyncio.timeout(20):
            while not mariadb_server.execute(waiting):
                await asyncio.sleep(0.02)
        holds = [str(hold) for hold in await world.redis.hvals("tick:owner")]
        rival.execute("UNLOCK TABLES")
        await world.at_rest()
    rival.close()
    assert [sum(f"|{phase}" in hold for hold in holds) for phase in ("round", "waiting")] == [1, 2]
    assert await world.rows("SELECT DISTINCT fate, attempts FROM item") == [("done", MAX_ATTEMPTS - 1)]


async def test_who_waited_while_a_process_died_is_not_to_blame(world: World) -> None:
    dead, customer_ids = await leave_by_the_dead(world, attempts=MAX_ATTEMPTS - 1)
    await dead.mark(customer_ids[1:], LanePhase.WAITING)
    async with world.working():
        await world.at_rest()
    fates = dict(await world.rows("SELECT customer_id, fate FROM item"))
    assert [fates[customer_id] for customer_id in customer_ids] == ["dead", "done", "done"]
    assert await world.rows("SELECT attempts FROM item WHERE fate = 'done'") == [(MAX_ATTEMPTS - 1,)] * 2


def test_what_shared_a_deadly_round_is_played_alone_the_least_suspect_first() -> None:
    deaths = {2: 1, 3: 4, 4: 1, 5: 2, 6: 3}
    claimed = [ClaimedLane(customer_id, None, None) for customer_id in range(1, 8)]
    rounds = list(divide_into_rounds(claimed, deaths))
    assert [[lane.customer_id for lane in one.lanes] for one in rounds] == [[1, 7], [2], [4], [5], [6], [3]]
    assert [one.suspicion.value for one in rounds] == ["none", "shared", "shared", "strong", "strong", "strong"]
    assert [one.max_items > 1 for one in rounds] == [True, True, True, True, False, False]


def test_many_that_shared_a_deadly_round_share_a_few_more() -> None:
    claimed = [ClaimedLane(customer_id, None, None) for customer_id in range(3 * MAX_ROUNDS_OF_SUSPECTS)]
    rounds = list(divide_into_rounds(claimed, {lane.customer_id: 1 for lane in claimed}))
    assert [len(one.lanes) for one in rounds] == [3] * MAX_ROUNDS_OF_SUSPECTS
