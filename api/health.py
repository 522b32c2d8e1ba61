"""For those who watch over Tick: is it alive, can it work, what has it counted.

Invariant: nothing here names a customer or a secret, so no key is asked for; a check gives up in seconds. A Redis that
is down is told and is no reason to take the process out of service: webhooks are safe without it.
"""

import asyncio

from pydantic import BaseModel
from quart import Response

from api.services import ApiParts
from api.web.auth import GuardedBlueprint, open_to_all
from api.web.responses import Answer, Problem, Refusal, answer, gives, refusal
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.sql.database import DatabaseDown
from storage.sql.migrate import list_missing

DATABASE_SECONDS = 2.0
REDIS_SECONDS = 1.0


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """What it takes to work. `worker` is `unknown` where Redis, which knows, does not."""

    database: str
    migrations: str
    worker: str
    redis: str


def make_health(parts: ApiParts) -> GuardedBlueprint:
    """/healthz, /readyz and /metrics."""
    blueprint = GuardedBlueprint("health", __name__)
    migrated = False

    @blueprint.get("/healthz")
    @open_to_all
    @gives(Answer[Alive])
    async def alive() -> Response:
        """Is the process alive?"""
        return answer(Answer[Alive](data=Alive()))

    @blueprint.get("/readyz")
    @open_to_all
    @gives(Answer[Ready])
    @gives(Refusal, 503)
    async def ready() -> Response:
        """Can it do its work?"""
        nonlocal migrated
        problems = []
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                async with parts.database.reading(DATABASE_SECONDS) as tx:
                    await tx.fetch("SELECT 1")
                migrated = migrated or not await list_missing(parts.database)
                if not migrated:
                    problems.append(Problem(field="migrations", message="some are missing: run `tick migrate`"))
        except (DatabaseDown, TimeoutError):
            problems.append(Problem(field="database", message="it does not answer"))
        worker, redis = await _workers(parts.lanes)
        if worker == "none":
            problems.append(Problem(field="worker", message="none is alive"))
        if problems:
            return refusal(503, "Not ready", [*problems, Problem(field="redis", message=redis)])
        told = parts.redis_line if redis == "ok" and parts.redis_line else redis
        return answer(Answer[Ready](data=Ready(database="ok", migrations="ok", worker=worker, redis=told)))

    @blueprint.get("/metrics")
    @open_to_all
    async def metrics() -> Response:
        """What this process has counted, for Prometheus."""
        return Response(parts.metrics.render(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return blueprint


async def _workers(lanes: Lanes) -> tuple[str, str]:
    """(are workers alive, how is Redis)."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            # None: Redis has just come (back), and whoever is alive speaks up within a second
            return ("alive" if await lanes.is_anybody_alive() else "none"), "ok"
    except (RedisDown, TimeoutError):
        return "unknown", "it does not answer"
