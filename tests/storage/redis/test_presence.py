"""Tests that calls wait for a Redis that hangs only until it is known to be away, and that it is known to be back."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from storage.redis.client import TIMEOUT_SECONDS, RedisDown, RedisRefusal
from storage.redis.lanes import Lanes
from storage.redis.presence import AWAY_SECONDS, RedisAway, RedisPresence
from tests.storage.conftest import Server

ANNE = 1


class Clock:
    """A monotonic clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class There(NamedTuple):
    """A Redis, whether it is there, and the lanes in it, which go by that."""

    clock: Clock
    presence: RedisPresence
    probe: Lanes
    lanes: Lanes

    async def try_it(self) -> bool:
        """Probes once; returns whether that changed anything."""
        return await self.presence.probe(self.probe.check_writes)


@pytest.fixture
async def there(real_server: Server) -> AsyncIterator[There]:
    client, clock = real_server.embedded.open(), Clock()
    presence = RedisPresence(read_time=clock)
    lanes = Lanes(client, "one", presence=presence)
    await lanes.beat()
    yield There(clock, presence, Lanes(client, "one"), lanes)
    real_server.signal(signal.SIGCONT)
    await client.aclose()


async def test_nobody_waits_for_one_that_is_away(there: There, real_server: Server) -> None:
    await there.lanes.ring({ANNE: 0})
    assert not await there.try_it()
    real_server.signal(signal.SIGSTOP)
    calls = [asyncio.create_task(there.lanes.beat()) for _ in range(3)]
    waiting = asyncio.create_task(there.lanes.wait(1))
    assert not await there.try_it()
    assert not there.presence.is_away, "it is given time"
    there.clock.now += AWAY_SECONDS
    assert await there.try_it()
    for call in (*calls, waiting):
        with pytest.raises(RedisDown):
            await call
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(RedisAway, match="does not answer"):
            await there.lanes.claim(1)
    assert time.monotonic() - began < TIMEOUT_SECONDS, "one call alone would have waited for longer"
    real_server.signal(signal.SIGCONT)
    async with asyncio.timeout(20):
        while not await there.try_it():
            pass
    assert not there.presence.is_away
    assert [lane.customer_id for lane in (await there.lanes.claim(1)).lanes] == [ANNE]


async def test_a_process_that_stood_still_itself_goes_on_with_redis(there: There, real_server: Server) -> None:
    real_server.signal(signal.SIGSTOP)
    there.clock.now += 10 * AWAY_SECONDS
    assert not await there.try_it()
    real_server.signal(signal.SIGCONT)
    async with asyncio.timeout(20):
        while there.presence.is_away or await there.lanes.beat():
            pass
    assert not await there.try_it()


async def test_one_that_takes_no_writes_is_away_and_says_why(there: There, real_server: Server) -> None:
    client = real_server.embedded.open()
    await client.config_set("maxmemory", 1)
    assert not await there.try_it()
    there.clock.now += AWAY_SECONDS
    assert await there.try_it()
    with pytest.raises(RedisAway) as away:
        await there.lanes.beat()
    assert away.value.refusal is RedisRefusal.MEMORY
    await client.config_set("maxmemory", 0)
    assert await there.try_it()
    await there.lanes.beat()
    await client.aclose()
