"""Opens the client of Redis, one for each process.

Invariants
- Whatever goes wrong with Redis reaches callers as RedisDown, within TIMEOUT_SECONDS for each step.
- No command is repeated here.
- A call whose answer was not read to the end closes its connection, so that nobody reads that answer later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio import Redis as Redis  # the type that others name
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

TIMEOUT_SECONDS = 2.0
MIN_VERSION = (6, 2)  # the scripts use ZADD LT and ZMSCORE


class RedisDown(Exception):
    """Redis can't do this now, or nobody knows whether it did: try again later."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where Redis is (`url`: redis://, rediss:// or unix://), and for how long (`copy_seconds`) it keeps a working
    copy that nobody touches."""

    url: str
    copy_seconds: int = 8 * 86_400


@dataclass(frozen=True, slots=True)
class RedisServer:
    """What the server says of itself. `policy`: its maxmemory-policy."""

    version: str
    append_only: bool
    policy: str

    @property
    def refusal(self) -> str | None:
        """The sentence that says why Tick can't work with this server; None if it can."""
        if tuple(int(part) for part in self.version.split(".")[:2]) < MIN_VERSION:
            return f"REDIS_URL: this server is Redis {self.version}, and Tick needs 6.2 or newer."
        if self.policy != "noeviction":
            return (
                f"REDIS_URL: this server may throw keys away when memory is short (maxmemory-policy {self.policy}); "
                "set maxmemory-policy to noeviction, or give Tick a Redis of its own."
            )
        return None

    @property
    def persistence(self) -> str:
        """The sentence that says what a crash of Redis costs."""
        if self.append_only:
            return "Redis keeps an append-only file."
        return "Redis keeps no append-only file: after a crash of Redis, conversations are brought back from SQL."


def open_redis(settings: RedisSettings) -> Redis:
    """Makes a client. It connects when it is first used; close it with `aclose()`."""
    pool: ConnectionPool = ConnectionPool.from_url(
        settings.url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        max_connections=256,
        # A script that timed out may have run: only the caller knows what that means. Redis 6 has no use for the rest
        # of the greeting, and a new connection is ready a round trip earlier without it.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    return Redis.from_pool(pool)


async def inspect_redis(redis: Redis) -> RedisServer:
    """Asks the server what it is, by INFO, which is answered also where CONFIG is forbidden."""
    with redis_errors():
        info: dict[str, Any] = await redis.info()
    return RedisServer(
        version=str(info.get("redis_version", "0")),
        append_only=bool(info.get("aof_enabled", 0)),
        policy=str(info.get("maxmemory_policy", "noeviction")),
    )


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turns whatever the client raises because of Redis into RedisDown."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise RedisDown(f"{type(error).__name__}: {error}") from error
