"""Serves liveness (/healthz), readiness (/readyz) and Prometheus metrics (/metrics) to those who watch over Tick.

Invariants
- Nothing here names a customer or a secret, so no key is asked for.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from quart import Response
from quart_schema import document_response

from api.services import services
from api.web.auth import GuardedBlueprint, open_to_all
from api.web.openapi import answers_with, describe_blueprint
from api.web.responses import Answer, Problem, Refusal, refuse, respond

blueprint = GuardedBlueprint("health", __name__)
describe_blueprint(blueprint, "Health")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Whether each part is as the process needs it. `status` is `degraded` where Redis does not answer, takes no
    writes, or may throw keys away: webhooks are kept then, and answered by SQL alone, which takes seconds longer."""

    status: Literal["ready", "degraded"] = Field(
        description="Whether all is well, or Redis is not, and answers take longer."
    )
    database: str = Field(description="Whether a webhook would be stored.", examples=["ok"])
    migrations: str = Field(description="Whether the tables are those of this version.", examples=["ok"])
    worker: str = Field(description="Whether a worker lives; `unknown` where neither Redis nor SQL has heard of one.")
    redis: str = Field(description="Whether Redis answers, takes writes and keeps them.", examples=["ok"])
    troubles: list[str] = Field(
        default=[],
        description="What makes some work wait, while it lasts: rows that another session holds locked, a session that "
        "is idle in a transaction, a full pool of connections, lines of the log that are lost. A sentence each.",
        json_schema_extra={"maxItems": 10},
    )


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
        troubles=list(found.troubles),
    )
    return respond(Answer[Ready](data=ready))


@blueprint.get("/metrics")
@open_to_all
@answers_with(200, METRICS_TYPE, description="The counters, in the text format of Prometheus.")
async def show_metrics() -> Response:
    """What this process has counted, for Prometheus."""
    return Response(services().metrics.render(), content_type=METRICS_TYPE)
