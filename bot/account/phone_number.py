"""Monitors our business phone number: asks Meta how it is, keeps the answer, and raises alerts.

Invariants
- All processes together ask at most once in ten minutes, because Meta counts these calls.
- What is known stays when asking fails, with the reason beside it.
- What an answer does not speak of changes nothing.

Source: Meta, support/health-status and business-phone-numbers/phone-numbers.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from bot.account.updates import retry_stopped_channel
from bot.clock import Clock
from bot.whatsapp.errors import Action
from bot.whatsapp.graph.client import GraphClient, GraphResponse
from bot.whatsapp.sanitize import clean_line
from bot.whatsapp.webhook.account_updates import EXPIRES_AFTER
from storage import alerts, meta_snapshots, restored
from storage.alerts import Alert
from storage.sql.database import Clash, Database, DatabaseDown, Tx
from storage.statuses import AlertSeverity

FIELDS = (
    "verified_name,display_phone_number,quality_rating,status,name_status,code_verification_status,throughput,"
    "health_status,whatsapp_business_manager_messaging_limit"
)
INTERVAL = timedelta(minutes=10)
INTERVAL_WHEN_UNKNOWN = timedelta(seconds=10)  # somebody waits for the number, and none is known
MAX_INFO_ALERT_AGE = timedelta(days=7)  # what is only good to know has been read by then
CHECK_SECONDS = 60.0
MAX_TEXT_CHARACTERS = 200  # of one of Meta's texts


class _Warning(NamedTuple):
    """How bad it is, and what an operator reads."""

    severity: AlertSeverity
    message: str


# The values of Meta's that an operator has to know of. It may add others: those raise no alert.
QUALITY_WARNINGS: Mapping[str, _Warning] = {
    "RED": _Warning(
        AlertSeverity.RED, "The quality of the number is low: customers block or report it. Meta may restrict it."
    ),
    "YELLOW": _Warning(
        AlertSeverity.YELLOW, "The quality of the number is falling: some customers block or report it."
    ),
}
HEALTH_WARNINGS: Mapping[str, _Warning] = {
    "BLOCKED": _Warning(AlertSeverity.RED, "Meta does not let this number send."),
    "LIMITED": _Warning(AlertSeverity.YELLOW, "Meta lets this number send less than it could."),
}
CONNECTED = "CONNECTED"  # the only status with which a number can send
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PhoneNumberSnapshot:
    """Our number as Meta last described it, in Meta's words; "" is what it did not say.

    `problem`: why Meta could not be asked lately, "" when it could. The fields' names stand in SQL, as JSON.
    """

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
        """The number as links to it have it."""
        return "".join(character for character in self.number if character in "0123456789")


class Finding(NamedTuple):
    """What an answer of Meta's says about one subject: an alert, or None when all is well with it."""

    subject: str
    alert: Alert | None = None


