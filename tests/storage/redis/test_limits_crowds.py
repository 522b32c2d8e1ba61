"""Tests that no window has more than the limit, and nobody starves, whoever asks in whatever order from wherever.

A grant happened somewhere between the call and its answer, so a window is broken when more grants than the limit lie
wholly inside it.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from storage.redis.client import RedisSettings, open_redis
from storage.redis.embedded import EmbeddedRedis
from storage.redis.limits import Limits
from storage.redis.programs import find_redis_programs
from tests.storage.conftest import Server
from tests.storage.redis.test_limits import NUMBER, crowd
from tests.support.redis_time import pass_time

PAIR_SECONDS, PAIR_BURST = 2.0, 3
Grant = tuple[int, float, float]  # customer, asked at, answered at
spawn = multiprocessing.get_context("spawn")


class Asker:
    """Asks, lets time pass, and writes down what was granted and when."""

    def __init__(self, redis: Redis, limits: Limits) -> None:
        self._redis = redis
        self._limits = limits
        self._passed = 0.0
        self.grants: list[Grant] = []

    def now(self) -> float:
        return self._passed + time.monotonic()

    async def later(self, seconds: float) -> None:
        await pass_time(self._redis, seconds)
        self._passed += seconds

    async def ask(self, customer_ids: Sequence[int]) -> list[float]:
        asked_at = self.now()
        waits = await self._limits.take_many(customer_ids)
        answered_at = self.now()
        asked = zip(customer_ids, waits, strict=True)
        self.grants += [(customer_id, asked_at, answered_at) for customer_id, wait in asked if wait == 0]
        return waits

    async def refused(self, customer_id: int) -> None:
        await self._limits.slow_number()


def most_in(grants: Sequence[Grant], window_seconds: float) -> int:
    """The most grants that lie wholly inside any window of that length, its end not counted."""
    ends = sorted(answered_at for _, _, answered_at in grants)
    inside = ([asked for _, asked, end in grants if last - window_seconds < asked and end <= last] for last in ends)
    return max(map(len, inside), default=0)


@pytest.fixture(scope="module")
def any_redis() -> Iterator[EmbeddedRedis]:
    with TemporaryDirectory() as folder:
        server = EmbeddedRedis.start(Path(folder), programs=lambda: find_redis_programs()[:1])
        yield server
        server.stop()


some = st.lists(st.sampled_from(crowd(9)), min_size=1, max_size=12)
pauses = st.sampled_from([0.0, 0.05, 0.21, 0.5, 0.99, 1.0, 1.5, 7.0])


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.tuples(pauses, some, st.booleans()), min_size=5, max_size=40), per_second=st.integers(1, 6))
def test_no_window_ever_holds_more_than_the_limit(
    any_redis: EmbeddedRedis, steps: list[tuple[float, list[int], bool]], per_second: int
) -> None:
    async def run() -> list[Grant]:
        redis = any_redis.open()
        await redis.flushall()
        asker = Asker(redis, Limits(redis, NUMBER, per_second, pair_seconds=PAIR_SECONDS, pair_burst=PAIR_BURST))
        for pause, customer_ids, refused in steps:
            await asker.later(pause)
            await asker.ask(customer_ids)
            if refused:
                await asker.refused(customer_ids[0])
        await redis.aclose()
        return asker.grants

    grants = asyncio.run(run())
    assert most_in(grants, 1) <= per_second
    for customer_id in crowd(9):
        own = [grant for grant in grants if grant[0] == customer_id]
        for more in range(4):
            assert most_in(own, more * PAIR_SECONDS + 1e-9) <= PAIR_BURST + more


async def test_who_comes_when_told_is_never_passed_by_twice(redis: Redis) -> None:
    """Ten come when they are told to; three push in at every occasion, and a part of the number's rate is gone."""
    obedient, pushing = crowd(10), [2**62 + 100 + n for n in range(3)]
    asker = Asker(redis, Limits(redis, NUMBER, 8))
    due = dict.fromkeys(obedient, 0.0)
    for step in range(150):
        now = asker.now()
        await asker.later(max(0.0, min(due.values()) - now))
        if step % 5 == 0:
            await asker.refused(pushing[0])
        ready = [customer_id for customer_id, at in due.items() if at <= asker.now()]
        waits = await asker.ask([*pushing, *ready])
        for customer_id, wait in zip(ready, waits[len(pushing) :], strict=True):
            due[customer_id] = asker.now() + wait
    everyone = [customer_id for customer_id, _, _ in asker.grants]
    for customer_id in obedient:
        turns = [-1, *(turn for turn, who in enumerate(everyone) if who == customer_id), len(everyone)]
        longest = max(after - before for before, after in pairwise(turns))
        assert longest <= len(obedient) + len(pushing) + 8, "once around, and a place among those of the same second"


def hurry(url: str, first_id: int, seconds: float, done: Connection) -> None:
    """A process with twenty customers who all have a lot to say; it ends when each has had a turn."""

    async def run() -> list[Grant]:
        redis = open_redis(RedisSettings(url))
        limits = Limits(redis, NUMBER, 50)
        await redis.ping()
        done.send(None)
        done.recv()
        until, grants = time.monotonic() + seconds, []

        async def say(customer_id: int) -> None:
            served = False
            while not served or time.monotonic() < until:
                asked_at = time.monotonic()
                wait = await limits.take(customer_id)
                if wait == 0:
                    served = True
                    grants.append((customer_id, asked_at, time.monotonic()))
                await asyncio.sleep(wait)

        await asyncio.gather(*(say(first_id + n) for n in range(20)))
        await redis.aclose()
        return grants

    done.send(asyncio.run(run()))


def test_several_processes_keep_one_limit(real_server: Server) -> None:
    ends, processes = [], []
    for number in range(3):
        here, there = spawn.Pipe()
        processes.append(spawn.Process(target=hurry, args=(real_server.url, 2**62 + 100 * number, 2.0, there)))
        processes[-1].start()
        ends.append(here)
    for here in ends:
        assert here.poll(30)
        here.recv()
    for here in ends:
        here.send(None)
    assert all(here.poll(30) for here in ends), "nobody starves"
    grants: list[Grant] = [grant for here in ends for grant in here.recv()]
    for process in processes:
        process.join()
    served = Counter(customer_id for customer_id, _, _ in grants)
    took = max(grant[2] for grant in grants) - min(grant[1] for grant in grants)
    print(f"{len(grants)} grants in {took:.2f} s, {min(served.values())} to {max(served.values())} each")
    assert len(grants) <= 50 * (int(took) + 1)
    assert most_in(grants, 1) <= 50
    assert len(served) == 60
