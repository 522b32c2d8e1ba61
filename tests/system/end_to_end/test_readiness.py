"""Ready means able: /readyz says no for what has a webhook answered 503, and only then; Redis alone degrades."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from api.simulator import bodies
from tests.support.servers import MariaDBServer, RedisServer
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick import ANN, NUMBER, Tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

ON_SERVERS = pytest.mark.parametrize("variant", [Variant("mariadb", "guided")], ids="-".join, scope="module")
READY = {"status": "ready", "database": "ok", "migrations": "ok", "worker": "alive"}


async def read_readiness(tick: Tick) -> tuple[int, Mapping[str, str]]:
    """The status of /readyz, and each part."""
    response = await tick.http.get("/readyz")
    answer = response.json()
    told = {problem["field"]: problem["message"] for problem in answer.get("errors", ())}
    return response.status_code, answer.get("data") or told


async def write_once(tick: Tick) -> int:
    """The status of the answer to one new message."""
    return (await tick.post(bodies.build_messages_webhook(NUMBER, [ANN], [tick.build_message("Hi")]))).status


async def wait_until_ready(tick: Tick) -> None:
    async def is_ready() -> bool:
        status, told = await read_readiness(tick)
        return status == 200 and READY.items() <= told.items()

    await tick.wait_until("it is ready", is_ready)


async def assert_unable(tick: Tick, reason: str) -> None:
    """/readyz says why, before any webhook came, and goes on to say so when webhooks are answered 503."""

    async def is_told() -> bool:
        status, told = await read_readiness(tick)
        return status == 503 and told.get("database") == reason

    await tick.wait_until("the reason is told", is_told)
    for _ in range(2):
        assert await write_once(tick) == 503
    assert await is_told()


@asynccontextmanager
async def without_table(tick: Tick, table: str) -> AsyncIterator[None]:
    await tick.tables.fetch(f"ALTER TABLE {table} RENAME TO away")
    try:
        yield
    finally:
        await tick.tables.fetch(f"ALTER TABLE away RENAME TO {table}")


@pytest.mark.parametrize("table", ["item", "conversation"])
async def test_a_missing_table(tick: Tick, table: str) -> None:
    await wait_until_ready(tick)
    async with without_table(tick, table):
        await assert_unable(tick, "The database lacks a table or a column: run `tick migrate`.")
    await wait_until_ready(tick)
    assert await write_once(tick) == 200
    await tick.wait_until_settled()


@ON_SERVERS  # tests/api/test_health.py has SQLite's
async def test_a_read_only_database(tick: Tick, mariadb_server: MariaDBServer) -> None:
    mariadb_server.execute("SET GLOBAL read_only = 1")
    try:
        await assert_unable(tick, "The database is read-only: let Tick write to it.")
    finally:
        mariadb_server.execute("SET GLOBAL read_only = 0")
    await wait_until_ready(tick)
    await tick.write("Hi")


@ON_SERVERS  # Tick's own Redis, beside SQLite, has no limit of memory
async def test_a_redis_that_takes_no_writes(tick: Tick, redis_server: RedisServer) -> None:
    await wait_until_ready(tick)
    assert redis_server.ask("CONFIG SET maxmemory 1").startswith(b"+OK")
    try:

        async def is_degraded() -> bool:
            status, told = await read_readiness(tick)
            return (status, told["status"]) == (200, "degraded") and "maxmemory" in told["redis"]

        await tick.wait_until("it is degraded", is_degraded)
        assert await write_once(tick) == 200

        async def is_alerted() -> bool:
            alerts = "SELECT message FROM alert WHERE subject = 'redis:refuses' AND cleared_at IS NULL"
            return any("REDIS_URL" in row[0] for row in await tick.tables.fetch(alerts))

        await tick.wait_until("there is an alert", is_alerted)
        assert 'tick_trouble{subject="redis:refuses"} 1.0' in (await tick.http.get("/metrics")).text
        await tick.wait_until_settled()  # the worker goes on without it, and says so in SQL
        assert (await read_readiness(tick))[1]["worker"] == "alive"
    finally:
        assert redis_server.ask("CONFIG SET maxmemory 0").startswith(b"+OK")
    await wait_until_ready(tick)
    await tick.wait_until_settled()
    assert [row[1] for row in await tick.read_items()] == ["done"]

    async def is_cleared() -> bool:
        return not await tick.tables.fetch("SELECT 1 FROM alert WHERE subject = 'redis:refuses' AND cleared_at IS NULL")

    await tick.wait_until("the alert is over", is_cleared)
