"""The monitor of our phone number, on both databases: Meta is asked seldom, and what is wrong becomes an alert."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.account.phone_number import FIELDS, PhoneNumberMonitor, PhoneNumberSnapshot
from bot.account.updates import record_updates
from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.updates import AccountUpdate
from storage import alerts
from storage.alerts import Alert
from storage.sql.database import Database
from storage.statuses import AlertSeverity
from tests.bot.meta_answers import NUMBER, CannedAnswer, Meta, answering, refusal
from tests.support.places import PAYLOADS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASK = f"GET {NUMBER}"
HEALTH = json.loads((PAYLOADS / "responses-odd/200_health_status.json").read_text())
WELL = {
    "id": NUMBER, "verified_name": "Tick Desk", "display_phone_number": "+1 555-000-1234", "quality_rating": "GREEN",
    "status": "CONNECTED", "name_status": "APPROVED", "code_verification_status": "VERIFIED",
    "throughput": {"level": "STANDARD"}, "whatsapp_business_manager_messaging_limit": "TIER_2K",
    "health_status": {"can_send_message": "AVAILABLE", "entities": []},
}  # fmt: skip


class Watched:
    """A monitor, what it asks, and a clock that the test sets."""

    def __init__(self, database: Database, meta: Meta) -> None:
        self.database = database
        self.meta = meta
        self.now = NOW
        self.monitor: PhoneNumberMonitor

    async def refresh_with(self, answer: object, minutes: float = 10) -> list[str]:
        """Has Meta asked again so many minutes later, and answer this; returns the alerts after it."""
        self.now += timedelta(minutes=minutes)
        self.meta.set_answers(ASK, answer)
        await self.monitor.refresh()
        return await self.alerts()

    async def alerts(self) -> list[str]:
        async with self.database.reading() as tx:
            return [f"{alert.severity} {alert.subject}: {alert.message}" for alert in await alerts.list_open(tx)]


@pytest.fixture
async def watched(database: Database) -> AsyncIterator[Watched]:
    async with answering() as (meta, graph):
        watched = Watched(database, meta)
        watched.monitor = PhoneNumberMonitor(
            database=database, graph=graph, clock=lambda: watched.now, phone_number_id=NUMBER
        )
        yield watched


@pytest.fixture
async def light_watched(sqlite_database: Database) -> AsyncIterator[Watched]:
    async with answering() as (meta, graph):
        watched = Watched(sqlite_database, meta)
        watched.monitor = PhoneNumberMonitor(
            database=sqlite_database, graph=graph, clock=lambda: watched.now, phone_number_id=NUMBER
        )
        yield watched


async def test_what_is_known_of_the_number(watched: Watched) -> None:
    assert await watched.monitor.read_snapshot() == PhoneNumberSnapshot()
    assert await watched.refresh_with(WELL) == []
    assert watched.meta.asked == [(ASK, {"fields": FIELDS}, None)]
    known = await watched.monitor.read_snapshot()
    assert asdict(known) == {
        "number": "+1 555-000-1234", "name": "Tick Desk", "quality": "GREEN", "status": "CONNECTED",
        "name_status": "APPROVED", "verification": "VERIFIED", "throughput": "STANDARD", "limit": "TIER_2K",
        "health": "AVAILABLE", "problem": "",
    }  # fmt: skip
    assert known.digits == "15550001234"


async def test_all_processes_together_ask_once_in_ten_minutes(watched: Watched) -> None:
    watched.meta.set_answers(ASK, WELL)
    for minutes, asked in ((0, 1), (9, 1), (1, 2), (9.9, 2), (0.2, 3)):
        watched.now += timedelta(minutes=minutes)
        await asyncio.gather(*(watched.monitor.refresh() for _ in range(6)))
        assert watched.meta.count(ASK) == asked


TROUBLES: list[tuple[dict[str, Any], list[str]]] = [
    ({"status": "FLAGGED"}, ["red number:status: The number can't send: Meta says that its status is FLAGGED."]),
    ({"status": "BANNED", "quality_rating": "RED"}, ["red number:quality", "red number:status"]),
    ({"quality_rating": "YELLOW"}, ["yellow number:quality: The quality of the number is falling"]),
    ({"quality_rating": "UNKNOWN"}, []),
    ({"quality_rating": "NA"}, []),
    (HEALTH, ["yellow number:health: Meta lets this number send less than it could. Your business has not passed bus"]),
    (
        {"health_status": {"can_send_message": "BLOCKED", "entities": [
            {"entity_type": "WABA", "can_send_message": "BLOCKED", "errors": [{
                "error_code": 141006, "error_description": "There is an error with the payment method.",
                "possible_solution": "Add a payment method."}]},
            {"entity_type": "APP", "can_send_message": "AVAILABLE", "errors": [{"error_description": "not meant"}]},
        ]}},
        ["red number:health: Meta does not let this number send. "
         "There is an error with the payment method. Add a payment method."],
    ),
    (
        {"health_status": {"can_send_message": "LIMITED", "entities": [7, {
            "can_send_message": "BLOCKED", "errors": [None, {"possible_solution": 3}], "additional_info": [1]}]}},
        ["yellow number:health: Meta lets this number send less than it could."],
    ),
    (
        {"health_status": {"can_send_message": "LIMITED", "entities": [
            {"can_send_message": {}}, {"can_send_message": []}]}},
        ["yellow number:health: Meta lets this number send less than it could."],
    ),
    ({"health_status": "BLOCKED"}, []),
    ({"throughput": [], "display_phone_number": None, "verified_name": {}}, []),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), TROUBLES)
async def test_trouble_raises_an_alert_until_it_is_over(
    light_watched: Watched, change: dict[str, Any], expected: list[str]
) -> None:
    found = await light_watched.refresh_with(WELL | change)
    assert len(found) == len(expected)
    assert all(alert.startswith(start) for alert, start in zip(found, expected, strict=True))
    assert await light_watched.refresh_with(WELL) == []


async def test_what_an_answer_does_not_speak_of_stays(light_watched: Watched) -> None:
    before = await light_watched.refresh_with(WELL | {"status": "BANNED", "quality_rating": "RED"})
    assert await light_watched.refresh_with({"id": NUMBER}) == before
    assert (await light_watched.monitor.read_snapshot()).quality == "RED"


@pytest.mark.parametrize(
    ("answer", "alert", "problem"),
    [
        (
            refusal(190, 401),
            "red number:access: Meta does not answer questions about the number. The access token",
            "The access token",
        ),
        (refusal(100, error_subcode=33), "red number:access", "Meta knows nothing under this id"),
        (refusal(80007), "", "Meta's limit"),
        (CannedAnswer(b"<html>", 502), "", "Meta answered HTTP 502"),
        (CannedAnswer(b"[]"), "", "Meta answered HTTP 200"),
    ],
)
async def test_what_is_known_is_kept_when_asking_fails(
    light_watched: Watched, answer: object, alert: str, problem: str
) -> None:
    assert await light_watched.refresh_with(WELL) == []
    found = await light_watched.refresh_with(answer)
    assert [each.startswith(alert) for each in found] == ([True] if alert else [])
    known = await light_watched.monitor.read_snapshot()
    assert (known.quality, known.digits) == ("GREEN", "15550001234")
    assert known.problem.startswith(problem)
    assert await light_watched.refresh_with(WELL) == []
    assert (await light_watched.monitor.read_snapshot()).problem == ""


async def test_another_version_than_ours(light_watched: Watched) -> None:
    [alert] = await light_watched.refresh_with(CannedAnswer(WELL, version="v21.0"))
    assert alert.startswith("yellow api_version: Meta answers with version v21.0 of the Graph API")
    assert await light_watched.refresh_with(WELL) == []


async def test_what_is_good_to_know_is_known_after_a_week(watched: Watched) -> None:
    made = [Alert("a", AlertSeverity.INFO, "New.", NOW), Alert("b", AlertSeverity.YELLOW, "Bad.", NOW)]
    for alert in made:
        await watched.database.run(lambda tx, alert=alert: alerts.raise_alert(tx, alert))  # type: ignore[misc]
    assert len(await watched.refresh_with(WELL, minutes=7 * 24 * 60)) == 2
    assert await watched.refresh_with(WELL) == ["yellow b: Bad."]


@pytest.mark.parametrize(
    ("field", "value", "days"),
    [
        ("security", {"event": "PIN_CHANGED"}, 7),
        ("messages", {"errors": [{"code": 130429, "title": "Rate limit hit"}]}, 1),
        ("template_category_update", {"new_category": "MARKETING"}, 7),
        ("account_update", {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "ALCOHOL"}}, 31),
        (
            "account_update",
            {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "RESTRICTED_BIZ"}]},
            31,
        ),
        ("account_alerts", {"alert_type": "OBA_REJECTED", "alert_severity": "WARNING"}, 31),
        ("account_update", {"event": "PHONE_NUMBER_REMOVED"}, 7),
    ],
)
async def test_updates_that_meta_need_not_take_back_end_by_themselves(
    light_watched: Watched, field: str, value: dict[str, object], days: int
) -> None:
    template = {"message_template_name": "hello", "message_template_language": "en"}
    (bad,) = read_account_updates(json.dumps({"field": field, "value": template | value}))
    lasting = AccountUpdate("account:ban", "red", "Banned.")
    await light_watched.database.run(lambda tx: record_updates(tx, [(NOW, bad), (NOW, lasting)]))
    assert len(await light_watched.refresh_with(WELL, minutes=days * 24 * 60)) == 2
    assert await light_watched.refresh_with(WELL) == ["red account:ban: Banned."]


@pytest.mark.parametrize(("subject", "days"), [("sending:131042", 1), ("template-refused:hello:en", 7)])
async def test_an_alert_of_a_refusal_stays_until_it_has_not_been_for_a_while(
    light_watched: Watched, subject: str, days: int
) -> None:
    refused = Alert(subject, AlertSeverity.RED, "Refused.", NOW)
    await light_watched.database.run(lambda tx: alerts.raise_alert(tx, refused))
    assert await light_watched.refresh_with(WELL, minutes=days * 24 * 60) == [f"red {subject}: Refused."]
    assert await light_watched.refresh_with(WELL) == []


async def test_the_number_is_asked_for_when_it_is_not_known(watched: Watched) -> None:
    assert (await watched.monitor.fetch_if_unknown()).problem.startswith("Meta knows nothing under this id")
    await watched.monitor.fetch_if_unknown()
    assert watched.meta.count(ASK) == 1  # nobody who asks again and again uses up what Meta allows
    watched.now += timedelta(seconds=10)
    watched.meta.set_answers(ASK, WELL)
    assert (await watched.monitor.fetch_if_unknown()).digits == "15550001234"
    watched.now += timedelta(hours=1)
    assert (await watched.monitor.fetch_if_unknown()).digits == "15550001234"
    assert watched.meta.count(ASK) == 2


async def test_the_task_asks_at_start_and_ends_at_the_stop(light_watched: Watched) -> None:
    light_watched.meta.set_answers(ASK, WELL)
    stop = asyncio.Event()
    running = asyncio.create_task(light_watched.monitor.run(stop))
    async with asyncio.timeout(10):
        while not (await light_watched.monitor.read_snapshot()).digits:
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 20)
    assert light_watched.meta.count(ASK) == 1


async def test_the_task_outlives_what_it_can_not_read(light_watched: Watched) -> None:
    await light_watched.refresh_with(WELL)
    await light_watched.database.run(lambda tx: tx.execute("UPDATE account SET body = '{'"))
    light_watched.now += timedelta(minutes=10)
    stop = asyncio.Event()
    running = asyncio.create_task(light_watched.monitor.run(stop))
    async with asyncio.timeout(10):
        while light_watched.meta.count(ASK) < 2:
            await asyncio.sleep(0.01)
    await light_watched.alerts()  # the answer was being read before this
    stop.set()
    await asyncio.wait_for(running, 20)
