"""Tests each promise of the lanes on every Redis. Identifiers are as long as real ones: 63 bits."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from storage.redis.lanes import FRESH_SECONDS, Claim, LanePhase, Lanes, WorkingCopy
from tests.support.redis_time import pass_time, put_clock_back

ANNE, BEN, CARL, DORA, EMIL, NOBODYS = (2**62 + n for n in range(1, 7))
LATER = 500.0
Maker = Callable[[str], Lanes]


def customers(claim: Claim) -> list[int]:
    return [lane.customer_id for lane in claim.lanes]


async def die(redis: Redis, *owners: str) -> None:
    """Let the owners' proofs of life run out, in a Redis that was never away."""
    await redis.delete(*(f"tick:alive:{owner}" for owner in owners))
    await redis.hset("tick:pulse", "since", "1")


async def test_a_rung_lane_is_claimed_once(lanes_of: Maker) -> None:
    one, other = lanes_of("one"), lanes_of("other")
    await one.ring({ANNE: 0})
    await one.ring({ANNE: 0})
    claim = await one.claim(10)
    assert customers(claim) == [ANNE]
    assert claim.next_due_seconds is None
    assert customers(await other.claim(10)) == []
    await one.release({ANNE: None})
    assert customers(await other.claim(10)) == []


async def test_the_oldest_due_comes_first_and_the_limit_holds(lanes_of: Maker, redis: Redis) -> None:
    lanes = lanes_of("one")
    await lanes.ring({ANNE: LATER, BEN: LATER, CARL: LATER})
    for customer_id, due in ((ANNE, 30), (BEN, 10), (CARL, 20)):
        await redis.zadd("tick:due", {str(customer_id): due})
    first = await lanes.claim(2)
    assert customers(first) == [BEN, CARL]
    assert first.next_due_seconds == 0
    assert customers(await lanes.claim(2)) == [ANNE]


async def test_half_of_a_claim_is_fresh_and_half_has_waited_longest(lanes_of: Maker) -> None:
    """A hundred wait for an hour, the first of them longest, when four more write."""
    lanes = lanes_of("one")
    await lanes.ring({ANNE + number: number - 3_600.0 for number in range(100)})
    fresh = [ANNE + number for number in range(100, 104)]
    await lanes.ring({customer_id: -0.1 * number for number, customer_id in enumerate(fresh)})
    assert customers(await lanes.claim(4)) == [*fresh[:2], ANNE, ANNE + 1], "the newest first"
    assert customers(await lanes.claim(4)) == [*fresh[2:], ANNE + 2, ANNE + 3]
    assert customers(await lanes.claim(4)) == [ANNE + number for number in range(4, 8)], "what nobody fresh takes"
    await lanes.ring({ANNE + 200: -FRESH_SECONDS})
    assert customers(await lanes.claim(2)) == [ANNE + 8, ANNE + 9], "it has waited for too long to be fresh"


async def test_where_there_is_one_place_the_fresh_and_the_old_take_turns(lanes_of: Maker) -> None:
    lanes = lanes_of("one")
    await lanes.ring({ANNE + number: number - 3_600.0 for number in range(100)})
    await lanes.ring({ANNE + number: 0.0 for number in range(100, 200)})
    taken = [customer_id for _ in range(6) for customer_id in customers(await lanes.claim(1))]
    assert sorted(taken)[:3] == [ANNE, ANNE + 1, ANNE + 2]
    assert sum(customer_id >= ANNE + 100 for customer_id in taken) == 3


async def test_a_lane_with_more_to_do_goes_back_to_its_place(lanes_of: Maker) -> None:
    lanes = lanes_of("one")
    await lanes.ring({ANNE + number: 100.0 * number - 3_600.0 for number in range(10)})
    assert customers(await lanes.claim(2)) == [ANNE, ANNE + 1]
    await lanes.release({ANNE: -3_150.0, ANNE + 1: 0.0})
    assert customers(await lanes.claim(20)) == [ANNE + number for number in (2, 3, 4, 0, 5, 6, 7, 8, 9, 1)], (
        "after those who wrote before what it has left"
    )


