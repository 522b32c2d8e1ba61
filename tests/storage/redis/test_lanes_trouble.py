"""Tests the lanes on a Redis that hangs, dies or forgets, and with processes that are killed: all of them real."""

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from storage.redis.client import RedisDown, RedisSettings, inspect_redis, open_redis
from storage.redis.embedded_watch import EmbeddedRedisEvent, EmbeddedRedisWatch
from storage.redis.lanes import BEAT_SECONDS, Lanes, WorkingCopy
from tests.storage.conftest import Server

ANNE, BEN = 2**62 + 1, 2**62 + 2
spawn = multiprocessing.get_context("spawn")


@pytest.fixture
async def lanes(real_server: Server) -> AsyncIterator[Lanes]:
    client = real_server.embedded.open()
    yield Lanes(client, "one")
    await client.aclose()


async def until_up(lanes: Lanes) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await lanes.beat()
                return
            except RedisDown:
                await asyncio.sleep(0.02)


async def test_a_redis_that_hangs_fails_each_call_in_time(lanes: Lanes, real_server: Server) -> None:
    await lanes.ring({ANNE: 0})
    real_server.signal(signal.SIGSTOP)
    started = time.monotonic()
    put = lanes.put_copies([WorkingCopy(ANNE, 1, "a")])
    calls = (lanes.ring({BEN: 0}), lanes.claim(1), put, lanes.beat(), lanes.wait(1))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    took_seconds = time.monotonic() - started
    real_server.signal(signal.SIGCONT)
    assert [type(outcome) for outcome in outcomes] == [RedisDown] * 5
    assert took_seconds < 8, "each waits by itself: one after the other would take ten"
    await until_up(lanes)
    found = [lane.customer_id for _ in range(2) for lane in (await lanes.claim(10)).lanes]
    await lanes.beat()
    found += [lane.customer_id for lane in (await lanes.claim(10)).lanes]
    assert sorted(found) == [ANNE, BEN], "what the lost claim took is given back, and the ring has arrived"


async def test_a_cancelled_call_leaves_no_answer_behind(lanes: Lanes, real_server: Server) -> None:
    """The webhook gives a ring 0.2 s. What is answered afterwards must not be read by the next who calls."""
    await lanes.beat()
    real_server.signal(signal.SIGSTOP)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await lanes.ring({ANNE: 0})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await lanes.wait(1)
    real_server.signal(signal.SIGCONT)
    assert await lanes.find_alive_owners() is not None or await lanes.beat() == 0
    assert [lane.customer_id for lane in (await lanes.claim(10)).lanes] == [ANNE]
    await lanes.put_copies([WorkingCopy(ANNE, 5, "a")])
    await lanes.release({ANNE: 0})
    assert [(lane.customer_id, lane.version) for lane in (await lanes.claim(10)).lanes] == [(ANNE, 5)]


async def test_a_redis_that_was_killed_is_back_with_what_it_had(lanes: Lanes, real_server: Server) -> None:
    await lanes.ring({ANNE: 0, BEN: 500})
    await lanes.claim(1)
    await lanes.put_copies([WorkingCopy(ANNE, 1, "a")])
    real_server.signal(signal.SIGKILL)
    async with asyncio.timeout(20):
        watch = EmbeddedRedisWatch(real_server.embedded)
        while await watch.look() is not EmbeddedRedisEvent.REVIVED:
            with pytest.raises(RedisDown):
                await lanes.beat()
            await asyncio.sleep(0.01)
        with contextlib.suppress(RedisDown):
            await lanes.beat()  # over a connection to the server that was killed, when none of the calls above met it
    assert await lanes.beat() == 0
    await lanes.release({ANNE: 0})
    await lanes.ring({ANNE: 0})  # whatever of the last second Redis forgot
    found = [lane.customer_id for lane in (await lanes.claim(10)).lanes]
    assert found == [ANNE]


async def test_an_evicting_server_is_refused(lanes: Lanes, real_server: Server) -> None:
    client = real_server.embedded.open()
    found = await inspect_redis(client)
    assert (found.refusal, found.append_only) == (None, True)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    assert "noeviction" in ((await inspect_redis(client)).refusal or "")
    await client.config_set("maxmemory-policy", "noeviction")
    await client.config_set("maxmemory", "1")
    with pytest.raises(RedisDown, match="OOM|OutOfMemory"):
        await lanes.ring({ANNE: 0})
    await client.aclose()


async def test_no_redis_at_all_is_said_at_once(tmp_path: Path) -> None:
    client = open_redis(RedisSettings(f"unix://{tmp_path}/nothing"))
    with pytest.raises(RedisDown):
        await Lanes(client, "one").ring({ANNE: 0})
    await client.aclose()


