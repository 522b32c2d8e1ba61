"""The signed probe is answered to whoever knows the app secret, never journalled, and no way around the signature."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quart import Quart

from api.server.serving import get_port, listen_nearby, serve_http
from api.simulator.bodies import sign
from api.webhook import WebhookMiddleware
from bot.whatsapp.diagnostics.probe import (
    WEBHOOK_PATH,
    ProbeReport,
    decode_report,
    encode_probe,
    encode_report,
    read_nonce,
)
from bot.whatsapp.webhook.items import Item
from tests.support.plain_http import plain_http

SECRET = "probe-test-secret"
BODY = encode_probe("a1b2c3")


class RecordingReceiver:
    """Records the bodies that it receives, in the intake's place."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def receive(self, body: bytes) -> Sequence[Item]:
        self.bodies.append(body)
        return ()


@asynccontextmanager
async def run_webhook(*trusted: str) -> AsyncIterator[tuple[httpx.AsyncClient, RecordingReceiver, list[int]]]:
    """Runs the webhook alone on a port; yields a client of it, what it received, and the statuses that it answered."""
    app, kept, stop, ready = Quart("webhook"), RecordingReceiver(), asyncio.Event(), asyncio.Event()
    answered: list[int] = []
    networks = [ip_network(one) for one in trusted]
    app.asgi_app = WebhookMiddleware(app.asgi_app, kept, [SECRET], answered.append, networks)  # type: ignore[method-assign,assignment]
    listener = listen_nearby("127.0.0.1", 17950)
    serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
    await ready.wait()
    try:
        async with plain_http(f"http://127.0.0.1:{get_port(listener)}") as http:
            yield http, kept, answered
    finally:
        stop.set()
        await serving


@pytest.mark.parametrize(
    ("trusted", "forwarded", "believed", "peer_trusted"),
    [
        ([], ["192.0.2.77"], "127.0.0.1", False),
        (["127.0.0.0/8"], ["192.0.2.77"], "192.0.2.77", True),
        (["127.0.0.0/8"], ["192.0.2.77, 203.0.113.9"], "203.0.113.9", True),
        (["127.0.0.0/8"], ["192.0.2.77", "203.0.113.9"], "203.0.113.9", True),
        (["10.0.0.0/8"], [], "127.0.0.1", False),
    ],
)
async def test_a_probe_is_told_how_it_was_seen(
    trusted: list[str], forwarded: list[str], believed: str, peer_trusted: bool
) -> None:
    async with run_webhook(*trusted) as (http, kept, answered):
        headers = [("X-Hub-Signature-256", sign(BODY, SECRET)), *(("X-Forwarded-For", line) for line in forwarded)]
        first = await http.post(WEBHOOK_PATH, content=BODY, headers=headers)
        again = await http.post(WEBHOOK_PATH, content=BODY, headers=headers)
    assert (first.status_code, first.content) == (200, again.content)
    assert decode_report(first.content, "a1b2c3") == ProbeReport(
        "a1b2c3", "127.0.0.1", "http", forwarded, believed, peer_trusted
    )
    assert kept.bodies == []
    assert answered == []


@pytest.mark.parametrize(
    "signature", ["", "sha256=" + "0" * 64, sign(BODY, "another-secret"), sign(BODY + b" ", SECRET)]
)
async def test_a_probe_without_a_good_signature_is_told_nothing(signature: str) -> None:
    async with run_webhook() as (http, kept, answered):
        response = await http.post(
            WEBHOOK_PATH, content=BODY, headers={"X-Hub-Signature-256": signature} if signature else {}
        )
    assert (response.status_code, response.json()) == (401, {"success": False, "message": "Invalid signature"})
    assert (kept.bodies, answered) == ([], [401])


@pytest.mark.parametrize(
    "body",
    [
        BODY + b"\n",
        BODY[:-1] + b',"more":1}',
        BODY.replace(b"a1b2c3", b""),
        BODY.replace(b"a1b2c3", b'a","b":"c'),
        BODY.replace(b"a1b2c3", b"a" * 300),
        BODY.replace(b"tick_probe", b"whatsapp_business_account"),
        json.dumps(json.loads(BODY)).encode(),
    ],
)
async def test_what_only_looks_like_a_probe_is_a_webhook_like_any_other(body: bytes) -> None:
    async with run_webhook() as (http, kept, answered):
        response = await http.post(WEBHOOK_PATH, content=body, headers={"X-Hub-Signature-256": sign(body, SECRET)})
    assert (response.status_code, kept.bodies, answered) == (200, [body], [200])


@given(st.binary(max_size=300))
def test_no_bytes_are_a_probe_but_those_that_are_made_as_one(body: bytes) -> None:
    assert read_nonce(body) == "" or encode_probe(read_nonce(body)) == body
    assert read_nonce(encode_probe("x") + body[:1]) in ("", "x")


KEYS = st.sampled_from(["probe", "nonce", "forwarded", "peer", "believed"])
VALUES: st.SearchStrategy[object] = st.sampled_from([None, "n", 5, True, [], ["f"], {}, [{}]])


@settings(max_examples=60)
@given(st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES)))
def test_whatever_answers_a_probe_is_read_or_not(value: dict[str, object]) -> None:
    read = decode_report(json.dumps(value).encode(), "n")
    assert read is None or read.nonce == "n"
    assert decode_report(encode_report(ProbeReport("n", "p", "http", ["f"], "b", True)), "n") == ProbeReport(
        "n", "p", "http", ["f"], "b", True
    )
    assert decode_report(encode_report(ProbeReport("m", "p", "http", [], "b", True)), "n") is None
