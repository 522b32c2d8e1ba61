"""Tests that the fence raises a version by one, for all lanes of a round or for none."""

import pytest

from storage import fence
from storage.fence import LaneStateUpdate
from storage.sql.database import Database, Tx

BODY = '["15550001111",null,null,"😀 quote\' \\\\ %s ?"]'


@pytest.fixture(autouse=True)
async def three(database: Database) -> None:
    rows = [(at, at * 10, "old") for at in (1, 2, 3)]
    await database.run(lambda tx: tx.insert("conversation", ("customer_id", "version", "body"), rows))


async def loaded(database: Database) -> dict[int, tuple[int, str]]:
    async with database.reading() as tx:
        return dict(await fence.load_lane_states(tx, [1, 2, 3, 4]))


async def test_all_rise_together(database: Database) -> None:
    moves = [LaneStateUpdate(3, 30, BODY), LaneStateUpdate(1, 10, "one"), LaneStateUpdate(2, 20, "two")]
    assert await database.run(lambda tx: fence.raise_versions(tx, moves))
    assert await loaded(database) == {1: (11, "one"), 2: (21, "two"), 3: (31, BODY)}


@pytest.mark.parametrize("wrong", [LaneStateUpdate(2, 19, ""), LaneStateUpdate(2, 21, ""), LaneStateUpdate(4, 0, "")])
async def test_one_that_has_moved_is_told(database: Database, wrong: LaneStateUpdate) -> None:
    async def work(tx: Tx) -> None:
        assert not await fence.raise_versions(tx, [LaneStateUpdate(1, 10, "one"), wrong])
        raise LookupError  # as a round rolls back

    with pytest.raises(LookupError):
        await database.run(work)
    assert await loaded(database) == {1: (10, "old"), 2: (20, "old"), 3: (30, "old")}


async def test_a_body_that_stays_the_same_still_counts_as_moved(database: Database) -> None:
    """MySQL reports a row whose values don't change as untouched: the version always does."""
    assert await database.run(lambda tx: fence.raise_versions(tx, [LaneStateUpdate(1, 10, "old")]))


async def test_an_agents_fence_raises_whatever_is_there(database: Database) -> None:
    async def work(tx: Tx) -> tuple[int, str]:
        found = await fence.raise_version(tx, 2)
        await fence.write_body(tx, 2, BODY)
        return found

    assert await database.run(work) == (21, "old")
    assert (await loaded(database))[2] == (21, BODY)


async def test_nobody_is_asked_about(database: Database) -> None:
    async with database.reading() as tx:
        assert await fence.load_lane_states(tx, []) == {}