def work(url: str, owner: str, done: Connection) -> None:
    """A worker process: claims, works, releases, beats; tells of each lane that it had."""

    async def run() -> None:
        client = open_redis(RedisSettings(url))
        lanes = Lanes(client, owner)

        async def beat() -> None:
            while True:
                await lanes.beat()
                await asyncio.sleep(BEAT_SECONDS)

        async def serve(customer_id: int, number: int) -> None:
            rung = int(await client.get(f"rung:{customer_id}") or 0)
            await asyncio.sleep(0.001 * (number % 3))
            done.send((customer_id, rung))
            await lanes.release({customer_id: 0.005 if number % 7 == 0 else None})

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(beat())
            number = 0
            while True:
                claim = await lanes.claim(3)
                for lane in claim.lanes:
                    number += 1
                    tasks.create_task(serve(lane.customer_id, number))
                if not claim.lanes:
                    await lanes.wait(1 if claim.next_due_seconds is None else claim.next_due_seconds)

    asyncio.run(run())


async def test_several_processes_lose_no_ring_while_one_after_the_other_is_killed(real_server: Server) -> None:
    """Each ring is numbered before it is made. In the end each lane was served by someone who saw its last number."""
    customers = [2**62 + i for i in range(12)]
    client = real_server.embedded.open()
    web = Lanes(client, "web")
    served: dict[int, int] = {}
    workers: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []

    def hire() -> None:
        here, there = spawn.Pipe(duplex=False)
        process = spawn.Process(target=work, args=(real_server.url, os.urandom(4).hex(), there), daemon=True)
        process.start()
        there.close()
        asyncio.get_running_loop().add_reader(here.fileno(), listen, here)
        workers.append((process, here))

    def listen(here: Connection) -> None:
        try:
            while here.poll():
                customer_id, rung = here.recv()
                served[customer_id] = max(served.get(customer_id, 0), rung)
        except EOFError:
            asyncio.get_running_loop().remove_reader(here.fileno())

    for _ in range(3):
        hire()
    async with asyncio.timeout(90):
        while not served:
            await web.ring({customers[0]: 0})
            await asyncio.sleep(0.05)
    number, kills, chance = 0, 0, random.Random(7)
    started = time.monotonic()
    while time.monotonic() < started + 6:
        number += 1
        some = chance.sample(customers, 3)
        await client.mset({f"rung:{customer_id}": number for customer_id in some})
        await web.ring(dict.fromkeys(some, 0))
        await asyncio.sleep(0.001)
        if time.monotonic() > started + 1 + kills:
            workers[kills][0].kill()
            kills += 1
            hire()
    last = {customer_id: int(await client.get(f"rung:{customer_id}") or 0) for customer_id in customers}
    started = time.monotonic()
    async with asyncio.timeout(60):
        while served != last:
            await asyncio.sleep(0.01)
    print(f"{number} rings of three, {kills} kills, the last ring served after {time.monotonic() - started:.2f} s")
    for process, here in workers:
        asyncio.get_running_loop().remove_reader(here.fileno())
        process.kill()
        process.join()
        here.close()
    await client.aclose()


def hold(url: str, owner: str, done: Connection) -> None:
    async def run() -> None:
        lanes = Lanes(open_redis(RedisSettings(url)), owner)
        await lanes.beat()
        done.send(len((await lanes.claim(10)).lanes))
        while True:
            await lanes.beat()
            await asyncio.sleep(BEAT_SECONDS)

    asyncio.run(run())


async def test_the_lanes_of_a_killed_process_are_due_again_within_seconds(lanes: Lanes, real_server: Server) -> None:
    await lanes.beat()
    await lanes.ring({ANNE: 0})
    here, there = spawn.Pipe(duplex=False)
    holder = spawn.Process(target=hold, args=(real_server.url, "holder", there), daemon=True)
    holder.start()
    async with asyncio.timeout(90):
        while not here.poll():
            await lanes.beat()
            await asyncio.sleep(0.1)
    assert here.recv() == 1
    for _ in range(int(1.5 / BEAT_SECONDS)):  # Redis is not new to anyone any more
        await lanes.beat()
        await asyncio.sleep(BEAT_SECONDS)
    assert await lanes.find_alive_owners() == {"one", "holder"}
    holder.kill()
    started = time.monotonic()
    async with asyncio.timeout(60):
        while not await lanes.beat():
            await asyncio.sleep(BEAT_SECONDS)
    print(f"taken over after {time.monotonic() - started:.2f} s")
    assert [(lane.customer_id, lane.orphan_phase) for lane in (await lanes.claim(10)).lanes] == [(ANNE, "round")]
    holder.join()
    here.close()
    there.close()
