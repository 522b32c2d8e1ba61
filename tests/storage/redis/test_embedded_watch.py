"""Tests that the embedded Redis is started anew when it ends or hangs, with what it had if that can be read.

The watch has a clock of the tests', so that its patience need not be waited for.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.redis.client import Redis
from storage.redis.embedded import LOADING_SECONDS, START_SECONDS, EmbeddedRedis
from storage.redis.embedded_watch import HANG_SECONDS, EmbeddedRedisEvent, EmbeddedRedisWatch
from storage.redis.lanes import Lanes
from storage.redis.programs import find_redis_programs
from storage.redis.server_folder import find_recorded_url
from storage.redis.server_state import ServerState

E = EmbeddedRedisEvent
WAIT_SECONDS = 30.0  # for what takes a moment


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """An embedded Redis on a folder, its watch, and a client."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder / "redis"
        self.server = EmbeddedRedis.start(folder, programs=lambda: [program])
        self.clock = Clock()
        self.watch = EmbeddedRedisWatch(self.server, read_time=self.clock)
        self.client: Redis = self.server.open()

    @property
    def pid(self) -> int:
        """The server's."""
        return int((self.folder / "pid").read_text())

    @property
    def appended(self) -> Path:
        """Where it keeps what it was given; a file of servers before 7, a folder of others."""
        folder = self.folder / "appendonlydir"
        return folder if folder.exists() else self.folder / "appendonly.aof"

    def break_file(self) -> None:
        """Makes of its file what no server can read."""
        for file in [*self.folder.glob("appendonlydir/*.aof"), *self.folder.glob("appendonly.aof")]:
            file.write_bytes(b"this is not a command\r\n" * 50)

    async def look_until(self, wanted: E) -> list[E]:
        """Looks until this comes of it; returns all that came of it."""
        events: list[E] = []
        async with asyncio.timeout(WAIT_SECONDS):
            while wanted not in events:
                if event := await self.watch.look():
                    events.append(event)
                await asyncio.sleep(0.01)
        return events

    async def wait_for(self, state: ServerState) -> None:
        """Waits until the server is so."""
        async with asyncio.timeout(WAIT_SECONDS):
            while await self.server.ask() is not state:
                await asyncio.sleep(0.01)