class PhoneNumberMonitor:
    """Monitors one phone number."""

    def __init__(self, *, database: Database, graph: GraphClient, clock: Clock, phone_number_id: str) -> None:
        self._database = database
        self._graph = graph
        self._clock = clock
        self.phone_number_id = phone_number_id

    async def run(self, stop: asyncio.Event) -> None:
        """Asks Meta whenever that is due, until `stop` is set. For one task in each process that sends."""
        while not stop.is_set():
            try:
                await self.refresh()
            except DatabaseDown as error:
                log.warning("account_not_read", error=str(error))
            except Exception:  # the next look is in a minute
                log.exception("account_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await stop.wait()

    async def refresh(self, interval: timedelta = INTERVAL) -> None:
        """Asks Meta, unless this process or another did so within `interval`; stores what it said."""
        asked_at = self._clock()

        async def claim(tx: Tx) -> bool:
            return await meta_snapshots.claim(tx, self.phone_number_id, asked_at, interval)

        if await self._database.run(claim, clash=Clash.RUN_AGAIN):
            answer = await self._graph.get(self.phone_number_id, {"fields": FIELDS})
            if not answer.ok:
                log.warning("account_not_answered", problem=_describe_problem(answer))
            await self._database.run(lambda tx: self._store(tx, answer, asked_at), clash=Clash.RUN_AGAIN)

    async def _store(self, tx: Tx, answer: GraphResponse, at: datetime) -> None:
        known = parse_snapshot(await meta_snapshots.read(tx, self.phone_number_id))
        await meta_snapshots.write(tx, self.phone_number_id, json.dumps(asdict(_merge_answer(known, answer))))
        await alerts.expire(tx, at - MAX_INFO_ALERT_AGE)
        await alerts.expire(tx, at - MAX_INFO_ALERT_AGE, restored.SUBJECT)
        for subject_prefix, max_age in EXPIRES_AFTER.items():
            await alerts.expire(tx, at - max_age, subject_prefix)
        for finding in read_findings(answer, self._graph.api_version_seen, at):
            if finding.alert is not None:
                await alerts.raise_alert(tx, finding.alert)
            elif await alerts.clear(tx, finding.subject, at):
                await retry_stopped_channel(tx, finding.subject, at)

    async def read_snapshot(self) -> PhoneNumberSnapshot:
        """Reads what is known, without asking Meta."""
        async with self._database.reading() as tx:
            return parse_snapshot(await meta_snapshots.read(tx, self.phone_number_id))

    async def fetch_if_unknown(self) -> PhoneNumberSnapshot:
        """Reads what is known, and asks Meta first when not even the number itself is."""
        known = await self.read_snapshot()
        if known.digits:
            return known
        await self.refresh(INTERVAL_WHEN_UNKNOWN)
        return await self.read_snapshot()


def parse_snapshot(body: str) -> PhoneNumberSnapshot:
    """Parses the JSON that a PhoneNumberMonitor stored, also that of an older or a newer version of Tick."""
    stored = json.loads(body)
    names = [field.name for field in fields(PhoneNumberSnapshot)]
    return PhoneNumberSnapshot(**{name: stored[name] for name in names if name in stored})


def _describe_problem(answer: GraphResponse) -> str:
    return answer.error.reason if answer.error else answer.failure


def _merge_answer(known: PhoneNumberSnapshot, answer: GraphResponse) -> PhoneNumberSnapshot:
    if not answer.ok:
        return replace(known, problem=_describe_problem(answer))
    value = answer.value
    throughput, health = value.get("throughput"), value.get("health_status")
    texts = {
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
    found = {name: clean_line(text, MAX_TEXT_CHARACTERS) for name, text in texts.items() if isinstance(text, str)}
    return replace(known, **found, problem="")


def read_findings(answer: GraphResponse, other_version: str, at: datetime) -> Iterator[Finding]:
    """Reads what an answer of Meta's says about each subject that it speaks of.

    `other_version`: the version of the Graph API that Meta answered with, when it is not ours; else "".
    """
    if answer.error is not None:
        if answer.error.action is Action.STOP:
            yield _make_finding(
                "number:access",
                AlertSeverity.RED,
                f"Meta does not answer questions about the number. {answer.error.reason}",
                at,
            )
        return
    if answer.failure:
        return
    yield Finding("number:access")
    snapshot = _merge_answer(PhoneNumberSnapshot(), answer)
    if snapshot.status.upper() == CONNECTED:
        yield Finding("number:status")
    elif snapshot.status:
        message = f"The number can't send: Meta says that its status is {snapshot.status}. See WhatsApp Manager."
        yield _make_finding("number:status", AlertSeverity.RED, message, at)
    if warning := QUALITY_WARNINGS.get(snapshot.quality.upper()):
        yield _make_finding("number:quality", warning.severity, warning.message, at)
    elif snapshot.quality:
        yield Finding("number:quality")
    if warning := HEALTH_WARNINGS.get(snapshot.health.upper()):
        details = dict.fromkeys(_read_health_details(answer.value["health_status"]))
        yield _make_finding("number:health", warning.severity, " ".join((warning.message, *details)), at)
    elif snapshot.health:
        yield Finding("number:health")
    if other_version:
        message = (
            f"Meta answers with version {other_version} of the Graph API, which is not the one in WHATSAPP_API_URL: "
            "that one is too old, or does not exist yet."
        )
        yield _make_finding("api_version", AlertSeverity.YELLOW, message, at)
    else:
        yield Finding("api_version")


def _make_finding(subject: str, severity: AlertSeverity, message: str, at: datetime) -> Finding:
    return Finding(subject, Alert(subject, severity, message, at))


def _read_health_details(health: Any) -> Iterator[str]:
    """Reads what Meta says is wrong, and what it says would help, of each entity that can't send as it should."""
    for entity in _list_or_empty(health.get("entities")):
        if not isinstance(entity, Mapping) or entity.get("can_send_message") not in tuple(HEALTH_WARNINGS):
            continue  # a tuple, since what Meta names here may be of any type, and need not be hashable
        texts: list[object] = []
        for error in _list_or_empty(entity.get("errors")):
            if isinstance(error, Mapping):
                texts += (error.get("error_description"), error.get("possible_solution"))
        texts += _list_or_empty(entity.get("additional_info"))
        yield from (clean_line(text, MAX_TEXT_CHARACTERS) for text in texts if isinstance(text, str))


def _list_or_empty(value: object) -> list[object]:
    return value if isinstance(value, list) else []
