"""Templates: listed, made, removed, and sent as far as they and their parameters allow."""

from pathlib import Path
from typing import Any

import pytest

from api.simulator.graph_error import GraphError
from api.simulator.sent_templates import find_template_error, render_template
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import Setup, make_setup
from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, run_echo_service
from tests.api.simulator.test_setup import WABA, call

ANA = "15550100001"
NAMED: dict[str, Any] = {
    "name": "named",
    "language": "en",
    "status": "APPROVED",
    "category": "UTILITY",
    "id": "5",
    "parameter_format": "NAMED",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Ticket {{ticket_id}}"},
        {"type": "BODY", "text": "Dear {{name}}, ticket {{ticket_id}} is done."},
        {"type": "FOOTER", "text": "Tick"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Thanks"},
                {"type": "URL", "text": "Look", "url": "https://example.com"},
            ],
        },
    ],
}


def set_up(folder: Path = Path()) -> Setup:
    setup = make_setup(SimulatorSettings(folder, "http://127.0.0.1/hook", SECRET, TOKEN, NUMBER_ID, "15550783881"))
    setup.templates.append(NAMED)
    setup.templates += [
        {**setup.templates[1], "name": name.lower(), "status": name}
        for name in ("PAUSED", "DISABLED", "PENDING", "REJECTED")
    ]
    return setup


def sent(name: str, language: str = "en", *components: dict[str, Any]) -> dict[str, Any]:
    template = {"name": name, "language": {"code": language}, "components": list(components)}
    return {"type": "template", "template": template}


def body(*texts: str, **named: str) -> dict[str, Any]:
    return part("body", *texts, **named)


def part(kind: str, *texts: str, **named: str) -> dict[str, Any]:
    parameters = [{"type": "text", "text": text} for text in texts]
    return {
        "type": kind,
        "parameters": parameters
        + [{"type": "text", "text": text, "parameter_name": name} for name, text in named.items()],
    }


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, sent("hello_world", "en_US")),
        (None, sent("ticket_news", "en", body("#12", "we are on it"))),
        (None, sent("named", "en", part("header", ticket_id="3"), body(name="Ana", ticket_id="3"))),
        (None, {"type": "text"}),
        (132001, sent("unheard_of")),
        (132001, sent("hello_world", "en")),
        (132001, sent("pending", "en", body("1", "2"))),
        (132001, sent("rejected", "en", body("1", "2"))),
        (132015, sent("paused", "en", body("1", "2"))),
        (132016, sent("disabled", "en", body("1", "2"))),
        (132000, sent("ticket_news", "en", body("#12"))),
        (132000, sent("ticket_news", "en")),
        (132000, sent("hello_world", "en_US", body("more than there is room for"))),
        (132000, sent("named", "en", body(name="Ana", ticket_id="3"))),
        (132012, sent("named", "en", part("header", "3"), body("Ana", "3"))),
        (132012, sent("ticket_news", "en", {"type": "body", "parameters": [{"type": "image"}, {"type": "text"}]})),
        (132018, sent("ticket_news", "en", body("#12", "two\nlines"))),
        (132018, sent("ticket_news", "en", body("#12", "a\ttab"))),
        (132018, sent("ticket_news", "en", body("#12", "wide     gap"))),
        (132005, sent("ticket_news", "en", body("#12", "x" * 1024))),
        (100, sent("ticket_news", "en", body("#12", ""))),
    ],
)
def test_a_template_is_refused_for_what_is_wrong_with_it(code: int | None, message: dict[str, Any]) -> None:
    refusal = find_template_error(message, set_up())
    assert (None if refusal is None else refusal.code) == code


def test_a_customer_reads_the_template_with_its_parameters() -> None:
    message = sent(
        "named",
        "en",
        part("header", ticket_id="3"),
        body(name="Ana", ticket_id="3"),
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": "0",
            "parameters": [{"type": "payload", "payload": "bye"}],
        },
    )
    header, text, footer, buttons = render_template(message["template"], NAMED)
    assert (header, text, footer) == ("Ticket 3", "Dear Ana, ticket 3 is done.", "Tick")
    assert [(one.option_id, one.title, one.kind, one.description) for one in buttons] == [
        ("bye", "Thanks", "reply", ""),
        ("Look", "Look", "url", "https://example.com"),
    ]


