"""Tests the rate limits on every Redis. Nobody waits for a clock: what Redis keeps is made older instead."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from storage.redis.client import RedisDown, RedisSettings, open_redis
from storage.redis.limits import MAX_PAIR_WAIT_SECONDS, PAIR_BURST, PAIR_SECONDS, Limits
from tests.storage.conftest import Server
from tests.support.redis_time import pass_time, put_clock_back

NUMBER = "555000000000001"
ANNE, BEN, CARL = 2**62 + 1, 2**62 + 2, 2**62 + 3
SOON = 5.0  # seconds that a slow machine may take from one call to the next; within a call no time passes
Maker = Callable[..., Limits]


@pytest.fixture
def limits_of(redis: Redis) -> Maker:
    return lambda per_second=0.0, **more: Limits(redis, NUMBER, per_second, **more)


def crowd(size: int) -> list[int]:
    return [2**62 + n for n in range(size)]


def granted(waits: list[float]) -> int:
    return waits.count(0.0)


async def test_a_customer_gets_a_burst_and_then_one_message_each_six_seconds(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of()
    assert granted(await limits.take_many([ANNE] * PAIR_BURST)) == PAIR_BURST
    wait = await limits.take(ANNE)
    assert PAIR_SECONDS - SOON < wait <= PAIR_SECONDS
    assert await limits.take(BEN) == 0
    await pass_time(redis, wait)
    assert [await limits.take(ANNE) for _ in range(2)] == [0, pytest.approx(PAIR_SECONDS, abs=SOON)]
    await pass_time(redis, 10 * PAIR_SECONDS)
    assert granted(await limits.take_many([ANNE] * PAIR_BURST)) == 10
    await pass_time(redis, PAIR_BURST * PAIR_SECONDS)
    assert granted(await limits.take_many([ANNE] * 2 * PAIR_BURST)) == PAIR_BURST


async def test_a_number_gets_its_limit_in_any_second_and_no_more(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(80)
    waits = await limits.take_many(crowd(200))
    assert waits[:80] == [0.0] * 80
    assert waits[80:160] == [1.0] * 80
    assert waits[160:] == [2.0] * 40
    await pass_time(redis, 1)
    waits = await limits.take_many(crowd(200)[80:])
    assert granted(waits[:80]) == 80, "each in the order of coming"
    assert granted(waits) == 80


async def test_no_limit_but_that_of_the_pairs(limits_of: Maker) -> None:
    assert granted(await limits_of(0).take_many(crowd(5000))) == 5000


@pytest.mark.parametrize(
    ("per_second", "at_once", "apart"), [(0.5, 1, 2.0), (1, 1, 1.0), (2.5, 2, 1.0), (900, 900, 1.0)]
)
async def test_a_limit_may_be_any_number(limits_of: Maker, per_second: float, at_once: int, apart: float) -> None:
    waits = await limits_of(per_second).take_many(crowd(at_once + 1))
    assert granted(waits) == at_once
    assert waits[-1] == apart


async def test_who_waits_for_one_customers_sake_costs_the_number_nothing(limits_of: Maker) -> None:
    waits = await limits_of(10, pair_burst=1).take_many([ANNE] * 20 + crowd(20)[4:])
    assert waits[:20] == [0.0] + [PAIR_SECONDS] * 19
    assert granted(waits[20:]) == 9


async def test_who_waits_for_the_number_keeps_their_credit(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(0.1, pair_burst=1)
    assert await limits.take(ANNE) == 0
    for _ in range(5):
        assert 0 < await limits.take(BEN) <= 10
    await pass_time(redis, 10)
    assert await limits.take(BEN) == 0


async def test_nobody_is_overtaken_who_comes_in_time(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(0.1)
    assert await limits.take_many([ANNE, BEN, CARL]) == [0, 10, 20]
    await pass_time(redis, 10)
    waits = await limits.take_many([CARL, ANNE, BEN])  # Ben is expected any moment, and comes
    assert (0 < waits[0] <= 10, 10 < waits[1] <= 20, waits[2]) == (True, True, 0)
    await pass_time(redis, 10)
    assert await limits.take(CARL) == 0


async def test_nobody_is_waited_for_who_is_gone(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(2)
    await limits.take_many(crowd(50))
    await pass_time(redis, 60)
    assert await limits.take_many([ANNE, BEN]) == [0, 0]


async def test_a_pair_that_meta_refuses_waits_as_long_as_it_says_and_has_no_burst(
    limits_of: Maker, redis: Redis
) -> None:
    limits = limits_of(80)
    await limits.slow_pair(ANNE, 16)
    assert await limits.take(ANNE) == pytest.approx(16, abs=SOON)
    assert await limits.take(BEN) == 0
    await limits.slow_pair(ANNE, 1)
    assert await limits.take(ANNE) == pytest.approx(16, abs=SOON), "never shorter"
    await pass_time(redis, 16)
    assert await limits.take_many([ANNE] * 2) == [0, pytest.approx(PAIR_SECONDS, abs=SOON)]
    await limits.slow_pair(ANNE, 1e9)
    assert await limits.take(ANNE) == pytest.approx(MAX_PAIR_WAIT_SECONDS, abs=SOON)


async def test_a_number_that_meta_refuses_slows_down_by_steps_and_recovers(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(100)
    customers = iter(range(2**62, 2**63))

    async def rate() -> int:
        await pass_time(redis, 4)  # all who waited are gone
        return granted(await limits.take_many([next(customers) for _ in range(120)]))

    assert await rate() == 100
    await asyncio.gather(*(limits.slow_number() for _ in range(3)))
    seen = [await rate()]
    assert 90 <= seen[0] < 100, "a crowd of refusals is one step"
    for _ in range(9):
        await pass_time(redis, 0.1)
        await limits.slow_number()
    seen.append(await rate())
    assert 75 <= seen[1] < 90, "and no more than a quarter in all"
    while seen[-1] < 100:
        seen.append(await rate())
        assert seen[-1] > seen[-2]
    assert len(seen) > 3


async def test_numbers_have_limits_of_their_own(redis: Redis) -> None:
    one, other = Limits(redis, "1", 1, pair_burst=1), Limits(redis, "2", 1, pair_burst=1)
    assert await one.take(ANNE) == 0
    await one.slow_number()
    assert await other.take(ANNE) == 0


async def test_many_calls_share_a_round_trip(real_server: Server) -> None:
    client: Any = real_server.embedded.open()
    limits = Limits(client, NUMBER, 80)
    waits = await asyncio.gather(*(limits.take(customer_id) for customer_id in crowd(100)))
    assert granted(waits) == 80
    asked = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert asked == 2, "the first finds that the server never saw the script"
    giving_up = asyncio.create_task(limits.take(ANNE))
    await asyncio.sleep(0)
    giving_up.cancel()
    assert await limits.take(BEN) > 0, "who gives up takes nobody along"
    await client.aclose()


async def test_nothing_is_kept_for_ever_and_little_at_all(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(80)
    await limits.take_many(crowd(200))
    assert await redis.llen(f"tick:granted:{NUMBER}") == 80
    await limits.slow_number()
    await limits.slow_pair(ANNE, 60)
    await limits.take_many([BEN, *crowd(200)[100:]], fresh=[BEN])
    keys = {key async for key in redis.scan_iter("*")} - {b"tick:clock:limits"}
    assert len(keys) < 200
    for key in keys:
        assert 0 < await redis.pttl(key) <= 3_600_000
    await pass_time(redis, 4000)
    assert [key async for key in redis.scan_iter("*")] == [b"tick:clock:limits"]


async def test_without_redis_it_is_said(tmp_path: Any) -> None:
    client = open_redis(RedisSettings(f"unix://{tmp_path}/nothing"))
    limits = Limits(client, NUMBER, 80)
    outcomes = await asyncio.gather(limits.take(ANNE), limits.take(BEN), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RedisDown] * 2
    with pytest.raises(RedisDown):
        await limits.slow_pair(ANNE, 1)
    await client.aclose()


async def test_a_clock_that_is_put_back_makes_nobody_wait(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(80)
    assert granted(await limits.take_many([ANNE] * (PAIR_BURST + 1))) == PAIR_BURST
    assert (await limits.take_many(crowd(200))).count(1.0) > 0
    await put_clock_back(redis, 3_600.0)
    assert await limits.take(ANNE) <= PAIR_SECONDS
    assert max(await limits.take_many(crowd(200)[4:])) <= 3.0 + SOON


async def test_who_wrote_just_now_takes_turns_with_those_who_wait_longer(limits_of: Maker, redis: Redis) -> None:
    limits = limits_of(10)
    backlog, fresh = crowd(100), [2**62 + 1000 + n for n in range(12)]
    waits = await limits.take_many([*backlog, *fresh], fresh=fresh)
    assert waits[:10] == [0.0] * 10
    assert waits[100:] == [1.0] * 5 + [2.0] * 5 + [3.0] * 2
    left = backlog[10:]
    for already in (5, 10, 12, 12):
        await pass_time(redis, 1.0)
        asked = fresh + left
        answers = dict(zip(asked, await limits.take_many(asked, fresh=fresh), strict=True))
        sent = [one for one, wait in answers.items() if wait == 0]
        assert len(sent) == 10
        fresh, left = [one for one in fresh if one not in sent], [one for one in left if one not in sent]
        assert 12 - len(fresh) == already
    assert left == backlog[100 - len(left) :], "the others in the order of coming"
