"""Opens the client of Redis, one for each process.

Invariants
- Whatever goes wrong with Redis reaches callers as RedisDown, within TIMEOUT_SECONDS for each step.
- No command is repeated here.
- A call whose answer was not read to the end closes its connection, so that nobody reads that answer later.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio import Redis as Redis  # the type that others name
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError

TIMEOUT_SECONDS = 2.0
MIN_VERSION = (6, 2)  # the scripts use ZADD LT and ZMSCORE


class RedisRefusal(StrEnum):
    """Why a Redis that answers refuses our password or our writes."""

    PASSWORD = "password"  # noqa: S105 - a word, not a secret; it refuses ours, or wants one
    PROTECTED = "protected"  # it takes nobody from another machine, as long as it has no password
    PERMISSION = "permission"  # our user may not do all that Tick does
    READ_ONLY = "read_only"  # it is a replica, as after a failover
    DISK = "disk"  # it can't write to its disk, and takes nothing that it could not keep
    MEMORY = "memory"  # its memory is full


REFUSALS: Mapping[RedisRefusal, str] = {
    RedisRefusal.PASSWORD: (
        "The Redis server refuses the user or the password of REDIS_URL: set "
        "REDIS_URL=redis://:PASSWORD@host:6379/0, with the server's requirepass, percent-encoded."
    ),
    RedisRefusal.PROTECTED: (
        "The Redis server of REDIS_URL takes nobody from another machine as long as it has no password (its protected "
        "mode): set requirepass there, and the same password in REDIS_URL."
    ),
    RedisRefusal.PERMISSION: (
        "The Redis server does not let the user of REDIS_URL do all that Tick does: give that user +@all on ~tick:*, "
        "or name another in REDIS_URL."
    ),
    RedisRefusal.READ_ONLY: "The Redis server of REDIS_URL is a read-only replica: name its primary in REDIS_URL.",
    RedisRefusal.DISK: (
        "The Redis server of REDIS_URL takes no writes, because it can't write to its own disk: make room there, and "
        "look at its log."
    ),
    RedisRefusal.MEMORY: (
        "The Redis server of REDIS_URL takes no writes, because its memory is full: raise its maxmemory, or give Tick "
        "a Redis of its own in REDIS_URL."
    ),
}
EMBEDDED_DISK_FULL = "Tick's own Redis takes no writes, because it can't write to its disk: make room in DATA_DIR."
_REFUSAL_ERRORS = {
    AuthenticationError: RedisRefusal.PASSWORD,
    NoPermissionError: RedisRefusal.PERMISSION,
    ReadOnlyError: RedisRefusal.READ_ONLY,
    OutOfMemoryError: RedisRefusal.MEMORY,
}
# What the servers answer from 6.2 to 8 where the client has no error of its own: to a command inside of a script, say.
_REFUSAL_WORDS = (
    (re.compile(r"\bDENIED\b"), RedisRefusal.PROTECTED),
    (re.compile(r"\bNOPERM\b|ACL failure|user executing the script can't"), RedisRefusal.PERMISSION),
    (re.compile(r"\bREADONLY\b"), RedisRefusal.READ_ONLY),
    (re.compile(r"\bMISCONF\b"), RedisRefusal.DISK),
    (re.compile(r"\bOOM\b"), RedisRefusal.MEMORY),
)
_CLOSED_WORDS = re.compile(r"the handler is closed")  # uvloop's, of a connection that the server has just closed


class RedisDown(Exception):
    """Redis can't do this now, or nobody knows whether it did: try again later. `refusal`: why it refused it, None
    where it did not answer, or where it may have been the command's fault."""

    def __init__(self, message: str, refusal: RedisRefusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where Redis is (`url`: redis://, rediss:// or unix://), and for how long (`copy_seconds`) it keeps a working
    copy that nobody touches."""

    url: str
    copy_seconds: int = 8 * 86_400


@dataclass(frozen=True, slots=True)
class RedisServer:
    """What the server says of itself: nothing, to a user who may not ask. `policy`: its maxmemory-policy."""

    version: str = ""
    append_only: bool | None = None
    policy: str = ""

    @property
    def refusal(self) -> str | None:
        """The sentence that says why Tick can't work with this server; None if it can."""
        if self.version and tuple(int(part) for part in self.version.split(".")[:2]) < MIN_VERSION:
            return f"REDIS_URL: this server is Redis {self.version}, and Tick needs 6.2 or newer."
        if self.policy not in ("", "noeviction"):
            return (
                f"REDIS_URL: this server may throw keys away when memory is short (maxmemory-policy {self.policy}); "
                "set maxmemory-policy to noeviction, or give Tick a Redis of its own."
            )
        return None

    @property
    def persistence(self) -> str:
        """The sentence that says what a crash of Redis costs."""
        if self.append_only is None:
            return "Redis does not tell how it is set: let the user of REDIS_URL run INFO."
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
    try:
        with redis_errors():
            info: dict[str, Any] = await redis.info()
    except RedisDown as error:
        if error.refusal is RedisRefusal.PERMISSION:
            return RedisServer()  # Tick can do without
        raise
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
    except (RedisError, OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _CLOSED_WORDS.search(str(error)):
            raise
        raise RedisDown(f"{type(error).__name__}: {error}", _find_refusal(error)) from error


def describe_refusal(refusal: RedisRefusal, *, is_embedded: bool) -> str:
    """Returns the sentence that says what the server refuses, and what to do. `is_embedded`: it is Tick's own."""
    return EMBEDDED_DISK_FULL if is_embedded and refusal is RedisRefusal.DISK else REFUSALS[refusal]


def _find_refusal(error: Exception) -> RedisRefusal | None:
    for kind, refusal in _REFUSAL_ERRORS.items():
        if isinstance(error, kind):
            return refusal
    return next((refusal for words, refusal in _REFUSAL_WORDS if words.search(str(error))), None)
