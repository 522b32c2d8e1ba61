"""Asks the database and Redis what the doctor wants to know: what came in lately, and how Redis is set. (How a MySQL
server is set: `sql/server_checks.py`.)

Invariants
- It only reads, each time at the end of an index or in the server's own tables; what it writes to Redis, to see that
  it can, is gone after a second.
- What is wrong with a server is returned as a value, so that the doctor goes on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from storage.redis.client import Redis, RedisDown, RedisRefusal, RedisServer, RedisSettings, inspect_redis, open_redis
from storage.redis.lanes import Lanes
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx
from storage.statuses import Fate

LOOK_BACK = timedelta(days=28)
STEP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Traffic:
    """When Meta last wrote, the longest silence before that, and for how long before `last_at` this is known."""

    last_at: datetime | None
    longest: timedelta
    known_for: timedelta


async def read_traffic(tx: Tx, now: datetime) -> Traffic:
    """Reads what came in lately, by one look for each hour at the beginning of a range of an index."""
    newest = await tx.fetch("SELECT received_at FROM item ORDER BY id DESC LIMIT 1")
    if not newest:
        return Traffic(None, timedelta(), timedelta())
    last = from_millis(newest[0][0])
    seen: list[datetime] = []
    at: datetime | None = await _find_first_after(tx, now - LOOK_BACK)
    while at is not None and at < last:
        seen.append(at)
        at = await _find_first_after(tx, at + STEP)
    seen.append(last)
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    return Traffic(last, max(gaps, default=timedelta()), last - seen[0])


async def _find_first_after(tx: Tx, at: datetime) -> datetime | None:
    found = [
        row[0]
        for fate in Fate
        for row in await tx.fetch(
            "SELECT MIN(received_at) FROM item WHERE fate = ? AND received_at >= ?", (fate, to_millis(at))
        )
        if row[0] is not None
    ]
    return from_millis(min(found)) if found else None


async def probe_redis(redis: Redis) -> RedisServer | RedisRefusal | None:
    """Returns what the server says of itself, or why it refuses us; None when nothing answers as a Redis would."""
    try:
        await Lanes(redis, "doctor").check_writes()
        return await inspect_redis(redis)
    except RedisDown as error:
        return error.refusal


def open_redis_at(url: str) -> Redis:
    """Makes a client; close it with `aclose()`."""
    return open_redis(RedisSettings(url))