@pytest.fixture(params=find_redis_programs(), ids=lambda program: program.parent.parent.name)
async def watched(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    watched = Watched(tmp_path, request.param)
    yield watched
    await watched.client.aclose()
    watched.server.stop()


async def test_one_that_ended_by_itself_is_started_again(watched: Watched) -> None:
    assert await watched.watch.look() is None
    url = watched.server.url
    os.kill(watched.pid, signal.SIGKILL)
    assert await watched.look_until(E.REVIVED) == [E.ENDED, E.REVIVED]
    assert find_recorded_url(watched.folder.parent) == watched.server.url == url


async def test_one_that_hangs_is_ended_and_keeps_what_it_had(watched: Watched) -> None:
    await watched.client.set("x", "kept")
    hanging = watched.pid
    os.kill(hanging, signal.SIGSTOP)
    for _ in range(3):
        assert await watched.watch.look() is None, "it is given time"
    watched.clock.now += HANG_SECONDS
    assert await watched.look_until(E.REVIVED) == [E.HANGS, E.REVIVED]
    assert watched.pid != hanging
    fresh = watched.server.open()
    assert await fresh.get("x") == b"kept"
    await fresh.aclose()


async def test_a_watch_that_stood_still_itself_ends_nobody(watched: Watched) -> None:
    os.kill(watched.pid, signal.SIGSTOP)
    watched.clock.now += 10 * HANG_SECONDS
    assert await watched.watch.look() is None
    os.kill(watched.pid, signal.SIGCONT)
    await watched.wait_for(ServerState.ANSWERING)
    for _ in range(3):
        assert await watched.watch.look() is None


async def test_one_that_can_not_be_started_again_is_tried_until_it_can(watched: Watched, tmp_path: Path) -> None:
    appended = watched.appended
    os.kill(watched.pid, signal.SIGKILL)
    appended.rename(tmp_path / "away")
    appended.symlink_to(tmp_path / "nowhere" / "nothing")  # the server ends over it
    tried: set[int] = set()
    async with asyncio.timeout(WAIT_SECONDS):
        while len(tried) < 4:
            assert await watched.watch.look() is not E.REVIVED
            tried.add(watched.pid)
            await asyncio.sleep(0.01)
    appended.unlink()
    (tmp_path / "away").rename(appended)
    await watched.look_until(E.REVIVED)
    await Lanes(watched.client, "one").check_writes()


async def test_a_record_that_can_not_be_written_ends_no_trying(watched: Watched) -> None:
    os.kill(watched.pid, signal.SIGKILL)
    record = watched.folder / "socket"
    record.unlink()
    record.mkdir()  # as little as on a full disk can it be written
    failures = 0
    async with asyncio.timeout(WAIT_SECONDS):
        while failures < 3:
            try:
                assert await watched.watch.look() is not E.REVIVED
            except OSError:
                failures += 1
            await asyncio.sleep(0.01)
    assert watched.server.has_ended, "commands beside it could not find it"
    record.rmdir()
    assert await watched.look_until(E.REVIVED) == [E.REVIVED], "its file was not to blame, and is there"


async def test_one_whose_file_is_broken_begins_anew(watched: Watched) -> None:
    await watched.client.set("x", "lost")
    os.kill(watched.pid, signal.SIGKILL)
    watched.break_file()
    assert await watched.look_until(E.REVIVED) == [E.ENDED, E.STARTED_EMPTY, E.REVIVED]
    assert any((watched.folder / "unreadable").iterdir())
    fresh = watched.server.open()
    assert await fresh.get("x") is None
    await fresh.aclose()


async def test_one_that_hangs_at_each_start_begins_anew(watched: Watched) -> None:
    os.kill(watched.pid, signal.SIGKILL)
    events = []
    while E.STARTED_EMPTY not in events:
        if event := await watched.watch.look():
            events.append(event)
        if not watched.server.has_ended and E.STARTED_EMPTY not in events:
            os.kill(watched.pid, signal.SIGSTOP)
            watched.clock.now += START_SECONDS
        await asyncio.sleep(0.01)
    assert events == [E.ENDED, E.HANGS, E.HANGS, E.STARTED_EMPTY]
    await watched.look_until(E.REVIVED)


class LoadingSlowly(Watched):
    """One that takes its time to load: the server's own way of trying that, 0.3 ms for each of so many commands. It
    answers that it is loading after each thousand or so."""

    def __init__(self, folder: Path) -> None:
        slow = folder / "redis-server"
        slow.write_text(f'#!/bin/sh\nexec {find_redis_programs()[0]} "$@" --key-load-delay 300\n')
        slow.chmod(0o700)
        super().__init__(folder, slow)

    async def fill(self) -> None:
        """Gives it what it takes two seconds to load."""
        async with self.client.pipeline(transaction=False) as pipeline:
            for number in range(5000):
                pipeline.set(f"key {number}", "x")
            await pipeline.execute()


@pytest.fixture
async def loading(tmp_path: Path) -> AsyncIterator[LoadingSlowly]:
    watched = LoadingSlowly(tmp_path)
    await watched.fill()
    os.kill(watched.pid, signal.SIGKILL)
    yield watched
    await watched.client.aclose()
    watched.server.stop()


async def test_the_event_loop_goes_on_beside_one_that_loads(loading: LoadingSlowly) -> None:
    gaps: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    await loading.look_until(E.REVIVED)
    ticking.cancel()
    assert max(gaps) < (time.monotonic() - began) / 3
    assert await loading.client.get("key 1") == b"x"


async def test_one_that_loads_for_too_long_begins_anew(loading: LoadingSlowly) -> None:
    events: list[E] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while E.REVIVED not in events:
            if event := await loading.watch.look():
                events.append(event)
            if await loading.server.ask() is ServerState.LOADING:
                loading.clock.now += LOADING_SECONDS
    assert events == [E.ENDED, E.LOADS_TOO_LONG, E.LOADS_TOO_LONG, E.STARTED_EMPTY, E.REVIVED]
