"""A database or a Redis that is gone, or that hangs: what the webhook answers meanwhile, and how the work goes on.

Each test has servers of its own to do it to.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from api.simulator import bodies
from storage.sql.database import DatabaseSettings
from storage.sql.migrate import migrate
from tests.support.servers import MariaDBServer, RedisServer, started
from tests.system.end_to_end.tick import ANN, NUMBER, Answered, Tick, run_tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER_SECONDS = 15.0  # the webhook's deadline is 8; an outage lasts longer than this
BACK_SECONDS = 10.0  # two, and more for a busy machine: seconds, not minutes


@pytest.fixture(scope="module")
def mariadb(at_hand: Callable[[str, Callable[[], MariaDBServer]], MariaDBServer]) -> Iterator[MariaDBServer]:
    server = at_hand("mariadb", MariaDBServer)
    with started(server):
        yield server


@pytest.fixture(scope="module")
def redis(at_hand: Callable[[str, Callable[[], RedisServer]], RedisServer]) -> Iterator[RedisServer]:
    server = at_hand("redis", RedisServer)
    with started(server):
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    mariadb: MariaDBServer, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tick]:
    url = mariadb.url(mariadb.new_database())
    await migrate(DatabaseSettings(url))
    async with run_tick(url, redis.url, tmp_path_factory.mktemp("tick"), "instant") as tick:
        yield tick


@pytest_asyncio.fixture(loop_scope="module")
async def tick(service: Tick, ran: Callable[[str], None]) -> Tick:
    ran("mariadb")
    ran("redis")
    await service.tables.delete_all()
    service.graph.reset()
    return service


@contextmanager
def hanging(server: MariaDBServer | RedisServer) -> Iterator[None]:
    """The server takes connections and bytes, and says nothing."""
    server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send(signal.SIGCONT)


async def post_message(tick: Tick, text: str) -> Answered:
    return await tick.post(bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message(text)]))


def assert_taken_at_once(taken: list[Answered]) -> None:
    """All were kept, and no webhook waited for Redis, whose calls end after two seconds.

    The shortest wait tells: a busy machine makes some longer, and none shorter.
    """
    assert [each.status for each in taken] == [200] * len(taken)
    assert min(each.seconds for each in taken) < 1


async def wait_for_answers(tick: Tick, count: int) -> float:
    """Waits for so many messages of ours; returns how long that took."""
    began = time.monotonic()

    async def enough() -> bool:
        return len(tick.graph.sends) >= count

    await tick.wait_until(f"{count} answers", enough)
    return time.monotonic() - began


async def test_redis_is_down(tick: Tick, redis: RedisServer) -> None:
    await tick.write("It is broken")
    await asyncio.to_thread(redis.stop, signal.SIGKILL)
    try:
        taken = [await post_message(tick, f"It is still broken, {text}") for text in ("two", "three", "and four")]
        assert_taken_at_once(taken)
    finally:
        await asyncio.to_thread(redis.start)
    assert await wait_for_answers(tick, 4) < BACK_SECONDS
    await tick.wait_until_settled()
    assert await tick.read_items() == [["message", "done", ""]] * 4


async def test_redis_hangs(tick: Tick, redis: RedisServer) -> None:
    await tick.write("It is broken")
    with capture_logs() as logs, hanging(redis):

        async def noticed() -> bool:
            return any(line["event"] == "redis_down" for line in logs)

        assert_taken_at_once([await post_message(tick, f"It is still broken, {text}") for text in ("two", "three")])
        await tick.wait_until("the worker gives up waiting for Redis", noticed)
        assert (await post_message(tick, "It is still broken, and four")).status == 200
    assert await wait_for_answers(tick, 4) < BACK_SECONDS
    await tick.wait_until_settled()
    assert await tick.read_items() == [["message", "done", ""]] * 4


async def test_redis_forgets_everything(tick: Tick, redis: RedisServer) -> None:
    await tick.write("menu")
    await asyncio.to_thread(redis.flush)
    await tick.write("hardware")
    assert [row[-1].split(".")[0] for row in await tick.read_outbox()][-1] == "Tell us what is happening"


async def test_sql_is_down(tick: Tick, mariadb: MariaDBServer) -> None:
    await tick.write("It is broken")
    body = bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("It is still broken")])
    await asyncio.to_thread(mariadb.stop, signal.SIGKILL)
    try:
        refused = await tick.post(body)
        assert refused.status == 503
        assert refused.seconds < ANSWER_SECONDS
        assert refused.body == b'{"success": false, "message": "Try again later"}'
    finally:
        await asyncio.to_thread(mariadb.start)
    await tick.tables.reopen()
    await tick.deliver(body)  # Meta has kept it for us
    assert await tick.read_items() == [["message", "done", ""]] * 2
    await wait_for_answers(tick, 2)


async def test_sql_hangs(tick: Tick, mariadb: MariaDBServer) -> None:
    await tick.write("It is broken")
    body = bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("It is still broken")])
    with hanging(mariadb):
        refused = await tick.post(body)
    assert refused.status == 503
    assert refused.seconds < ANSWER_SECONDS
    await tick.deliver(body)
    assert await tick.read_items() == [["message", "done", ""]] * 2
    assert len(tick.graph.sends) == 2
