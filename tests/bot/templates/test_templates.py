"""Templates from Meta's list to the outbox, against a Graph API on a real socket and on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.account.updates import record_updates
from bot.templates.choice import NO_TEMPLATE, find_usable_name
from bot.templates.health import TemplateKey
from bot.templates.listing import FIELDS
from bot.templates.notice_kinds import NoticeKind, NoticeValue
from bot.templates.parameters import ParameterMapping
from bot.templates.refusals import STATUS_BY_CODE
from bot.templates.sync import NO_ACCOUNT, TemplateSync
from bot.whatsapp.messages.build import build_body
from bot.whatsapp.webhook.updates import AccountUpdate, TemplateChange
from storage import alerts
from storage import templates as rows
from storage.sql.database import Database
from storage.statuses import TicketStatus, Why
from storage.templates import NoticeAssignment
from tests.bot.meta_answers import WABA, CannedAnswer, Meta, answering, refusal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIST = f"GET {WABA}/message_templates"
TICKET = {"ticket_id": "12", "title": "Printer on fire", "name": "Ann", "text": "Try it now."}


class Desk:
    """Templates, what they ask, and a clock that the test sets."""

    def __init__(self, database: Database, meta: Meta, templates: TemplateSync) -> None:
        self.database = database
        self.meta = meta
        self.templates = templates
        self.now = NOW

    async def listing(self, *entries: object, after_minutes: float = 10) -> str:
        """Meta has these now; returns the problem of asking it."""
        self.now += timedelta(minutes=after_minutes)
        self.meta.set_answers(LIST, {"data": list(entries), "paging": {"cursors": {"before": "b", "after": "a"}}})
        return (await self.templates.sync()).problem

    async def assign(
        self, kind: str, body: Sequence[str] | Mapping[str, str] = ("name", "ticket_id"), language: str = "en"
    ) -> None:
        """Lets a template carry this notice, whether it fits or not."""
        parameters = ParameterMapping.from_request(body, []).to_json()
        notice = NoticeAssignment(kind, language, "ticket_update", language, parameters, self.now)
        await self.database.run(lambda tx: rows.save_assignment(tx, notice))

    async def convert(self, kind: str, language: str, values: Mapping[str, str]) -> dict[str, object] | Why:
        notice = {"kind": kind, "language": language, "values": values}
        return await self.templates.convert_to_template({"type": "text", "text": "News.", "notice": notice})

    async def statuses(self) -> dict[str, str]:
        async with self.database.reading() as tx:
            return {row.template_id: row.status for row in await rows.list_templates(tx)}

    async def alerts(self) -> list[str]:
        async with self.database.reading() as tx:
            return [f"{alert.severity} {alert.message}" for alert in await alerts.list_open(tx)]

    async def hear(self, status: str, minutes: float) -> None:
        """A webhook that left Meta so many minutes ago."""
        change = TemplateChange("1", "ticket_update", "en", status)
        update = AccountUpdate("template:ticket_update:en", "clear" if status == "APPROVED" else "red", "", change)
        at = self.now - timedelta(minutes=minutes)
        await self.database.run(lambda tx: record_updates(tx, [(at, update)]))


def entry(number: int = 1, **more: object) -> dict[str, Any]:
    body = {"type": "BODY", "text": "Hello {{1}}, your ticket {{2}} has news."}
    return {
        "id": str(number), "name": "ticket_update", "language": "en", "status": "APPROVED", "category": "UTILITY",
        "components": [body], "quality_score": {"score": "GREEN"},
    } | more  # fmt: skip


@asynccontextmanager
async def open_desk(database: Database) -> AsyncIterator[Desk]:
    async with answering() as (meta, graph):
        made: list[Desk] = []

        def clock() -> datetime:
            return made[0].now if made else NOW

        templates = TemplateSync(database=database, graph=graph, clock=clock, waba_id=WABA)
        made.append(Desk(database, meta, templates))
        yield made[0]


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with open_desk(database) as made:
        yield made


@pytest.fixture
async def light_desk(sqlite_database: Database) -> AsyncIterator[Desk]:
    async with open_desk(sqlite_database) as made:
        yield made


async def test_all_pages_are_listed(desk: Desk) -> None:
    first = {"data": [entry(1), entry(2, name="other")], "paging": {"cursors": {"after": "A2"}, "next": "https://next"}}
    last = {"data": [entry(3, language="pt_BR")], "paging": {"cursors": {"before": "A2", "after": "A3"}}}
    desk.meta.set_answers(LIST, first, last)
    synced = await desk.templates.sync()
    assert (synced.listed_at, synced.count, synced.problem) == (NOW, 3, "")
    assert desk.meta.asked == [
        (LIST, {"fields": FIELDS, "limit": "100"}, None),
        (LIST, {"fields": FIELDS, "limit": "100", "after": "A2"}, None),
    ]
    async with desk.database.reading() as tx:
        found = await rows.find(tx, "ticket_update", "en")
    assert found is not None
    assert (found.template_id, found.category, found.status, found.status_at) == ("1", "UTILITY", "APPROVED", NOW)
    assert json.loads(found.components) == entry()["components"]


async def test_what_is_gone_is_marked_and_may_come_back(desk: Desk) -> None:
    await desk.listing(entry(1), entry(2, name="other"))
    await desk.listing(entry(2, name="other"))
    assert await desk.statuses() == {"1": "REMOVED", "2": "APPROVED"}
    await desk.listing(entry(3), entry(2, name="other", status="PAUSED"))
    assert await desk.statuses() == {"1": "REMOVED", "2": "PAUSED", "3": "APPROVED"}
    async with desk.database.reading() as tx:
        found = await rows.find(tx, "ticket_update", "en")
    assert found is not None
    assert found.template_id == "3"
    await desk.listing(entry(1), entry(3))
    assert await desk.statuses() == {"1": "APPROVED", "2": "REMOVED", "3": "APPROVED"}


MALFORMED = [
    "not an object", None, {}, entry(id=None), entry(id=""), entry(name=7), entry(name="\u00e9"),
    entry(name="n" * 513), entry(language=""), entry(language={"code": "en"}), entry(status=None), entry(status=""),
    entry(components="none"), entry(components=[{"type": "BODY", "text": "x" * 60_000}]), entry(category="C" * 31),
]  # fmt: skip


@pytest.mark.parametrize("odd", MALFORMED)
async def test_entry_that_can_not_be_read_spoils_nothing(light_desk: Desk, odd: object) -> None:
    await light_desk.listing(entry(1), entry(2, name="other"))
    assert await light_desk.listing(odd, entry(4, name="new"), entry(2, name="other", status="PAUSED")) == ""
    synced = await light_desk.templates.read_state()
    assert (synced.listed_at, synced.count, len(synced.unreadable)) == (light_desk.now, 2, 1)
    assert await light_desk.statuses() == {"1": "APPROVED", "2": "PAUSED", "4": "APPROVED"}
    [alert] = await light_desk.alerts()
    told = f"info Meta lists templates that Tick can't read, and all others are up to date: {synced.unreadable[0]}."
    assert alert == told
    await light_desk.listing(entry(1), entry(4, name="new"))
    assert (await light_desk.templates.read_state()).unreadable == ()
    assert await light_desk.statuses() == {"1": "APPROVED", "2": "REMOVED", "4": "APPROVED"}
    assert await light_desk.alerts() == []


@pytest.mark.parametrize(
    ("odd", "label"),
    [
        (entry(components="none"), "ticket_update (en)"), (entry(language=""), "ticket_update"), ({"id": 77}, "77"),
        (entry(id="5" * 33), "ticket_update (en)"),
        (entry(name="n" * 513), f"{'n' * 73}… [cut]"), (None, "one without a name"), ({}, "one without a name"),
        (entry(components=[{"text": "x" * 60_000}]) | {"id": 1}, "ticket_update (en)"),
    ],
)  # fmt: skip
async def test_what_can_not_be_read_is_named(light_desk: Desk, odd: object, label: str) -> None:
    await light_desk.listing(odd)
    assert (await light_desk.templates.read_state()).unreadable == (label,)


async def test_what_is_gone_is_told_from_what_can_not_be_read(light_desk: Desk) -> None:
    await light_desk.listing(entry(1), entry(2, name="other"))
    await light_desk.listing(entry(2, name="other", components="none"))
    assert await light_desk.statuses() == {"1": "REMOVED", "2": "APPROVED"}


async def test_odd_entries_that_can_be_read(light_desk: Desk) -> None:
    odd = entry(components=[{"type": "BODY", "text": "\ud800 \x00 {{1}}"}])
    assert await light_desk.listing(odd | {"id": 77}, entry(78, components=[], category=None), entry(78)) == ""
    assert await light_desk.statuses() == {"77": "APPROVED", "78": "APPROVED"}


BAD_ANSWERS = [
    (CannedAnswer(b"<html>502</html>", 502), "Meta answered HTTP 502 without saying what became of it."),
    (CannedAnswer(b""), "Meta answered HTTP 200 without saying what became of it."),
    ({}, "Meta answered something else than a list."),
    ({"data": {"id": "1"}}, "Meta answered something else than a list."),
    (CannedAnswer(b"[" * 5000), "Meta answered HTTP 200 without saying what became of it."),
    (refusal(190, 401), "Meta does not list the templates. The access token"),
    (refusal(200, 403), "Meta does not list the templates. The access token"),
    (refusal(100, 400, error_subcode=33), "Meta knows no such business account"),
    (refusal(80007), "Meta does not list the templates. Meta's limit"),
]


@pytest.mark.parametrize(("answer", "why"), BAD_ANSWERS)
async def test_answer_that_is_no_list_takes_nothing_away(light_desk: Desk, answer: object, why: str) -> None:
    await light_desk.listing(entry(1))
    light_desk.now += timedelta(minutes=10)
    light_desk.meta.set_answers(LIST, answer)
    synced = await light_desk.templates.sync()
    assert why in synced.problem
    assert (synced.count, await light_desk.statuses()) == (1, {"1": "APPROVED"})
    refused = isinstance(answer, CannedAnswer) and b"error" in json.dumps(answer.body, default=bytes.decode).encode()
    assert await light_desk.alerts() == ([f"yellow {synced.problem}"] if refused else [])
    assert (await light_desk.listing(entry(1)), await light_desk.alerts()) == ("", [])


async def test_list_that_breaks_off_brings_what_it_brought(desk: Desk) -> None:
    await desk.listing(entry(1), entry(2, name="other"))
    desk.now += timedelta(minutes=10)
    page = {"data": [entry(1, status="PAUSED")], "paging": {"cursors": {"after": "A2"}, "next": "https://next"}}
    desk.meta.set_answers(LIST, page, CannedAnswer(b"", 500))
    assert "could not be listed" in (await desk.templates.sync()).problem
    assert await desk.statuses() == {"1": "PAUSED", "2": "APPROVED"}


async def test_list_without_an_end(light_desk: Desk) -> None:
    page = {"data": [entry(1)], "paging": {"cursors": {"after": "again"}, "next": "https://next"}}
    light_desk.meta.set_answers(LIST, page)
    assert (await light_desk.templates.sync()).problem == ""
    assert light_desk.meta.count(LIST) == 2


async def test_one_of_many_processes_asks(desk: Desk) -> None:
    await desk.listing(entry(1))
    await asyncio.gather(*(desk.templates.sync() for _ in range(8)))
    assert desk.meta.count(LIST) == 1
    desk.now += timedelta(minutes=10)
    await asyncio.gather(*(desk.templates.sync() for _ in range(8)))
    assert desk.meta.count(LIST) == 2


async def test_without_the_accounts_id_nothing_is_asked(light_desk: Desk) -> None:
    lacking = TemplateSync(
        database=light_desk.database, graph=light_desk.templates._graph, clock=lambda: NOW, waba_id=""
    )
    assert (await lacking.sync()).problem == NO_ACCOUNT
    assert light_desk.meta.asked == []


AS_TEMPLATES = [
    ("in_progress", "en", {"body": ["Ann", "12"]}),
    ("in_progress", "en_GB", {"body": ["Ann", "12"]}),
    ("in_progress", "fr", {"body": ["Ann", "12"]}),
    ("in_progress", "pt_BR", {"language": "pt_BR", "body": {"words": "Printer on fire"}}),
    ("in_progress", "pt", {"language": "pt_BR", "body": {"words": "Printer on fire"}}),
    ("in_progress", "pt-BR", {"language": "pt_BR", "body": {"words": "Printer on fire"}}),
    ("in_progress", "pt_PT", {"body": ["Ann", "12"]}),
    ("closed", "en", None),
    ("nonsense", "en", None),
]


@pytest.mark.parametrize(("kind", "language", "made"), AS_TEMPLATES)
async def test_notice_as_a_template(desk: Desk, kind: str, language: str, made: dict[str, Any] | None) -> None:
    named = {"type": "BODY", "text": "{{words}}"}
    await desk.listing(entry(1), entry(2, language="pt_BR", components=[named]))
    await desk.assign("in_progress")
    await desk.assign("in_progress", {"words": "title"}, language="pt_BR")
    payload = await desk.convert(kind, language, TICKET)
    expected = {"type": "template", "name": "ticket_update", "language": "en"}
    assert payload == (NO_TEMPLATE if made is None else expected | made)
    if not isinstance(payload, Why):
        assert build_body(payload, to="15550001234", opaque="1")["type"] == "template"
    async with desk.database.reading() as tx:
        assert await find_usable_name(tx, kind, language) == ("ticket_update" if made else "")


OFF = ["PAUSED", "DISABLED", "REJECTED", "PENDING", "IN_APPEAL", "LIMIT_EXCEEDED", "SOMETHING_NEW"]


@pytest.mark.parametrize("status", OFF)
async def test_template_that_is_off_carries_nothing(light_desk: Desk, status: str) -> None:
    await light_desk.listing(entry())
    await light_desk.assign("closed")
    await light_desk.listing(entry(status=status))
    assert isinstance(await light_desk.convert("closed", "en", TICKET), Why)
    [alert] = await light_desk.alerts()
    assert alert.startswith("red The template ticket_update (en) ")
    assert alert.endswith("carries them: closed (en).")
    await light_desk.listing(entry())
    assert isinstance(await light_desk.convert("closed", "en", TICKET), dict)
    assert await light_desk.alerts() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"components": [{"type": "BODY", "text": "Your ticket {{1}} has news."}]},
        {"components": [{"type": "BODY", "text": "Hello {{name}}, your ticket {{ticket}} has news."}]},
        {"components": [{"type": "HEADER", "format": "IMAGE"}, *entry()["components"]]},
        {"category": "AUTHENTICATION"},
    ],
)
async def test_template_that_was_changed_at_meta(light_desk: Desk, changed: dict[str, object]) -> None:
    await light_desk.listing(entry())
    await light_desk.assign("closed")
    await light_desk.listing(entry() | changed)
    assert isinstance(await light_desk.convert("closed", "en", TICKET), Why)
    [alert] = await light_desk.alerts()
    assert alert.startswith("red The template ticket_update (en) does not fit what it is filled with")
    await light_desk.listing(entry())
    assert await light_desk.alerts() == []


async def test_the_words_of_webhook_and_list_go_by_their_times(desk: Desk) -> None:
    await desk.listing(entry())
    await desk.assign("closed")
    await desk.hear("PAUSED", minutes=1)  # said before the list was asked for
    assert await desk.statuses() == {"1": "APPROVED"}
    desk.now += timedelta(minutes=2)
    await desk.hear("PAUSED", minutes=1)
    assert await desk.statuses() == {"1": "PAUSED"}
    assert len(await desk.alerts()) == 1
    desk.now += timedelta(minutes=10)
    await desk.listing(entry(status="PAUSED"))
    assert len(await desk.alerts()) == 1
    await desk.hear("APPROVED", minutes=5)
    assert await desk.statuses() == {"1": "PAUSED"}
    await desk.hear("APPROVED", minutes=0)
    assert (await desk.statuses(), await desk.alerts()) == ({"1": "APPROVED"}, [])


async def test_text_that_was_changed_has_been_compared_after_the_next_list(light_desk: Desk) -> None:
    update = AccountUpdate("template-text:ticket_update:en", "info", "The text was changed.")
    await light_desk.database.run(lambda tx: record_updates(tx, [(NOW, update)]))
    assert await light_desk.alerts() == ["info The text was changed."]
    await light_desk.listing(entry())
    assert await light_desk.alerts() == []


@pytest.mark.parametrize(
    ("code", "status", "severity"),
    [
        (132015, "PAUSED", "red"),
        (132016, "DISABLED", "red"),
        (132001, "REMOVED", "red"),
        (132000, "APPROVED", "yellow"),
        (132012, "APPROVED", "yellow"),
        (132018, "APPROVED", "yellow"),
    ],
)
async def test_send_that_was_refused(desk: Desk, code: int, status: str, severity: str) -> None:
    await desk.listing(entry())
    await desk.assign("closed")
    desk.now += timedelta(seconds=1)
    for _ in range(2):
        await desk.templates.record_refusal(TemplateKey("ticket_update", "en"), code, "It was refused.")
    assert await desk.statuses() == {"1": status}
    assert isinstance(await desk.convert("closed", "en", TICKET), dict) == (status == "APPROVED")
    [alert] = await desk.alerts()
    assert alert.startswith(f"{severity} ")
    if status == "APPROVED":
        assert alert == (
            f"yellow Meta refused a message made of the template ticket_update (en): It was refused. ({code})"
        )
    other = [{"type": "BODY", "text": "Hi {{1}}, your ticket {{2}} has news."}]
    await desk.listing(entry(components=other))
    assert (await desk.statuses(), await desk.alerts()) == ({"1": "APPROVED"}, [])


@pytest.mark.parametrize("code", [0, 131026, 131049, 130472, 131030])
async def test_refusal_that_is_about_the_customer(light_desk: Desk, code: int) -> None:
    await light_desk.listing(entry())
    await light_desk.assign("closed")
    await light_desk.templates.record_refusal(TemplateKey("ticket_update", "en"), code, "Not to this customer.")
    assert (await light_desk.statuses(), await light_desk.alerts()) == ({"1": "APPROVED"}, [])


async def test_the_task_lists_at_start_hourly_and_when_something_is_wrong(light_desk: Desk) -> None:
    stop = asyncio.Event()
    await light_desk.listing(entry())
    light_desk.now += timedelta(minutes=2)
    running = asyncio.create_task(light_desk.templates.run(stop))
    await until(light_desk, 2)
    light_desk.now += timedelta(minutes=2)
    await light_desk.templates.record_refusal(TemplateKey("ticket_update", "en"), 132000, "No.")
    await until(light_desk, 3)
    stop.set()
    await asyncio.wait_for(running, 20)
    another = asyncio.Event()
    light_desk.now += timedelta(seconds=30)  # a process that comes soon after has no need to ask
    running = asyncio.create_task(light_desk.templates.run(another))
    another.set()
    await asyncio.wait_for(running, 20)
    assert light_desk.meta.count(LIST) == 3


async def until(desk: Desk, count: int) -> None:
    async with asyncio.timeout(10):
        while desk.meta.count(LIST) < count or (await desk.templates.read_state()).listed_at != desk.now:
            await asyncio.sleep(0.01)


def test_kinds_values_and_codes_are_those_that_are_stored() -> None:
    assert list(NoticeValue) == ["ticket_id", "title", "name", "text"]
    assert list(NoticeKind) == ["opened", *TicketStatus, "reply"]
    assert STATUS_BY_CODE.keys() == {132001, 132015, 132016}


async def test_the_task_outlives_what_it_can_not_read(light_desk: Desk) -> None:
    await light_desk.listing(entry())
    await light_desk.database.run(lambda tx: tx.execute("UPDATE account SET body = '{'"))
    stop = asyncio.Event()
    running = asyncio.create_task(light_desk.templates.run(stop))
    for _ in range(5):  # it reads the same database meanwhile
        await light_desk.alerts()
    stop.set()
    await asyncio.wait_for(running, 20)
