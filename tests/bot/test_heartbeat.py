"""Tests that workers know of each other without Redis, and that one that may be alive never counts as dead."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from bot.clock import utc_now
from bot.heartbeat import DEAD_SECONDS, MAX_GAP_SECONDS, UNHEARD_SECONDS, Heartbeat
from storage.redis.client import Redis, RedisDown, RedisSettings, open_redis
from storage.redis.lanes import Lanes
from storage.sql.database import Database
from tests.support.redis_presence import SettablePresence


@dataclass
class Cluster:
    """Workers on one database and one Redis, with one monotonic clock."""

    database: Database
    redis: Redis
    now: float = 1000.0
    redis_of: dict[str, SettablePresence] = field(default_factory=dict)

    def worker(self, owner: str) -> Heartbeat:
        """The heartbeat of one more worker."""
        self.redis_of[owner] = SettablePresence()
        lanes = Lanes(self.redis, owner, presence=self.redis_of[owner].presence)
        return Heartbeat(database=self.database, lanes=lanes, clock=utc_now, read_time=lambda: self.now)

    async def live(self, seconds: float, *workers: Heartbeat) -> list[set[str] | None]:
        """Lets these workers live for so long; returns what the first of them finds at each of its looks."""
        found = []
        for _ in range(round(seconds / 0.5)):
            self.now += 0.5
            for worker in workers:
                with suppress(RedisDown):
                    await worker.beat()
                await worker.pulse()
            found.append(await workers[0].find_alive_owners())
        return found

    async def judge(self, worker: Heartbeat) -> set[str]:
        """Whom this worker finds alive, with a Redis that was never away."""
        while True:
            await worker.beat()
            await self.redis.hset("tick:pulse", "since", "1")
            if (alive := await worker.find_alive_owners()) is not None:
                return alive

    async def count_pulses(self) -> int:
        """How many workers give their pulse in SQL."""
        async with self.database.reading() as tx:
            return len(await tx.fetch("SELECT owner FROM worker_pulse"))


@pytest.fixture
async def cluster(database: Database, redis_url: str) -> AsyncIterator[Cluster]:
    redis = open_redis(RedisSettings(redis_url))
    yield Cluster(database, redis)
    await redis.aclose()


async def test_sql_hears_nothing_while_redis_hears_all(cluster: Cluster) -> None:
    one, two = cluster.worker("one"), cluster.worker("two")
    await cluster.live(3, one, two)
    assert await cluster.count_pulses() == 0


async def test_without_redis_the_living_are_known_by_their_pulse(cluster: Cluster) -> None:
    one, two, three = (cluster.worker(name) for name in ("one", "two", "three"))
    await cluster.live(2, one, two, three)
    for presence in cluster.redis_of.values():
        await presence.take_away()
    found = await cluster.live(DEAD_SECONDS, one, two, three)
    assert found[0] is None, "nobody can tell yet"
    assert found[-1] == {"one", "two", "three"}
    found = await cluster.live(2 * DEAD_SECONDS, one, two)
    assert {"one", "two", "three"} in found, "it may be alive, for a while"
    assert found[-1] == {"one", "two"}
    for presence in cluster.redis_of.values():
        await presence.give_back()
    await cluster.live(2, one, two)
    assert await cluster.count_pulses() == 1, "that of the dead one"


async def test_one_that_alone_has_lost_redis_is_known_to_the_others(cluster: Cluster) -> None:
    one, two = cluster.worker("one"), cluster.worker("two")
    await cluster.live(2, one, two)
    await cluster.redis_of["two"].take_away()
    await cluster.live(UNHEARD_SECONDS + 0.5, one, two)
    await cluster.redis.delete("tick:alive:two")  # as Redis itself does after a second
    assert await cluster.judge(one) == {"one", "two"}
    await cluster.live(DEAD_SECONDS, one)
    assert await cluster.judge(one) == {"one"}, "it has died since"


async def test_a_judge_that_stood_still_begins_again(cluster: Cluster) -> None:
    one, two = cluster.worker("one"), cluster.worker("two")
    for presence in cluster.redis_of.values():
        await presence.take_away()
    assert (await cluster.live(DEAD_SECONDS + 1, one, two))[-1] == {"one", "two"}
    cluster.now += max(MAX_GAP_SECONDS, DEAD_SECONDS) + 1  # one stands still, and hears of nobody's pulse meanwhile
    assert await one.find_alive_owners() is None
    assert (await cluster.live(DEAD_SECONDS + 1, one, two))[-1] == {"one", "two"}
