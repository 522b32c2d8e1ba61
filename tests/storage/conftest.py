"""Fixtures of each Redis that Tick may meet: this machine's, the oldest that we support, the one inside the process."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from storage.redis.embedded import EmbeddedRedis
from storage.redis.lanes import Lanes
from storage.redis.programs import find_redis_programs

PROGRAMS = find_redis_programs()


class Server:
    """A Redis with a folder of its own, and the ways in which one fails."""

    def __init__(self, folder: Path, programs: list[Path]) -> None:
        self.folder = folder
        self.programs = programs
        self.embedded = EmbeddedRedis.start(folder, programs=lambda: programs)

    @property
    def url(self) -> str:
        assert self.embedded.url is not None
        return self.embedded.url

    @property
    def pid(self) -> int:
        return int((self.folder / "redis" / "pid").read_text())

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@pytest.fixture(
    scope="module",
    params=[*PROGRAMS, None],
    ids=lambda program: program.parent.parent.name if program else "inside",
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each in turn, for tests that do it no harm."""
    server = Server(tmp_path_factory.mktemp("redis"), [request.param] if request.param else [])
    yield server
    server.embedded.stop()


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, PROGRAMS[:1])
    yield server
    server.embedded.stop()


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    client = server.embedded.open()
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def lanes_of(redis: Redis) -> Callable[[str], Lanes]:
    return lambda owner: Lanes(redis, owner)