async def test_a_template_goes_out_when_the_window_is_closed(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        answer = await service.send(to=f"+{ANA}", **sent("ticket_news", "en", body("#12", "it is done")))
        (accepted,) = answer.json()["messages"]
        assert accepted["message_status"] == "accepted"
        await service.until(lambda: service.statuses(accepted["id"]) == ["sent", "delivered"])
        assert service.values("statuses")[0]["pricing"]["category"] == "utility"
        shown = (await service.chat(ANA))[-1]
        assert (shown["kind"], shown["text"]) == ("template", "There is news about your ticket #12: it is done")
        await service.write(ANA, wamid=shown["wamid"], option_id="Show it")
        await service.until(lambda: len(service.values("messages")) == 1)
        tapped = service.values("messages")[0]
        assert (tapped["type"], tapped["button"]) == ("button", {"payload": "Show it", "text": "Show it"})
        assert tapped["context"]["id"] == shown["wamid"]


async def test_a_refused_template_is_refused_at_once(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        answer = await service.send(to=f"+{ANA}", **sent("unheard_of"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 132001)
        assert answer.json()["error"]["error_data"]["details"] == "template name (unheard_of) does not exist in en"


async def test_templates_are_listed_in_pages_and_by_status(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        templates = f"{WABA}/message_templates"
        service.simulator.setup.templates[:] = [
            {**NAMED, "name": f"t{n}", "id": str(n), "status": "PENDING" if n % 2 else "APPROVED"} for n in range(7)
        ]
        names, after, pages = [], "", 0
        while True:
            page = (
                await call(service, "GET", templates, params={"limit": "3", "after": after, "fields": "name,status"})
            ).json()
            names += [one["name"] for one in page["data"]]
            assert {frozenset(one) for one in page["data"]} == {frozenset({"id", "name", "status"})}
            pages += 1
            if "next" not in page["paging"]:
                break
            after = page["paging"]["cursors"]["after"]
        assert (names, pages) == ([f"t{n}" for n in range(7)], 3)
        approved = (await call(service, "GET", templates, params={"status": "APPROVED"})).json()["data"]
        assert [one["name"] for one in approved] == ["t0", "t2", "t4", "t6"]
        assert (await call(service, "GET", templates, params={"after": "junk"})).json()["error"]["code"] == 100


async def test_the_quality_of_a_template_has_its_date(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        asked = {"fields": "quality_score,rejected_reason"}
        listed = (await call(service, "GET", f"{WABA}/message_templates", params=asked)).json()["data"]
        for template in listed:
            assert template.keys() == {"id", "quality_score", "rejected_reason"}
            assert template["quality_score"].keys() == {"score", "date"}
            assert isinstance(template["quality_score"]["date"], int)


async def test_a_template_is_made_waits_for_its_review_and_is_removed(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        templates = f"{WABA}/message_templates"
        wanted = {
            "name": "new_one",
            "language": "de",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "Neu"}],
        }
        made = (await call(service, "POST", templates, json=wanted)).json()
        assert made["status"] == "PENDING"
        again = (await call(service, "POST", templates, json=wanted)).json()["error"]
        assert (again["code"], again["error_subcode"]) == (100, 2388024)
        service.simulator.account_updates.send("template_approved", text="new_one")
        await service.until(lambda: bool(service.bodies))
        change = service.bodies[0]["entry"][0]["changes"][0]
        assert (change["field"], change["value"]["event"]) == ("message_template_status_update", "APPROVED")
        assert change["value"]["message_template_id"] == int(made["id"])
        read = (await call(service, "GET", made["id"])).json()
        assert (read["name"], read["status"]) == ("new_one", "APPROVED")
        assert (await call(service, "DELETE", templates, params={"name": "new_one"})).json() == {"success": True}
        gone = (await call(service, "DELETE", templates, params={"name": "new_one"})).json()["error"]
        assert gone["code"] == 100
        wrong: list[dict[str, Any]] = [{"name": "Capital"}, {"category": "NEWS"}, {"components": []}, {"components": 5}]
        wrong += [{"components": [{"type": "BODY", "text": "x" * 1025}]}]
        for change in wrong:
            assert (await call(service, "POST", templates, json=wanted | change)).json()["error"]["code"] == 100


def test_a_refusal_has_the_words_of_its_code() -> None:
    error = GraphError(132015).build_body("trace")["error"]
    assert (error["message"], error["fbtrace_id"]) == ("(#132015) Template is paused", "trace")
