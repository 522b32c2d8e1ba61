"""How Meta sees our number: asked now and then, kept for every process to read, and told as alerts.

Invariants: all processes together ask at most once in ten minutes, because Meta counts these calls; what is known is
kept when asking fails, with the reason beside it; what an answer does not speak of changes nothing.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.account.updates import try_channel
from bot.clock import Clock
from bot.whatsapp.errors import Action
from bot.whatsapp.graph.client import Answer, GraphClient
from bot.whatsapp.sanitize import one_line
from bot.whatsapp.webhook.account_updates import STANDS
from storage import alerts, meta_snapshots
from storage.alerts import Alert
from storage.sql.database import Clash, Database, DatabaseDown, Tx
from storage.statuses import AlertSeverity

FIELDS = (
    "verified_name,display_phone_number,quality_rating,status,name_status,code_verification_status,throughput,"
    "health_status,whatsapp_business_manager_messaging_limit"
)
EVERY = timedelta(minutes=10)
AT_ONCE = timedelta(seconds=10)
INFO_STANDS = timedelta(days=7)
LOOK_SECONDS = 60.0
LONGEST = 200
QUALITY: Mapping[str, tuple[AlertSeverity, str]] = {
    "RED": (AlertSeverity.RED, "The quality of the number is low: customers block or report it. Meta may restrict it."),
    "YELLOW": (AlertSeverity.YELLOW, "The quality of the number is falling: some customers block or report it."),
}
HEALTH: Mapping[str, tuple[AlertSeverity, str]] = {
    "BLOCKED": (AlertSeverity.RED, "Meta does not let this number send."),
    "LIMITED": (AlertSeverity.YELLOW, "Meta lets this number send less than it could."),
}
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Number:
    """Our number, as Meta last told; "" is what it did not. `problem`: why it could not be asked lately."""

    number: str = ""
    name: str = ""
    quality: str = ""
    status: str = ""
    name_status: str = ""
    verification: str = ""
    throughput: str = ""
    limit: str = ""
    health: str = ""
    problem: str = ""

    @property
    def digits(self) -> str:
        """As links to the number have it."""
        return "".join(character for character in self.number if character in "0123456789")


class AccountWatch:
    """Looks after one phone number."""

    def __init__(self, database: Database, graph: GraphClient, clock: Clock, phone_number_id: str) -> None:
        self._database = database
        self._graph = graph
        self._clock = clock
        self.phone_number_id = phone_number_id

    async def run(self, stop: asyncio.Event) -> None:
        """Asks again and again until `stop` is set. For one task in each process that sends."""
        while not stop.is_set():
            try:
                await self.refresh()
            except DatabaseDown as error:
                log.warning("account_not_read", error=str(error))
            except Exception:  # the next look is in a minute
                log.exception("account_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def refresh(self, every: timedelta = EVERY) -> None:
        """Asks Meta, unless that was done within `every`, here or by another process."""
        asked_at = self._clock()

        async def claim(tx: Tx) -> bool:
            return await meta_snapshots.claim(tx, self.phone_number_id, asked_at, every)

        async def note(tx: Tx) -> None:
            known = read_number(await meta_snapshots.read(tx, self.phone_number_id))
            await meta_snapshots.write(tx, self.phone_number_id, json.dumps(asdict(_learned(known, answer))))
            await alerts.expire(tx, asked_at - INFO_STANDS)
            for subjects, stands in STANDS.items():
                await alerts.expire(tx, asked_at - stands, subjects)
            for alert in findings(answer, self._graph.api_version_seen, asked_at):
                if isinstance(alert, Alert):
                    await alerts.raise_alert(tx, alert)
                elif await alerts.clear(tx, alert, asked_at):
                    await try_channel(tx, alert, asked_at)

        if await self._database.run(claim, clash=Clash.RUN_AGAIN):
            answer = await self._graph.get(self.phone_number_id, {"fields": FIELDS})
            if not answer.ok:
                log.warning("account_not_told", problem=_problem(answer))
            await self._database.run(note, clash=Clash.RUN_AGAIN)

    async def known(self) -> Number:
        """What is known."""
        async with self._database.reading() as tx:
            return read_number(await meta_snapshots.read(tx, self.phone_number_id))

    async def number(self) -> Number:
        """What is known, and Meta is asked when not even the number itself is."""
        known = await self.known()
        if known.digits:
            return known
        await self.refresh(AT_ONCE)
        return await self.known()


def read_number(body: str) -> Number:
    """As the row of the account has it."""
    stored = json.loads(body)
    return Number(**{field.name: stored[field.name] for field in fields(Number) if field.name in stored})


def _problem(answer: Answer) -> str:
    return answer.error.reason if answer.error else answer.failure


def _learned(known: Number, answer: Answer) -> Number:
    if not answer.ok:
        return replace(known, problem=_problem(answer))
    value = answer.value
    throughput, health = value.get("throughput"), value.get("health_status")
    told = {
        "number": value.get("display_phone_number"),
        "name": value.get("verified_name"),
        "quality": value.get("quality_rating"),
        "status": value.get("status"),
        "name_status": value.get("name_status"),
        "verification": value.get("code_verification_status"),
        "limit": value.get("whatsapp_business_manager_messaging_limit"),
        "throughput": throughput.get("level") if isinstance(throughput, Mapping) else None,
        "health": health.get("can_send_message") if isinstance(health, Mapping) else None,
    }
    read = {name: one_line(text, LONGEST) for name, text in told.items() if isinstance(text, str)}
    return replace(known, **read, problem="")


def findings(answer: Answer, other_version: str, at: datetime) -> Iterator[Alert | str]:
    """What is to be said, as alerts, and the subjects of which there is nothing more to say."""
    if answer.error is not None:
        if answer.error.action is Action.STOP:
            yield Alert(
                "number:access", AlertSeverity.RED, f"Meta does not tell of the number. {answer.error.reason}", at
            )
        return
    if answer.failure:
        return
    yield "number:access"
    learned = _learned(Number(), answer)
    if learned.status:
        message = f"The number can't be used to send: Meta has its status as {learned.status}. See WhatsApp Manager."
        fine = learned.status.upper() == "CONNECTED"
        yield "number:status" if fine else Alert("number:status", AlertSeverity.RED, message, at)
    if learned.quality:
        severity, message = QUALITY.get(learned.quality.upper(), (AlertSeverity.INFO, ""))
        yield Alert("number:quality", severity, message, at) if message else "number:quality"
    if learned.health:
        severity, message = HEALTH.get(learned.health.upper(), (AlertSeverity.INFO, ""))
        told = " ".join((message, *dict.fromkeys(_troubles(answer.value["health_status"]))))
        yield Alert("number:health", severity, told, at) if message else "number:health"
    if other_version:
        message = (
            f"Meta answers with version {other_version} of the Graph API, which is not the one in WHATSAPP_API_URL: "
            "that one is too old, or not there yet."
        )
        yield Alert("api_version", AlertSeverity.YELLOW, message, at)
    else:
        yield "api_version"


def _troubles(health: Any) -> Iterator[str]:
    """What Meta says is wrong, and what it says would help."""
    entities = health.get("entities")
    for entity in entities if isinstance(entities, list) else []:
        if not isinstance(entity, Mapping) or entity.get("can_send_message") not in ("LIMITED", "BLOCKED"):
            continue
        errors, more = entity.get("errors"), entity.get("additional_info")
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, Mapping):
                said = (error.get("error_description"), error.get("possible_solution"))
                yield from (one_line(text, LONGEST) for text in said if isinstance(text, str))
        yield from (one_line(text, LONGEST) for text in more if isinstance(text, str)) if isinstance(more, list) else ()
