"""Tests that Redis's settings are looked at again while Tick runs, and a bad one is an alert as long as it is so."""

from pathlib import Path

from structlog.testing import capture_logs

from bot.clock import utc_now
from bot.metrics import Metrics
from bot.redis_watch import INSPECT_SECONDS, RedisWatch
from bot.resource_monitor import ResourceMonitor
from storage import alerts
from storage.blobs.disk_room import RESERVE
from storage.blobs.folder import FolderStore
from storage.redis.client import RedisSettings, inspect_redis, open_redis
from storage.redis.lanes import Lanes
from storage.sql.database import Database
from tests.support.servers import RedisServer

METRIC = 'tick_trouble{subject="redis:settings"}'


class Clock:
    """A monotonic clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_settings_that_somebody_changes_later(
    sqlite_database: Database, redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    redis, clock, metrics = open_redis(RedisSettings(redis_url)), Clock(), Metrics()
    watch = RedisWatch(lambda: inspect_redis(redis), server=await inspect_redis(redis), read_time=clock)
    monitor = ResourceMonitor(
        database=sqlite_database,
        lanes=Lanes(redis, "tests"),
        store=FolderStore(tmp_path, RESERVE),
        clock=utc_now,
        metrics=metrics,
        redis_watch=watch,
        is_redis_embedded=False,
    )

    async def look() -> list[tuple[str, str]]:
        await monitor.look()
        async with sqlite_database.reading() as tx:
            return [(alert.severity, alert.subject) for alert in await alerts.list_open(tx)]

    def read_metric() -> str:
        [line] = [line for line in metrics.render().decode().splitlines() if line.startswith(METRIC)]
        return line.removeprefix(METRIC).strip()

    try:
        assert redis_server.ask("CONFIG SET maxmemory-policy allkeys-lru").startswith(b"+OK")
        assert await look() == [], "it is looked at once a minute"
        assert read_metric() == "0.0"
        clock.now += INSPECT_SECONDS
        with capture_logs() as logs:
            assert await look() == [("yellow", "redis:settings")]
        assert any(line["event"] == "trouble" and "allkeys-lru" in line["message"] for line in logs)
        assert read_metric() == "1.0"
        assert "maxmemory-policy to noeviction" in watch.unfit
        assert redis_server.ask("CONFIG SET maxmemory-policy noeviction").startswith(b"+OK")
        assert redis_server.ask("CONFIG SET appendonly no").startswith(b"+OK")
        clock.now += INSPECT_SECONDS
        assert await look() == []
        assert read_metric() == "0.0"
        assert watch.line.startswith("Redis keeps no append-only file")
    finally:
        redis_server.ask("CONFIG SET maxmemory-policy noeviction")
        redis_server.ask("CONFIG SET appendonly yes")
        await redis.aclose()


async def test_settings_are_read_when_redis_is_back(sqlite_database: Database, redis_url: str) -> None:
    redis = open_redis(RedisSettings(redis_url))
    watch = RedisWatch(lambda: inspect_redis(redis), line="Redis was away when this process started", read_time=Clock())
    assert watch.line == "Redis was away when this process started"
    await watch.look()
    assert watch.line == "Redis keeps an append-only file."
    await redis.aclose()
