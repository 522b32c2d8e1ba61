"""Each call of the Graph API but sending goes over the wire as Meta wants it, and its response is read."""

import asyncio
import json
import logging
import re
import tomllib
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from bot.whatsapp.errors import Action, Scope, classify_error
from bot.whatsapp.graph.client import (
    Accepted,
    GraphClient,
    GraphResponse,
    NotSent,
    Refused,
    ServerFailed,
    Unknown,
    open_http,
)
from bot.whatsapp.graph.http import USER_AGENT
from tests.bot.whatsapp.graph.wire import BODY, NUMBER, PROOF, SECRET, TEXT, TOKEN, Server, answer, client, graph, raw
from tests.support.places import ROOT

OK = answer(b'{"success": true}', headers="facebook-api-version: v25.0\r\n")
ACCEPTED = b'{"messages": [{"id": "wamid.A"}]}'
QR: dict[str, object] = {"prefilled_message": "Hi", "generate_qr_image": "SVG"}
PDF = {"mime_type": "application/pdf", "filename": "manual.pdf"}

Call = Callable[[GraphClient], Coroutine[Any, Any, GraphResponse]]
CALLS: dict[str, tuple[Call, str, object]] = {
    "get": (lambda graph: graph.get("106"), "GET /v25.0/106", None),
    "get with parameters": (
        lambda graph: graph.get(f"{NUMBER}/message_templates", {"fields": "name,status", "after": "a+/="}),
        f"GET /v25.0/{NUMBER}/message_templates?fields=name,status&after=a%2B/%3D",
        None,
    ),
    "post": (lambda graph: graph.post("106/message_qrdls", QR), "POST /v25.0/106/message_qrdls", QR),
    "delete": (
        lambda graph: graph.delete("102/message_templates", {"name": "x"}),
        "DELETE /v25.0/102/message_templates?name=x",
        None,
    ),
    "mark read": (
        lambda graph: graph.mark_read("wamid.IN", typing=False),
        f"POST /v25.0/{NUMBER}/messages",
        {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN"},
    ),
    "mark read and type": (
        lambda graph: graph.mark_read("wamid.IN", typing=True),
        f"POST /v25.0/{NUMBER}/messages",
        {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": "wamid.IN",
            "typing_indicator": {"type": "text"},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_over_the_wire(name: str) -> None:
    call, line, body = CALLS[name]
    async with graph(OK) as (sender, server):
        got = await call(sender)
    assert (got.ok, got.value, got.api_version) == (True, {"success": True}, "v25.0")
    assert server.lines == [line]
    assert [json.loads(sent) if sent else None for _, sent in server.requests] == [body]
    assert_signed(server)


def assert_signed(server: Server, token: str = TOKEN, proof: str = PROOF) -> None:
    for head, _ in server.requests:
        line, *headers = head.decode().strip().split("\r\n")
        assert f"appsecret_proof={proof}" in line
        held = {name.lower(): value for name, value in (header.split(": ", 1) for header in headers)}
        assert held["authorization"] == f"Bearer {token}"
        assert re.fullmatch(r"tick/\d+\.\d+\.\d+", held["user-agent"])


def test_we_say_which_version_we_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert f"tick/{project['project']['version']}" == USER_AGENT


@pytest.mark.parametrize(
    ("body", "status", "failure"),
    [
        (b'{"success": false}', 200, "Meta answered something else than success."),
        (b"{}", 200, "Meta answered something else than success."),
        (b"true", 200, "Meta answered HTTP 200 without saying what became of it."),
        (b"<html>", 502, "Meta answered HTTP 502 without saying what became of it."),
        (b'{"error": {"code": 131009}}', 400, ""),
    ],
)
async def test_a_mark_that_was_not_taken(body: bytes, status: int, failure: str) -> None:
    async with graph(answer(body, status)) as (sender, _):
        got = await sender.mark_read("wamid.IN", typing=True)
    assert (got.ok, got.failure) == (False, failure)
    assert (got.error and got.error.code) == (None if failure else 131009)


@pytest.mark.parametrize("path", ["", "../me", "a/../b", "a//b", "a?b=c", "a#b", "a b", "a%2e", "/a", "a/", "é"])
async def test_an_id_from_outside_leads_nowhere_else(path: str) -> None:
    async with graph() as (sender, server):
        for got in (await sender.get(path), await sender.delete(path), await sender.post(path, {})):
            assert (got.ok, got.sent) == (False, False)
    assert server.connections == 0


async def test_a_new_token_counts_from_the_next_call_on() -> None:
    async with graph(OK, OK, answer(ACCEPTED)) as (sender, server):
        await sender.get("106")
        assert_signed(server)
        sender.replace_token("EAAanother")
        assert sender.settings.access_token == "EAAanother"
        server.requests.clear()
        await sender.get("106")
        await sender.send(BODY)
    assert_signed(server, "EAAanother", "68bd7b666fa37f4a288377443429e7661034e5160541a14caaa906fe176e54e2")


async def test_an_answer_in_another_version_is_noted_until_it_is_ours_again() -> None:
    def versioned(version: str) -> Any:
        return answer(b"{}", headers=f"facebook-api-version: {version}\r\n")

    async with graph(*map(versioned, ["v25.0", "v27.0", "nonsense", "v25.0"])) as (sender, _):
        seen = []
        for _ in range(4):
            await sender.get("106")
            seen.append(sender.api_version_seen)
    assert seen == ["", "v27.0", "v27.0", ""]


def limited(code: int | None, *headers: tuple[str, str]) -> Any:
    body = json.dumps({"error": {"code": code}}) if code else "slow down"
    return answer(body.encode(), 429, "".join(f"{name}: {value}\r\n" for name, value in headers))


def account_usage(*minutes: object) -> tuple[str, str]:
    counters = [{"type": "whatsapp", "call_count": 100, "estimated_time_to_regain_access": one} for one in minutes]
    return "X-Business-Use-Case-Usage", json.dumps({"102290129340398": counters})


APP_FULL = ("X-App-Usage", '{"call_count": 100, "total_time": 25, "total_cputime": 25}')


@pytest.mark.parametrize(
    ("code", "headers", "wait_seconds"),
    [
        (80007, [account_usage(12)], 720),
        (80007, [account_usage(1, 30, 2)], 1800),
        (80007, [account_usage(2)], 300),
        (80007, [account_usage(60 * 24)], 3600),
        (80007, [account_usage("12", None, -3, True, 1e99)], 300),
        (4, [APP_FULL], 300),
        (4, [("X-App-Usage", '{"call_count": 99}')], 60),
        (None, [APP_FULL], 300),
        (130429, [account_usage(0), ("Retry-After", "30")], 30),
        (130429, [("X-Business-Use-Case-Usage", "[1]")], 1),
        (130429, [("X-Business-Use-Case-Usage", '{"1": {"a": 1}, "2": ["b"], "3": null}')], 1),
        (130429, [("X-App-Usage", "{")], 1),
        (131056, [account_usage(12), APP_FULL], 1),
        (131056, [("Retry-After", "20")], 20),
        (131000, [account_usage(12)], 5),
        (190, [account_usage(12), ("Retry-After", "30")], 5),
        (100, [account_usage(12), ("Retry-After", "30")], 0),
    ],
)
async def test_meta_says_how_long(code: int | None, headers: list[tuple[str, str]], wait_seconds: float) -> None:
    async with graph(limited(code, *headers)) as (sender, _):
        outcome = await sender.send(BODY)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.wait_seconds) == (code, wait_seconds)
    assert outcome.scope is classify_error(code, 429).scope


async def test_how_far_a_refusal_reaches() -> None:
    async with graph(*map(limited, (131056, 130429, 190, 100))) as (sender, _):
        refused = [await sender.send(BODY) for _ in range(4)]
    assert [one.scope for one in refused if isinstance(one, Refused)] == [
        Scope.PAIR,
        Scope.NUMBER,
        Scope.CHANNEL,
        Scope.ROW,
    ]


async def test_meta_repeating_our_secrets_does_not_bring_them_into_a_row() -> None:
    words = f"Malformed access token {TOKEN} of {SECRET} proved by {PROOF}"
    body = json.dumps({"error": {"code": 190, "message": words, "fbtrace_id": TOKEN}}).encode()
    async with graph(answer(body, 401), answer(body, 401)) as (sender, _):
        outcome = await sender.send(BODY)
        got = await sender.get("106")
    assert isinstance(outcome, Refused)
    assert (outcome.detail, outcome.trace_id) == ("Malformed access token *** of *** proved by ***", "***")
    assert TOKEN not in repr((outcome, got))


async def test_nothing_private_is_in_a_log_or_a_repr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "letter.txt"
    file.write_text(TEXT)
    body = b'{"url": "https://lookaside.example/?hash=a-private-hash"}'
    async with graph(answer(body), raw(then="reset"), answer(body)) as (sender, _):
        with caplog.at_level(logging.DEBUG):
            answers = [await sender.get("1"), await sender.post(f"{NUMBER}/messages", BODY)]
            answers.append(await sender.upload(file, mime_type="text/plain", filename="letter.txt", size=18))
        visible = caplog.text + repr(answers) + repr(sender) + repr(sender.settings)
    for hidden in (TOKEN, SECRET, PROOF, "appsecret_proof", TEXT, "a-private-hash"):
        assert hidden not in visible


# ---- files


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def read_multipart(server: Server) -> dict[str, tuple[Message, bytes]]:
    """Reads the parts of the multipart body that was sent, by name."""
    ((head, body),) = server.requests
    whole = message_from_bytes(head.split(b"\r\n", 1)[1] + body)
    parts: dict[str, tuple[Message, bytes]] = {}
    for part in whole.get_payload():
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        parts[str(part.get_param("name", header="content-disposition"))] = (part, content)
    return parts


async def test_a_file_goes_out_as_multipart(tmp_path: Path) -> None:
    file = tmp_path / "manual.pdf"
    file.write_bytes(b"%PDF-1.7 \r\n--boundary\r\n")
    async with graph(answer(b'{"id": "4490709327384033"}')) as (sender, server):
        got = await sender.upload(file, size=23, **PDF)
    assert got.value == {"id": "4490709327384033"}
    assert server.lines == [f"POST /v25.0/{NUMBER}/media"]
    assert_signed(server)
    parts = read_multipart(server)
    assert {name: content for name, (_, content) in parts.items()} == {
        "messaging_product": b"whatsapp",
        "type": b"application/pdf",
        "file": b"%PDF-1.7 \r\n--boundary\r\n",
    }
    assert (parts["file"][0].get_filename(), parts["file"][0].get_content_type()) == ("manual.pdf", "application/pdf")


@pytest.mark.parametrize(
    ("filename", "mime_type", "sent_as"),
    [
        ('a"; name="type.pdf', "application/pdf", 'filename="a_; name=_type.pdf"'),
        ("a\r\nContent-Type: text/html\r\n\r\n.pdf", "application/pdf", 'filename="html__.pdf"'),
        ("../../etc/passwd", "application/pdf", 'filename="passwd"'),
        ("Rechnung für Zoë.pdf", "application/pdf", 'filename="Rechnung für Zoë.pdf"'),
        ("", "application/pdf", 'filename="file"'),
        ("a.pdf", "application/pdf\r\nX-Evil: 1", "Content-Type: application/octet-stream"),
        ("a.ogg", "audio/ogg; codecs=opus", "Content-Type: audio/ogg; codecs=opus"),
    ],
)
async def test_names_cannot_break_out_of_their_part(filename: str, mime_type: str, sent_as: str) -> None:
    async with graph(OK) as (sender, server):
        await sender.upload(chunks(b"a", b"b"), mime_type=mime_type, filename=filename, size=2)
    body = server.requests[0][1].decode()
    assert sent_as in body
    assert body.count("\r\n\r\n") == 3
    assert body.count("Content-Type") == 1


async def test_a_file_of_100_megabytes_is_never_in_memory(tmp_path: Path) -> None:
    size, received = 100_000_000, 0
    file = tmp_path / "long.pdf"
    with file.open("wb") as opened:
        opened.truncate(size)

    async def swallow(reader: Any, writer: Any) -> None:
        nonlocal received
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
        while left:
            piece = await reader.read(min(left, 1 << 18))
            received, left = received + len(piece), left - len(piece)
        body = b'{"id": "1"}'
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with listener, open_http() as http:
        sender = client(http, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v25.0")
        tracemalloc.start()
        try:
            got = await sender.upload(file, size=size, **PDF)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert got.value == {"id": "1"}
    assert size < received < size + 1000
    assert peak < 10_000_000


@pytest.mark.parametrize("size", [9, 11])
async def test_a_file_that_changed_meanwhile_is_not_sent_as_another(size: int, tmp_path: Path) -> None:
    file = tmp_path / "growing.pdf"
    file.write_bytes(b"0123456789")
    async with graph(OK) as (sender, server):
        got = await sender.upload(file, size=size, **PDF)
        assert (got.ok, got.failure) == (False, "Our own file could not be read (its size is another).")
        assert server.requests == []  # it never had the end of a form


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    async with graph(OK) as (sender, _):
        got = await sender.upload(tmp_path / "gone.pdf", size=1, **PDF)
    assert got.failure == "Our own file could not be read (FileNotFoundError)."


async def test_a_file_that_meta_does_not_take(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"PK")
    body = b'{"error": {"code": 100, "message": "(#100) Param file must be a file with one of the following types"}}'
    async with graph(answer(body, 400)) as (sender, _):
        got = await sender.upload(file, size=2, mime_type="application/zip", filename="a.zip")
    assert got.error
    assert (got.error.code, got.error.action) == (100, Action.DROP)
    assert got.error.detail == "(#100) Param file must be a file with one of the following types"


async def test_without_a_connection_nothing_was_asked() -> None:
    async with open_http() as http:
        sender = client(http, "http://graph.invalid/v25.0")
        got = await sender.get("106")
        assert (got.sent, got.failure) == (False, "No connection to the Graph API (its name was not found).")
        assert await sender.send(BODY) == NotSent(got.failure)


@pytest.mark.parametrize("token", ["EAA\r\nX-Evil: 1", "EAA\n", "EAAé", "\u200b"])
async def test_a_token_that_is_none_asks_nothing(token: str) -> None:
    async with graph(access_token=token) as (sender, server):
        got = await sender.get("106")
        sender.replace_token(token)
        assert await sender.send(BODY) == NotSent(got.failure)
    assert (got.sent, server.connections) == (False, 0)


@pytest.mark.parametrize("api_url", ["http://[::1/v25.0", "http://127.0.0.1:99999/v25.0", "", "\n"])
async def test_an_address_that_is_none_asks_nothing(api_url: str) -> None:
    async with open_http() as http:
        got = await client(http, api_url).get("106")
    assert (got.ok, got.sent) == (False, False)
    assert "WHATSAPP_API_URL" in got.failure


async def test_an_answer_that_is_accepted_and_an_error_was_accepted() -> None:
    both = b'{"messages": [{"id": "wamid.A"}], "error": {"code": 131000}}'
    async with graph(answer(both), answer(both, 500)) as (sender, _):
        assert await sender.send(BODY) == Accepted("wamid.A")
        assert isinstance(await sender.send(BODY), ServerFailed)


async def test_success_alone_is_no_message() -> None:
    async with graph(OK) as (sender, _):
        assert isinstance(await sender.send(BODY), Unknown)