async def test_the_earlier_instant_wins(lanes_of: Maker) -> None:
    lanes = lanes_of("one")
    await lanes.ring({ANNE: LATER})
    await lanes.ring({ANNE: 10 * LATER})
    claim = await lanes.claim(10)
    assert customers(claim) == []
    assert claim.next_due_seconds == pytest.approx(LATER, abs=5)
    await lanes.ring({ANNE: 0})
    assert customers(await lanes.claim(10)) == [ANNE]


@pytest.mark.parametrize(
    ("rung", "released", "due"),
    [
        (None, None, None),
        (None, LATER, LATER),
        (LATER, None, LATER),
        (LATER, 2 * LATER, LATER),
        (2 * LATER, LATER, LATER),
        (0, LATER, 0),
        (LATER, 0, 0),
        (0, None, 0),
    ],
)
async def test_a_held_lane_that_is_rung_is_due_on_release(
    lanes_of: Maker, redis: Redis, rung: float | None, released: float | None, due: float | None
) -> None:
    lanes, web = lanes_of("one"), lanes_of("web")
    await lanes.ring({ANNE: 0})
    await lanes.claim(10)
    if rung is not None:
        await web.ring({ANNE: 2 * LATER})
        await web.ring({ANNE: rung})
        if rung < LATER:
            await web.ring({ANNE: LATER})
    assert customers(await lanes.claim(10)) == []
    await lanes.release({ANNE: released})
    assert await redis.llen("tick:wake") == (1 if due == 0 else 0)
    claim = await lanes.claim(10)
    assert customers(claim) == ([ANNE] if due == 0 else [])
    if due:
        assert claim.next_due_seconds == pytest.approx(due, abs=5)
    else:
        assert claim.next_due_seconds is None
    assert await redis.zcard("tick:again") == 0


async def test_the_working_copy_goes_only_forward_and_comes_with_the_claim(lanes_of: Maker, redis: Redis) -> None:
    lanes = lanes_of("one")
    await lanes.put_copies([WorkingCopy(ANNE, 3, '{"a": "ü"}'), WorkingCopy(BEN, 1, "b")])
    await lanes.put_copies([WorkingCopy(ANNE, 2, "older"), WorkingCopy(BEN, 2, "newer")])
    await lanes.ring({ANNE: 0, BEN: 0, CARL: 0})
    found = {lane.customer_id: (lane.version, lane.body) for lane in (await lanes.claim(10)).lanes}
    assert found == {ANNE: (3, '{"a": "ü"}'), BEN: (2, "newer"), CARL: (None, None)}
    assert 0 < await redis.pttl(f"tick:conv:{ANNE}") <= 8 * 86_400_000
    await lanes.put_copies([WorkingCopy(ANNE, 1, "from SQL"), WorkingCopy(BEN, 1, "not this")], force={ANNE})
    await lanes.release({ANNE: 0, BEN: 0})
    found = {lane.customer_id: (lane.version, lane.body) for lane in (await lanes.claim(10)).lanes}
    assert found == {ANNE: (1, "from SQL"), BEN: (2, "newer")}
    await lanes.release({ANNE: None, BEN: None})
    await lanes.ring({BEN: 0}, forget=[ANNE, BEN])
    assert (await lanes.claim(10)).lanes[0].version is None
    assert await redis.exists(f"tick:conv:{ANNE}") == 0


async def test_a_dead_process_loses_its_lanes_which_say_what_it_did(lanes_of: Maker, redis: Redis) -> None:
    dead, living = lanes_of("dead"), lanes_of("living")
    await dead.ring({ANNE: 0, BEN: 0, CARL: 0, DORA: 0, EMIL: 0})
    await dead.claim(10)
    await dead.put_copies([WorkingCopy(BEN, 1, "b")], delivering=[CARL])
    await dead.mark([DORA, EMIL, NOBODYS], LanePhase.WAITING)
    await dead.mark([EMIL], LanePhase.ROUND)
    await living.beat()
    assert await living.beat() == 0
    await die(redis, "dead")
    assert await living.beat() == 5
    assert await redis.llen("tick:wake") == 1
    phases = {lane.customer_id: lane.orphan_phase for lane in (await living.claim(10)).lanes}
    assert phases == {ANNE: "round", BEN: "delivery", CARL: "delivery", DORA: "waiting", EMIL: "round"}
    await living.release({ANNE: 0} | dict.fromkeys((BEN, CARL, DORA, EMIL)))
    assert [lane.orphan_phase for lane in (await living.claim(10)).lanes] == [None]
    assert await redis.smembers("tick:owners") == {b"living"}


