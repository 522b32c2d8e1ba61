"""Serves liveness (/healthz), readiness (/readyz) and Prometheus metrics (/metrics) to those who watch over Tick.

Invariants
- Nothing here names a customer or a secret, so no key is asked for.
"""

from typing import Literal

from pydantic import BaseModel
from quart import Response
from quart_schema import document_response

from api.services import services
from api.web.auth import GuardedBlueprint, open_to_all
from api.web.responses import Answer, Problem, Refusal, refuse, respond

blueprint = GuardedBlueprint("health", __name__)


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """Whether each part is as the process needs it. `status` is `degraded`, and `worker` is `unknown`, where Redis does
    not answer or takes no writes: webhooks are kept then, and answered once it is back."""

    status: Literal["ready", "degraded"]
    database: str
    migrations: str
    worker: str
    redis: str


@blueprint.get("/healthz")
@open_to_all
@document_response(Answer[Alive])
async def show_liveness() -> Response:
    """Is the process alive?"""
    return respond(Answer[Alive](data=Alive()))


@blueprint.get("/readyz")
@open_to_all
@document_response(Answer[Ready])
@document_response(Refusal, 503)
async def show_readiness() -> Response:
    """Can it do its work?"""
    found = await services().readiness.run()
    if found.problems:
        problems = found.problems | {"redis": found.redis}
        return refuse(503, "Not ready", [Problem(field=field, message=message) for field, message in problems.items()])
    ready = Ready(
        status="degraded" if found.degraded else "ready",
        database="ok",
        migrations="ok",
        worker=found.worker,
        redis=found.redis,
    )
    return respond(Answer[Ready](data=ready))


@blueprint.get("/metrics")
@open_to_all
async def show_metrics() -> Response:
    """What this process has counted, for Prometheus."""
    return Response(services().metrics.render(), content_type="text/plain; version=0.0.4; charset=utf-8")
