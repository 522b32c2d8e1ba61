"""A Redis that answers and refuses us is told from one that is away, whichever server says it in which words."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from storage.redis.client import RedisDown, RedisRefusal, RedisSettings, open_redis
from storage.redis.lanes import Lanes
from tests.storage.conftest import PROGRAMS
from tests.support.servers import RedisServer

Spoil = Callable[["OneRedis"], Awaitable[str]]


class OneRedis(RedisServer):
    """A Redis of its own, which is spoiled and thrown away. `admin` may do everything."""

    def __init__(self, program: Path) -> None:
        super().__init__()
        self._program = str(program)
        self.admin = Redis.from_url(self.url)

    def url_for(self, user: str) -> str:
        """Where it is for another user: `user:password`."""
        return self.url.replace("redis://", f"redis://{user}@")

    async def add_user(self, *rules: str) -> str:
        """Where it is for a new user with these rules."""
        await self.admin.execute_command("ACL SETUSER", "tick", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
        return self.url_for("tick:pw")


async def want_a_password(server: OneRedis) -> str:
    await server.admin.config_set("requirepass", "secret")
    return server.url


async def know_another_password(server: OneRedis) -> str:
    await server.admin.config_set("requirepass", "secret")
    return server.url_for(":guessed")


async def forbid_writes(server: OneRedis) -> str:
    return await server.add_user("~*", "+@all", "-set")


async def forbid_scripts(server: OneRedis) -> str:
    return await server.add_user("~*", "+@all", "-@scripting")


async def forbid_keys(server: OneRedis) -> str:
    return await server.add_user("~other:*", "+@all")


async def become_a_replica(server: OneRedis) -> str:
    await server.admin.replicaof("127.0.0.1", "1")
    return server.url


async def lose_the_disk(server: OneRedis) -> str:
    """A snapshot fails, and then this server takes no writes: as with an append-only file that can't grow."""
    await server.admin.config_set("save", "3600 1")
    shutil.rmtree(server.folder)
    await server.admin.bgsave()
    async with asyncio.timeout(20):
        while (await server.admin.info("persistence"))["rdb_last_bgsave_status"] == "ok":
            await asyncio.sleep(0.01)
    return server.url


async def fill_the_memory(server: OneRedis) -> str:
    await server.admin.config_set("maxmemory", "1")
    return server.url


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.parent.parent.name)
def program(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


@pytest.fixture
def server(program: Path) -> Iterator[OneRedis]:
    server = OneRedis(program)
    server.start()
    yield server
    server.close()


@pytest.fixture
async def lanes_at(server: OneRedis) -> AsyncIterator[Callable[[str], Lanes]]:
    clients = []

    def open_lanes(url: str) -> Lanes:
        clients.append(open_redis(RedisSettings(url)))
        return Lanes(clients[-1], "tests")

    yield open_lanes
    for client in [*clients, server.admin]:
        await client.aclose()


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (want_a_password, RedisRefusal.PASSWORD),
        (know_another_password, RedisRefusal.PASSWORD),
        (forbid_writes, RedisRefusal.PERMISSION),
        (forbid_scripts, RedisRefusal.PERMISSION),
        (forbid_keys, RedisRefusal.PERMISSION),
        (become_a_replica, RedisRefusal.READ_ONLY),
        (lose_the_disk, RedisRefusal.DISK),
        (fill_the_memory, RedisRefusal.MEMORY),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_what_it_refuses_is_known(
    server: OneRedis, lanes_at: Callable[[str], Lanes], spoil: Spoil, refusal: RedisRefusal
) -> None:
    await lanes_at(server.url).check_writes()
    lanes = lanes_at(await spoil(server))
    for attempt in (lanes.check_writes, lanes.beat):
        with pytest.raises(RedisDown) as raised:
            await attempt()
        assert raised.value.refusal is refusal


async def test_one_that_is_away_refuses_nothing(server: OneRedis, lanes_at: Callable[[str], Lanes]) -> None:
    lanes = lanes_at(server.url)
    server.stop()
    with pytest.raises(RedisDown) as raised:
        await lanes.check_writes()
    assert raised.value.refusal is None


async def test_a_redis_in_protected_mode_is_told(unused_tcp_port: int) -> None:
    """Redis says so to whoever connects from another machine, and hangs up."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-DENIED Redis is running in protected mode because no password is set.\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", unused_tcp_port):
        redis = open_redis(RedisSettings(f"redis://127.0.0.1:{unused_tcp_port}"))
        with pytest.raises(RedisDown) as down:
            await Lanes(redis, "one").check_writes()
        assert down.value.refusal is RedisRefusal.PROTECTED
        await redis.aclose()