async def test_who_was_taken_for_dead_harms_nobody(lanes_of: Maker, redis: Redis) -> None:
    stalled, living = lanes_of("stalled"), lanes_of("living")
    await stalled.ring({ANNE: 0})
    await stalled.claim(10)
    await living.beat()
    await die(redis, "stalled")
    assert await living.beat() == 1
    assert customers(await living.claim(10)) == [ANNE]
    await stalled.put_copies([WorkingCopy(ANNE, 7, "a")])
    await stalled.release({ANNE: 0})
    assert await stalled.beat() == 0
    assert customers(await stalled.claim(10)) == []
    await living.release({ANNE: 0})
    assert customers(await stalled.claim(10)) == [ANNE]


async def test_a_lane_that_comes_back_while_its_first_work_runs_waits_for_it(lanes_of: Maker, redis: Redis) -> None:
    stalled, living = lanes_of("stalled"), lanes_of("living")
    await stalled.ring({ANNE: 0, BEN: 0})
    await stalled.claim(10)
    await living.beat()
    await die(redis, "stalled")
    assert await living.beat() == 2
    assert customers(await stalled.claim(10)) == []
    assert customers(await living.claim(10)) == []
    await stalled.release({ANNE: None, BEN: LATER})
    assert sorted(customers(await stalled.claim(10))) == [ANNE, BEN]


async def test_nobody_counts_as_dead_before_redis_was_back_for_a_while(lanes_of: Maker, redis: Redis) -> None:
    one, other = lanes_of("one"), lanes_of("other")
    await other.ring({ANNE: 0})
    await other.claim(10)
    await redis.delete("tick:alive:other")
    assert (await one.find_alive_owners(), await one.is_anybody_alive()) == (None, None)
    assert await one.beat() == 0
    assert (await one.find_alive_owners(), await one.is_anybody_alive()) == (None, True)
    await die(redis, "other")
    assert await one.find_alive_owners() == {"one"}
    assert await one.beat() == 1


async def test_a_process_that_lost_track_gives_back_with_its_next_beat(lanes_of: Maker) -> None:
    before, lanes = lanes_of("one"), lanes_of("one")
    await before.ring({ANNE: -3 * FRESH_SECONDS, BEN: -2 * FRESH_SECONDS})
    await before.claim(1)
    await before.claim(1)
    assert customers(await lanes.claim(1)) == []
    assert await lanes.beat() == 0
    assert customers(await lanes.claim(1)) == [ANNE], "as if the answer to that claim had never come"
    assert await lanes.beat() == 0
    assert customers(await lanes.claim(10)) == [BEN]
    assert await lanes.beat() == 0
    assert customers(await lanes.claim(10)) == [], "what it knows of it keeps"


async def test_leaving_gives_everything_back(lanes_of: Maker, redis: Redis) -> None:
    leaver, other = lanes_of("leaver"), lanes_of("other")
    await leaver.ring({ANNE: 0, BEN: 0})
    await leaver.claim(10)
    await leaver.retire()
    assert [(lane.customer_id, lane.orphan_phase) for lane in (await other.claim(10)).lanes] == [
        (ANNE, None),
        (BEN, None),
    ]
    assert await redis.smembers("tick:owners") == {b"other"}
    assert leaver.held == set()


async def test_one_token_wakes_one_and_the_claim_puts_it_back_while_more_is_due(lanes_of: Maker) -> None:
    lanes, web = lanes_of("one"), lanes_of("web")
    assert await lanes.wait(0) is False
    assert await lanes.wait(0.01) is False
    await web.ring({ANNE: -4 * FRESH_SECONDS, BEN: -3 * FRESH_SECONDS})
    await web.ring({CARL: -2 * FRESH_SECONDS})
    assert await lanes.wait(1) is True
    assert await lanes.wait(0.01) is False
    assert customers(await lanes.claim(2)) == [ANNE, BEN]
    assert await lanes.wait(1) is True
    assert customers(await lanes.claim(2)) == [CARL]
    assert await lanes.wait(0.01) is False
    await web.ring({ANNE: 0})
    await web.ring({BEN: LATER, CARL: LATER})
    assert await lanes.wait(0.01) is False, "held lanes wake nobody"
    await lanes.release({ANNE: None})
    assert await lanes.wait(1) is True


