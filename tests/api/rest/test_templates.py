"""Choosing templates over the REST API: what fits is kept, what doesn't is refused with each reason."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.web.credentials import Role
from bot.agents import notices
from bot.templates import choice as choice_of_template
from bot.templates.notice_kinds import NoticeKind, NoticeValue
from storage import templates
from storage.sql.database import Database
from tests.api.rest.meta_service import MetaService, serve_with_meta
from tests.bot.meta_answers import WABA, refusal

LIST = f"GET {WABA}/message_templates"
BODY = {"type": "BODY", "text": "Hello {{1}}, your ticket {{2}} has news."}
CHOICE: dict[str, Any] = {"template": "ticket_update", "body": ["name", "ticket_id"]}
CLOSED = "/api/whatsapp/notices/closed/en"


def entry(number: int = 1, **more: object) -> dict[str, Any]:
    return {
        "id": str(number), "name": "ticket_update", "language": "en", "status": "APPROVED", "category": "UTILITY",
        "components": [BODY],
    } | more  # fmt: skip


LISTED = [
    entry(), entry(2, name="paused", status="PAUSED"), entry(3, name="regional", language="en_US"),
    entry(4, name="regional", language="en_GB"), entry(5, name="american", language="en_US"),
    entry(6, name="french", language="fr"), entry(7, name="half_paused", language="en_US", status="PAUSED"),
    entry(8, name="half_paused", language="en_GB"), entry(9, name="half_paused", language="fr"),
]  # fmt: skip


@pytest.fixture
async def service(database: Database) -> AsyncIterator[MetaService]:
    async with serve_with_meta(database) as running:
        running.meta.set_answers(LIST, {"data": [entry()]})
        yield running


@pytest.fixture
async def light_service(sqlite_database: Database) -> AsyncIterator[MetaService]:
    async with serve_with_meta(sqlite_database) as running:
        running.meta.set_answers(LIST, {"data": LISTED})
        yield running


async def test_the_list_is_asked_for_without_a_body(light_service: MetaService) -> None:
    headers = {"Authorization": f"Bearer {light_service.keys[Role.ADMIN]}"}
    bare = await light_service.http.post("/api/whatsapp/templates/sync", headers=headers)
    assert (bare.status_code, len(bare.json()["data"]["templates"])) == (200, 9), "as README's curl has it"
    wanted = await light_service.http.put(CLOSED, headers=headers)
    assert (wanted.status_code, wanted.json()["success"]) == (422, False), "where a body is needed, it is missed"


async def test_from_metas_list_to_a_notice(service: MetaService) -> None:
    empty = await service.data("GET", "/api/whatsapp/templates")
    assert empty == {"listed_at": None, "problem": "", "unreadable": [], "templates": []}
    synced = await service.data("POST", "/api/whatsapp/templates/sync", {})
    assert synced["listed_at"] == "2026-03-01T12:00:00.250000Z"
    assert synced["templates"] == [
        {
            "id": "1", "name": "ticket_update", "language": "en", "category": "UTILITY", "status": "APPROVED",
            "reason": "", "header": "", "body": BODY["text"], "header_places": [], "body_places": ["1", "2"],
            "why_not": [], "carries": [],
        }
    ]  # fmt: skip
    choice = await service.data("PUT", CLOSED, CHOICE)
    assert choice == {
        "language": "en", "template": "ticket_update", "template_language": "en",
        "body": {"1": "name", "2": "ticket_id"}, "header": {}, "works": True, "why_not": "",
    }  # fmt: skip
    kinds = {notice["kind"]: notice for notice in await service.data("GET", "/api/whatsapp/notices")}
    assert list(kinds) == list(NoticeKind)
    assert kinds["closed"] == {"kind": "closed", "values": list(NoticeValue), "needs": [], "languages": [choice]}
    assert (kinds["reply"]["needs"], kinds["reply"]["languages"]) == (["text"], [])
    listed = await service.data("GET", "/api/whatsapp/templates")
    assert listed["templates"][0]["carries"] == ["closed (en)"]
    async with service.database.reading() as tx:
        assert await choice_of_template.find_usable_name(tx, "closed", "en") == "ticket_update"


async def test_paused_template_is_told_where_it_is_used(service: MetaService) -> None:
    await service.data("POST", "/api/whatsapp/templates/sync", {})
    await service.data("PUT", CLOSED, CHOICE)
    service.clock.forward(minutes=1)
    service.meta.set_answers(LIST, {"data": [entry(status="PAUSED")]})
    [listed] = (await service.data("POST", "/api/whatsapp/templates/sync", {}))["templates"]
    assert listed["why_not"] == ["It was paused by Meta, because customers complained about it."]
    kinds = {notice["kind"]: notice for notice in await service.data("GET", "/api/whatsapp/notices")}
    [choice] = kinds["closed"]["languages"]
    assert (choice["works"], choice["why_not"]) == (
        False, "The template was paused by Meta, because customers complained about it.",
    )  # fmt: skip


async def test_choice_is_replaced_and_withdrawn_and_each_is_in_the_audit(service: MetaService) -> None:
    service.meta.set_answers(LIST, {"data": [entry(), entry(2, language="pt_BR")]})
    await service.data("POST", "/api/whatsapp/templates/sync", {})
    await service.data("PUT", CLOSED, CHOICE)
    other = CHOICE | {"template_language": "pt_BR", "body": ["title", "text"]}
    assert (await service.data("PUT", CLOSED, other))["body"] == {"1": "title", "2": "text"}
    await service.data("DELETE", CLOSED)
    assert (await service.expect_refusal(404, "DELETE", CLOSED)) == ["This notice has no template in this language"]
    async with service.database.reading() as tx:
        synced = await tx.fetch("SELECT actor FROM audit WHERE action = 'template.sync'")
        lines = await tx.fetch(
            "SELECT actor, object_id, detail FROM audit WHERE action = 'notice.template' ORDER BY id"
        )
        assert await templates.list_assignments(tx) == []
    assert {line[0].split(" (")[0] for line in (*synced, *lines)} == {"key the admin's"}
    assert {line[1] for line in lines} == {"closed/en"}
    assert [line[2] for line in lines] == [
        'ticket_update (en) {"body":{"1":"name","2":"ticket_id"},"header":{}}',
        'ticket_update (pt_BR) {"body":{"1":"title","2":"text"},"header":{}}',
        "none",
    ]


NOT_THERE = ["template: Meta has no template of this name: sync the templates."]
ELSEWHERE = "template_language: Meta has no such template in"
PAUSED = "template: This template was paused by Meta, because customers complained about it: only an approved one"
REFUSED: list[tuple[str, dict[str, Any], int, list[str]]] = [
    ("closed/en", CHOICE | {"template": "unknown"}, 422, NOT_THERE),
    ("closed/en", CHOICE | {"template_language": "fr"}, 422, [f"{ELSEWHERE} fr, but in en: say which by"]),
    ("closed/fr", CHOICE, 422, [f"{ELSEWHERE} fr, but in en: say which by"]),
    ("closed/en", CHOICE | {"template": "regional"}, 422, [f"{ELSEWHERE} en, but in en_GB and en_US: say which by"]),
    ("closed/en", CHOICE | {"template": "paused"}, 422, [PAUSED]),
    ("closed/en", CHOICE | {"body": ["name"]}, 422, ["body: The template's body has 2 places to fill in"]),
    ("closed/en", CHOICE | {"body": {"1": "name", "2": "secret"}}, 422, ["body: These are the values"]),
    ("closed/en", CHOICE | {"header": ["title"]}, 422, ["header: The template's header has no places"]),
    ("reply/en", CHOICE, 422, ["body: A reply has to carry the agent's words: put `text` into the body."]),
    ("nonsense/en", CHOICE, 404, []),
    ("closed/English", CHOICE, 404, []),
    ("closed/en_", CHOICE, 404, []),
    ("closed/en", {}, 422, ["template: must be given"]),
    ("closed/en", CHOICE | {"template": "../x"}, 422, ["template: "]),
    ("closed/en", CHOICE | {"body": "name"}, 422, ["body."]),
    ("closed/en", CHOICE | {"body": [1]}, 422, ["body."]),
    ("closed/en", CHOICE | {"body": ["name"] * 51}, 422, ["body."]),
    ("closed/en", CHOICE | {"extra": 1}, 422, ["extra: "]),
]  # fmt: skip


async def test_choice_that_is_refused(light_service: MetaService) -> None:
    await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    for notice, choice, status, reasons in REFUSED:
        _, *told = await light_service.expect_refusal(status, "PUT", f"/api/whatsapp/notices/{notice}", choice)
        assert len(told) >= len(reasons), notice
        assert all(each.startswith(start) for each, start in zip(told, reasons, strict=False)), told
    async with light_service.database.reading() as tx:
        assert await templates.list_assignments(tx) == []
        assert not await tx.fetch("SELECT id FROM audit WHERE action = 'notice.template'")


async def test_a_language_finds_the_only_country_that_has_it(light_service: MetaService) -> None:
    await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    for name, language in (("american", "en_US"), ("half_paused", "en_GB")):
        shown = await light_service.data("PUT", CLOSED, CHOICE | {"template": name})
        assert (shown["language"], shown["template_language"], shown["works"]) == ("en", language, True)
        async with light_service.database.reading() as tx:
            assert await choice_of_template.find_usable_name(tx, "closed", "en") == name


@pytest.mark.parametrize(("language", "works"), [("en", True), ("en_US", True), ("en_GB", True), ("fr", False)])
async def test_what_is_never_sent_does_not_work(light_service: MetaService, language: str, works: bool) -> None:
    await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    path = f"/api/whatsapp/notices/closed/{language}"
    shown = await light_service.data("PUT", path, CHOICE | {"template_language": "en"})
    why_not = "" if works else f"Notices are written in en only so far, so nothing is sent in {language}."
    assert (shown["works"], shown["why_not"]) == (works, why_not)
    kinds = {notice["kind"]: notice for notice in await light_service.data("GET", "/api/whatsapp/notices")}
    assert kinds["closed"]["languages"] == [shown]
    async with light_service.database.reading() as tx:
        found = await choice_of_template.find_usable_name(tx, "closed", "en")
    assert found == ("ticket_update" if works else "")


async def test_one_template_that_can_not_be_read_spoils_no_sync(light_service: MetaService) -> None:
    light_service.meta.set_answers(LIST, {"data": [entry(), entry(2, name="odd", components="none")]})
    synced = await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    assert [listed["name"] for listed in synced["templates"]] == ["ticket_update"]
    assert (synced["problem"], synced["unreadable"]) == ("", ["odd (en)"])


async def test_what_fits_no_more_is_not_promised(light_service: MetaService) -> None:
    """What the desk tells an agent who answers after 24 hours: by which template it goes out."""
    await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    await light_service.data("PUT", CLOSED, CHOICE)
    light_service.clock.forward(minutes=1)
    light_service.meta.set_answers(LIST, {"data": [entry(components=[{"type": "BODY", "text": "Hello {{1}}."}])]})
    await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    async with light_service.database.reading() as tx:
        assert await choice_of_template.find_usable_name(tx, "closed", "en") == ""


async def test_sync_that_fails_says_why_and_keeps_what_was_known(light_service: MetaService) -> None:
    await light_service.data("POST", "/api/whatsapp/templates/sync", {})
    light_service.clock.forward(minutes=1)
    light_service.meta.set_answers(LIST, refusal(190, 401))
    [told] = await light_service.expect_refusal(503, "POST", "/api/whatsapp/templates/sync", {})
    assert told.startswith("Meta does not list the templates. The access token")
    listed = await light_service.data("GET", "/api/whatsapp/templates")
    assert (listed["problem"], len(listed["templates"])) == (told, 9)


async def test_without_the_accounts_id(sqlite_database: Database) -> None:
    async with serve_with_meta(sqlite_database, waba_id="") as service:
        [told] = await service.expect_refusal(503, "POST", "/api/whatsapp/templates/sync", {})
        assert told.startswith("WHATSAPP_BUSINESS_ACCOUNT_ID is not set")
        assert (await service.data("GET", "/api/whatsapp/templates"))["problem"] == told


async def test_only_who_manages_may_change_them(light_service: MetaService) -> None:
    for method, path in (("POST", "/api/whatsapp/templates/sync"), ("PUT", CLOSED), ("DELETE", CLOSED)):
        for role in (Role.VIEWER, Role.AGENT):
            assert (await light_service.call(method, path, {}, role=role)).status_code == 403
    for path in ("/api/whatsapp/templates", "/api/whatsapp/notices"):
        assert (await light_service.call("GET", path, role=Role.VIEWER)).status_code == 200


def test_every_notice_that_is_sent_may_have_a_template() -> None:
    assert set(NoticeKind) == {*notices.TEXTS, NoticeKind.REPLY}
