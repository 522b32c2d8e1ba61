"""The parts of the doctor by themselves: what it reads out of Meta's answers, and what its sentences never show."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from api.doctor.check_context import CheckContext
from api.doctor.finding import Outcome
from api.doctor.meta_checks import check_graph_version, describe_failure
from api.doctor.report import Check, Report, SentenceRedaction
from api.doctor.run import examine
from api.settings import Settings
from bot.clock import utc_now
from bot.whatsapp.diagnostics.reachability import FetchResult, is_on_this_machine
from bot.whatsapp.diagnostics.setup import (
    read_apps,
    read_phone_number,
    read_phone_numbers,
    read_subscription,
    read_token,
)
from bot.whatsapp.diagnostics.versions import find_expiry, read_version
from bot.whatsapp.diagnostics.webhook_check import (
    Handshake,
    Responder,
    WebhookChecker,
    read_handshake,
    read_page_title,
)
from bot.whatsapp.graph.client import GraphResponse, open_http
from bot.whatsapp.graph.response import parse_response
from tests.support.growth import TIMES_LONGER, compute_growth

HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}

KEYS = st.sampled_from(
    ["data", "app_id", "scopes", "granular_scopes", "target_ids", "expires_at", "is_valid", "health_status", "entities",
     "errors", "can_send_message", "webhook_configuration", "application", "fields", "name", "object", "id",
     "whatsapp_business_api_data", "display_phone_number", "callback_url"]
)  # fmt: skip
WORDS = st.sampled_from(["whatsapp_business_account", "messages", "BLOCKED", "x" * 400, "\x1b[31m", "\ud800"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.dictionaries(KEYS, ANYTHING))
def test_whatever_meta_answers_can_be_read(value: dict[str, object]) -> None:
    answer = GraphResponse(value)
    number = read_phone_number(answer)
    texts = [number.shown, number.name, read_token(answer).app_id, *read_apps(answer), *read_phone_numbers(answer)]
    subscription = read_subscription(answer)
    texts += [*subscription.fields, subscription.callback_url] if subscription else []
    texts += [obstacle.description for obstacle in number.health_issues]
    assert all(len(text) <= 300 and "\x1b" not in text and "\ud800" not in text for text in texts)


@pytest.mark.parametrize(
    ("entities", "states"),
    [
        ([("PHONE_NUMBER", "AVAILABLE"), ("BUSINESS", "AVAILABLE")], []),
        ([("PHONE_NUMBER", "AVAILABLE"), ("BUSINESS", "LIMITED")], [("BUSINESS", "LIMITED")]),
        ([("WABA", "BLOCKED"), ("BUSINESS", "LIMITED")], [("WABA", "BLOCKED"), ("BUSINESS", "LIMITED")]),
    ],
)
def test_what_keeps_messages_from_going_out(entities: list[tuple[str, str]], states: list[tuple[str, str]]) -> None:
    rows = [{"entity_type": kind, "can_send_message": state, "errors": [{}]} for kind, state in entities]
    number = read_phone_number(GraphResponse({"health_status": {"can_send_message": "LIMITED", "entities": rows}}))
    assert [(one.where, one.state) for one in number.health_issues] == states


@pytest.mark.parametrize(
    ("fetched", "expected"),
    [
        (FetchResult(200, {}, b"4711"), Handshake(Responder.TICK, 200)),
        (FetchResult(200, {}, b"4711\n"), Handshake(Responder.STRANGE, 200)),
        (FetchResult(200, HTML, b'"4711"'), Handshake(Responder.PAGE, 200)),
        (FetchResult(403, JSON, b'{"message": "Webhook verification failed"}'), Handshake(Responder.OTHER_TOKEN, 403)),
        (FetchResult(403, JSON, b'{"message": "Forbidden"}'), Handshake(Responder.STRANGE, 403)),
        (FetchResult(403, HTML, b"<p>Webhook verification failed"), Handshake(Responder.PAGE, 403)),
        (FetchResult(511, HTML, b"<TITLE>\n Tunnel &amp; co </TITLE>"), Handshake(Responder.PAGE, 511, "Tunnel & co")),
        (FetchResult(307, {"location": "https://a.example/b?c=secret"}, b""), Handshake(Responder.REDIRECT, 307, "https://a.example/b")),
        (FetchResult(530, HTML, b"<title>\x1b[31mError 1033</title>"), Handshake(Responder.GATEWAY, 530, "Error 1033")),
        (FetchResult(404, JSON, b"{}"), Handshake(Responder.NOT_FOUND, 404)),
        (FetchResult(failure="no answer came in time"), Handshake(Responder.NOTHING, 0, "no answer came in time")),
    ],
)  # fmt: skip
def test_every_answer_to_a_handshake_has_a_word(fetched: FetchResult, expected: Handshake) -> None:
    assert read_handshake(fetched, "4711") == expected


@pytest.mark.parametrize(
    ("page", "title"),
    [
        (b"<html><TITLE lang='en'>\n Not  here </Title>", "Not here"),
        (b"<title>a &amp; b</title><title>c</title>", "a & b"),
        (b"<title>" + b"x" * 290 + b"</title>", "x" * 90),
        (b"<title>" + b"x" * 400 + b"</title>", ""),
        (b"<title></title>", ""),
        (b"<titles>a</title>", ""),
        (b"<title", ""),
        (b"<title>a", ""),
        (b"", ""),
    ],
)
def test_the_title_of_a_page(page: bytes, title: str) -> None:
    assert read_page_title(page)[:90] == title


@pytest.mark.parametrize("text", ["<title", "<title>", "<title>a</titl", "<title>" + "a" * 295])
def test_no_page_takes_more_than_its_length(text: str) -> None:
    growth = compute_growth(lambda page: read_page_title(page.encode()), lambda length: text * length, 60)
    assert growth < 4 * TIMES_LONGER


@pytest.mark.parametrize(
    ("url", "version", "until"),
    [
        ("https://graph.facebook.com/v25.0", "v25.0", "2028-07-29"),
        ("https://graph.facebook.com/v18.0/", "v18.0", "2026-01-26"),
        ("https://graph.facebook.com/v3.1", "v3.1", "2026-01-26"),
        ("https://graph.facebook.com/v26.0", "v26.0", ""),
        ("https://graph.facebook.com/v31.0", "v31.0", ""),
        ("http://127.0.0.1:5000/graph", "", ""),
    ],
)
def test_until_when_a_version_is_served(url: str, version: str, until: str) -> None:
    end = find_expiry(read_version(url))
    assert (read_version(url), f"{end:%Y-%m-%d}" if end else "") == (version, until)


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://localhost:5000", True), ("http://127.0.0.9", True), ("http://[::1]:80", True),
     ("https://a.localhost", True),
     ("https://desk.example.com", False), ("http://10.0.0.1", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine(url: str, here: bool) -> None:
    assert is_on_this_machine(url) is here


def test_a_report_never_shows_a_secret_of_the_settings() -> None:
    secrets = ["mysql://tick:p%40ss-word@db.example/tick", ' "quoted-secret" ', "short", "EAAtoken"]
    redaction = SentenceRedaction(secrets)
    for text in (
        "Access denied (p%40ss-word) for p@ss-word",
        "Malformed access token EAAtoken here",
        'quoted-secret and "quoted-secret"',
        "Bearer abcdefgh",
        "https://u:pass@host/",
        "sha256=0123456789abcdef0123456789abcdef",
    ):
        shown = redaction.clean(text)
        assert "[hidden]" in shown
        assert not any(word in shown for word in ("p%40ss", "p@ss", "EAAtoken", "quoted-secret", "abcdefgh", "u:pass"))
    assert redaction.clean("a short word\x1b[31m") == "a short word [31m"
    command = 'curl -X POST -H "Authorization: Bearer $WHATSAPP_ACCESS_TOKEN" https://graph.example/1/subscribed_apps'
    assert redaction.clean(command) == command, "to be pasted as it stands"


def test_a_report_is_json_with_these_names() -> None:
    report = Report([Check("settings", Outcome.PASSED, "Fine.", ""), Check("tls", Outcome.FAILED, "Bad.", "Fix it.")])
    assert json.loads(report.to_json()) == {
        "ok": False,
        "checks": [
            {"name": "settings", "ok": True, "outcome": "passed", "reason": "Fine.", "fix": ""},
            {"name": "tls", "ok": False, "outcome": "failed", "reason": "Bad.", "fix": "Fix it."},
        ],
    }


def test_a_failure_is_said_before_what_warns() -> None:
    passed, warning = Check("tls", Outcome.PASSED, "", ""), Check("quality", Outcome.WARNING, "", "Soon.")
    failed, waiting = Check("worker", Outcome.FAILED, "", "Now."), Check("proxies", Outcome.WAITING, "", "")
    report = Report([waiting, passed, warning, failed])
    assert (report.ok, report.first_failing, report.waiting) == (False, failed, [waiting])
    report = Report([passed, warning])
    assert (report.ok, report.first_failing, report.waiting) == (False, warning, [])


def make_settings(api_url: str, **changed: object) -> Settings:
    known = Settings(
        data_dir=Path("data"),
        whatsapp_api_url=api_url,
        whatsapp_phone_number_id="106540352242922",
        whatsapp_access_token=SecretStr("EAAcanarytoken"),
        whatsapp_verify_token=SecretStr("canary-verify"),
        whatsapp_app_secret=SecretStr("canary-secret"),
        database_url=SecretStr("sqlite:///nowhere/at/all/tick.db"),
        redis_url=SecretStr("redis://127.0.0.1:1"),
        port=1,
    )
    return known.model_copy(update=changed)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (b"<html>", "answered HTTP 404 in its place."),
        (b'{"error": {"code": 100, "message": "Invalid parameter"}}', "(Meta's code 100: Invalid parameter)."),
        (b'{"error": {"message": "Who knows"}}', "(Who knows)."),
    ],
)
def test_a_refusal_is_a_sentence_before_it_is_a_code(error: bytes, sentence: str) -> None:
    told = describe_failure(parse_response(404, {}, error))
    assert told.endswith(sentence)
    assert "None" not in told


async def test_an_address_of_the_graph_api_without_its_version_is_told() -> None:
    async with AsyncExitStack() as stack, open_http() as http:
        context = CheckContext(
            settings=make_settings("https://graph.example/api"),
            storage=None,
            problems=[],
            visitor=WebhookChecker(http),
            meta=None,
            now=utc_now,
            stack=stack,
        )
        found = await check_graph_version(context)
    assert found.outcome is Outcome.WARNING
    assert "has no version at its end" in found.reason
    assert found.fix == "Set WHATSAPP_API_URL=https://graph.example/api/v25.0"


@pytest.mark.parametrize(
    ("public_url", "reason"),
    [
        ("", "PUBLIC_URL is not set"),
        ("http://desk.example.invalid", "begins with http://"),
        ("https://localhost:5000", "names this machine alone"),
    ],
)
async def test_what_meta_itself_can_not_call_is_said(public_url: str, reason: str) -> None:
    known = make_settings("https://graph.invalid/v25.0", public_url=public_url)
    report = await examine(known, utc_now)
    checks = {check.name: check for check in report.checks}
    assert reason in checks["public_url"].reason
    assert checks["graph_api"].reason.endswith("its name is not found in DNS.")
    assert checks["callback"].reason == "Not looked at until public url is fixed."
    assert checks["quality"].reason == "Not looked at until graph api is fixed."
