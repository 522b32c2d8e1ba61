"""Checks whether a process can do its work.

Invariants
- A check gives up in seconds.
- A Redis that is down is told, and is no reason to take the process out of service: webhooks are safe without it.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.sql.database import Database, DatabaseDown
from storage.sql.migrate import list_missing

DATABASE_SECONDS = 2.0
REDIS_SECONDS = 1.0


class WorkerState(StrEnum):
    """Whether there is a worker, as /readyz shows it."""

    ALIVE = "alive"
    NONE = "none"
    UNKNOWN = "unknown"  # Redis, which knows, does not answer


@dataclass(frozen=True, slots=True)
class Readiness:
    """What keeps a process from its work (`problems`: the part, and why), and how the worker and Redis are. `worker` is
    `unknown` where Redis, which knows, does not answer."""

    problems: dict[str, str]
    worker: WorkerState
    redis: str


class ReadinessCheck:
    """Checks the readiness of one process. `redis_line`: what the start found out about Redis."""

    def __init__(self, database: Database, lanes: Lanes, redis_line: str) -> None:
        self._database = database
        self._lanes = lanes
        self._redis_line = redis_line
        self._has_all_migrations = False  # asked until it is so, and not again

    async def run(self) -> Readiness:
        """Asks the database and Redis."""
        problems = {}
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                async with self._database.reading(DATABASE_SECONDS) as tx:
                    await tx.fetch("SELECT 1")
                self._has_all_migrations = self._has_all_migrations or not await list_missing(self._database)
                if not self._has_all_migrations:
                    problems["migrations"] = "some are missing: run `tick migrate`"
        except (DatabaseDown, TimeoutError):
            problems["database"] = "it does not answer"
        worker, redis = WorkerState.UNKNOWN, "it does not answer"
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                # None: Redis has just come (back), and whoever is alive speaks up within a second
                worker = WorkerState.ALIVE if await self._lanes.is_anybody_alive() else WorkerState.NONE
                redis = "ok"
        except (RedisDown, TimeoutError):
            pass
        if worker is WorkerState.NONE:
            problems["worker"] = "none is alive"
        if not problems and worker is not WorkerState.UNKNOWN and self._redis_line:
            redis = self._redis_line
        return Readiness(problems, worker, redis)
