"""Keeps, for each process that works on lanes, which sessions of the database are its own (hash `tick:sessions`).

Who takes over from a process that is dead, or stands still, ends those: what such a process has locked in the middle of
a transaction would else keep its customers waiting.

Invariants
- Nothing here is a promise: what was lost is written again within seconds, and the database ends idle sessions itself.
"""

import json
from collections.abc import Collection, Mapping
from typing import cast

from redis.asyncio import Redis

from storage.redis.client import redis_errors

KEY = "tick:sessions"


class OwnerSessions:
    """The sessions of the processes, as one of them, `owner`, writes and reads them. All calls raise RedisDown."""

    def __init__(self, redis: Redis, owner: str) -> None:
        self._redis = redis
        self._owner = owner

    async def record(self, sessions: Mapping[int, str]) -> None:
        """Notes which sessions this process has: id -> the address that it came from."""
        with redis_errors():
            await self._redis.hset(KEY, self._owner, json.dumps(list(sessions.items())))

    async def read_dead(self, alive: Collection[str]) -> dict[str, dict[int, str]]:
        """Reads the sessions of the processes that are not among `alive`, by process."""
        with redis_errors():
            found = cast(dict[bytes, bytes], await self._redis.hgetall(KEY))
        named = {owner.decode(): dict(json.loads(sessions)) for owner, sessions in found.items()}
        return {owner: sessions for owner, sessions in named.items() if owner not in alive and owner != self._owner}

    async def forget(self, owner: str = "") -> None:
        """Forgets the sessions of a process, by default of this one."""
        with redis_errors():
            await self._redis.hdel(KEY, owner or self._owner)