async def test_a_token_that_was_lost_is_back_with_the_next_beat(lanes_of: Maker, redis: Redis) -> None:
    lanes = lanes_of("one")
    await lanes.ring({ANNE: 0})
    await redis.delete("tick:wake")
    await lanes.beat()
    assert await lanes.wait(1) is True


async def test_a_flush_at_any_moment_costs_a_ring(lanes_of: Maker, redis: Redis) -> None:
    lanes, other = lanes_of("one"), lanes_of("other")
    await lanes.ring({ANNE: 0})
    await lanes.claim(10)
    await redis.flushall()
    await redis.script_flush()
    await lanes.put_copies([WorkingCopy(ANNE, 4, "a")])
    await other.ring({ANNE: 0})
    found = (await other.claim(10)).lanes
    assert [(lane.customer_id, lane.version) for lane in found] == [(ANNE, 4)]
    await lanes.release({ANNE: 0})
    assert customers(await lanes.claim(10)) == [], "the hold of the other is not ours to end"
    assert await lanes.beat() == 0
    assert await redis.smembers("tick:owners") == {b"one", b"other"}
    await other.release({ANNE: 0})
    assert customers(await lanes.claim(10)) == [ANNE]


async def test_thousands_in_one_call(lanes_of: Maker) -> None:
    lanes = lanes_of("one")
    many = {ANNE + i: 0.0 for i in range(2_500)}
    await lanes.ring(many, forget=list(many))
    await lanes.put_copies([WorkingCopy(customer_id, 1, "x") for customer_id in many])
    taken = [customer_id for _ in range(3) for customer_id in customers(await lanes.claim(5_000))]
    assert sorted(taken) == sorted(many)
    await lanes.put_copies([WorkingCopy(customer_id, 2, "y") for customer_id in many])
    assert await lanes.beat() == 0
    await lanes.release(dict.fromkeys(many, LATER))
    assert (await lanes.claim(10)).next_due_seconds == pytest.approx(LATER, abs=30)


def test_an_owner_has_a_plain_name(server: object) -> None:
    with pytest.raises(ValueError, match="owner"):
        Lanes(None, "a|b")  # type: ignore[arg-type]


async def test_a_clock_that_is_put_back_makes_nobody_wait(lanes_of: Maker, redis: Redis) -> None:
    """A lane that was due in a moment is due in that moment, and a dead process is dead within seconds."""
    one, other = lanes_of("one"), lanes_of("other")
    await one.ring({ANNE: 0.0, BEN: 0.5, CARL: LATER})
    assert customers(await other.claim(1)) == [ANNE]
    await one.beat()
    await put_clock_back(redis, 3_600.0)
    assert await one.find_alive_owners() is None, "who is alive is not known before all had time for a beat"
    assert await one.beat() == 0, "who is silent is given that time"
    await one.ring({DORA: 0.0})
    await pass_time(redis, 0.5)
    claim = await one.claim(10)
    assert customers(claim) == [DORA, BEN]
    assert claim.next_due_seconds == pytest.approx(LATER, abs=10)
    await redis.hset("tick:pulse", "since", "1")
    assert await one.find_alive_owners() == {"one"}
    assert await one.beat() == 1
    assert customers(await one.claim(10)) == [ANNE]


async def test_a_clock_that_is_put_forward_and_back_again_makes_nobody_wait(lanes_of: Maker, redis: Redis) -> None:
    lanes = lanes_of("one")
    await lanes.ring({ANNE: LATER})
    await pass_time(redis, 3_600.0)
    assert customers(await lanes.claim(10)) == [ANNE]
    await put_clock_back(redis, 3_600.0)
    await lanes.release({ANNE: 0.0})
    assert customers(await lanes.claim(10)) == [ANNE]
