"""Serves the doctor's report over HTTP, for those who manage Tick: GET /api/whatsapp/doctor.

Invariants
- There is one examination at a time, since each asks Meta some ten times; whoever asks meanwhile gets the same report.
- It goes by the access token as it is set by then, as the circuit breaker of the sending does.
"""

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, Field, SecretStr
from quart import Response
from quart_schema import document_response

from api.doctor.finding import Outcome
from api.doctor.report import Report
from api.doctor.run import examine
from api.settings import Settings
from api.web.auth import GuardedBlueprint, Permission, needs
from api.web.openapi import describe_blueprint
from api.web.responses import Answer, respond
from bot.clock import Clock
from storage.redis.lanes import Lanes
from storage.sql.database import Database


class Check(BaseModel):
    """The result of one check."""

    name: str = Field(description="What was looked at.", examples=["access_token"])
    ok: bool = Field(description="Whether it is as it should be.")
    outcome: Outcome = Field(
        description="How it came out. A warning works, and needs fixing soon; what is waiting was not looked at, since "
        "another check failed."
    )
    reason: str = Field(description="What was found.")
    fix: str = Field(description='How to fix what is wrong; "" where nothing is.')


class Examination(BaseModel):
    """The results of one examination."""

    ok: bool = Field(description="Whether nothing is wrong.")
    checks: list[Check] = Field(description="All checks, in the order in which they are best fixed.")


class Doctor:
    """Examines a running service, with what that service has open. `read_token` returns the access token as it is set
    now, or "" when it can't be read."""

    def __init__(
        self, settings: Settings, database: Database, lanes: Lanes, clock: Clock, read_token: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._database = database
        self._lanes = lanes
        self._clock = clock
        self._read_token = read_token
        self._under_way: asyncio.Task[Report] | None = None

    async def report(self) -> Report:
        """Returns the report of an examination that begins now, or of the one under way."""
        if self._under_way is None or self._under_way.done():
            token = SecretStr(self._read_token() or self._settings.whatsapp_access_token.get_secret_value())
            current = self._settings.model_copy(update={"whatsapp_access_token": token})
            self._under_way = asyncio.create_task(
                examine(current, self._clock, database=self._database, lanes=self._lanes)
            )
        return await asyncio.shield(self._under_way)


def make_doctor(doctor: Doctor) -> GuardedBlueprint:
    """Makes the route GET /api/whatsapp/doctor."""
    blueprint = GuardedBlueprint("doctor", __name__, url_prefix="/api/whatsapp")
    describe_blueprint(blueprint, "WhatsApp")

    @blueprint.get("/doctor")
    @needs(Permission.MANAGE)
    @document_response(Answer[Examination])
    async def examine_setup() -> Response:
        """What is wrong with the set-up, and how do I fix it?"""
        report = await doctor.report()
        checks = [
            Check(name=one.name, ok=one.ok, outcome=one.outcome, reason=one.reason, fix=one.fix)
            for one in report.checks
        ]
        return respond(Answer[Examination](data=Examination(ok=report.ok, checks=checks)))

    return blueprint
