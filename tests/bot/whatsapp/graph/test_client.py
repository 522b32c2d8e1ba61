"""A send ends as what became of the message, against servers that do what servers do on a bad day."""

import asyncio
import json
import logging
import re
import socket
import tracemalloc

import pytest

from bot.whatsapp.errors import Action, classify_error
from bot.whatsapp.graph.client import (
    Accepted,
    GraphClient,
    GraphSettings,
    NotSent,
    Outcome,
    Refused,
    ServerFailed,
    Unknown,
    open_http,
)
from tests.bot.whatsapp.graph.wire import BODY, PROOF, SECRET, TEXT, TOKEN, ServerReply, answer, client, graph, raw

ACCEPTED = b'{"messaging_product": "whatsapp", "messages": [{"id": "wamid.A"}]}'


async def outcome_of(*script: ServerReply) -> Outcome:
    async with graph(*script) as (sender, server):
        outcome = await sender.send(BODY)
        assert len(server.requests) == 1  # whatever happened, nothing was sent again behind our back
        for hidden in (TOKEN, SECRET, TEXT, "appsecret_proof"):
            assert hidden not in repr(outcome)
        return outcome


async def test_a_request_is_what_meta_expects() -> None:
    async with graph(answer(ACCEPTED), answer(ACCEPTED)) as (sender, server):
        assert await sender.send(BODY) == Accepted("wamid.A")
        assert await sender.send(BODY) == Accepted("wamid.A")
    head, body = server.requests[0]
    request, *headers = head.decode().strip().split("\r\n")
    assert request == f"POST /v25.0/106540352242922/messages?appsecret_proof={PROOF} HTTP/1.1"
    assert f"authorization: bearer {TOKEN.lower()}" in [header.lower() for header in headers]
    assert json.loads(body) == BODY
    assert server.connections == 1


UNKNOWN = {
    "closed after reading": raw(),
    "reset after reading": raw(then="reset"),
    "half a head": raw(b"HTTP/1.1 200 OK\r\nConte"),
    "half an answer": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + ACCEPTED),
    "half an answer, then reset": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + ACCEPTED, then="reset"),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "truncated JSON": answer(ACCEPTED[:-3]),
    "an empty answer": answer(b""),
    "JSON that is deep": answer(b"[" * 100_000),
    "JSON that is a list": answer(b"[1]"),
    "an id that is no text": answer(b'{"messages": [{"id": 7}]}'),
    "messages that are an object": answer(b'{"messages": {"id": "wamid.A"}}'),
    "HTML with 200": answer(b"<html>Welcome to our hotel</html>"),
    "ten megabytes": answer(b'{"messages": [{"id": "wamid.A"}]}' + b" " * 10_000_000),
    "not what it says it is": answer(b"not gzip", headers="Content-Encoding: gzip\r\n"),
}
SERVER_FAILED = {
    "HTML with 500": answer(b"<html>Oops</html>", 500),
    "an error without a code": answer(b'{"error": {"message": "?"}}', 503),
    "an error with a code": answer(b'{"error": {"code": 131000}}', 500),
}


@pytest.mark.parametrize("name", UNKNOWN)
async def test_it_may_have_gone_out(name: str) -> None:
    assert isinstance(await outcome_of(UNKNOWN[name]), Unknown)


@pytest.mark.parametrize("name", SERVER_FAILED)
async def test_a_server_that_failed_may_have_taken_it(name: str) -> None:
    assert isinstance(await outcome_of(SERVER_FAILED[name]), ServerFailed)


async def test_an_endless_answer_is_left_at_the_cap() -> None:
    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    tracemalloc.start()
    try:
        assert isinstance(await outcome_of(endless), Unknown)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


async def test_a_connection_that_was_closed_while_idle_does_not_send_twice() -> None:
    async with graph(answer(ACCEPTED), raw(then="reset"), answer(ACCEPTED)) as (sender, server):
        assert isinstance(await sender.send(BODY), Accepted)
        assert isinstance(await sender.send(BODY), Unknown)
        assert isinstance(await sender.send(BODY), Accepted)
    assert (len(server.requests), server.connections) == (3, 2)


async def test_a_refused_connection_sent_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        async with open_http() as http:
            outcome = await client(http, f"http://127.0.0.1:{unused.getsockname()[1]}/v25.0").send(BODY)
    assert isinstance(outcome, NotSent)


async def test_a_name_that_does_not_exist_sent_nothing() -> None:
    async with open_http() as http:
        outcome = await client(http, "http://graph.invalid/v25.0").send(BODY)
    assert isinstance(outcome, NotSent)


async def test_an_address_that_is_none_sent_nothing() -> None:
    async with open_http() as http:
        for api_url in ("graph.facebook.com", "ftp://graph.facebook.com/v25.0"):
            assert isinstance(await client(http, api_url).send(BODY), NotSent)


async def test_a_server_without_tls_sent_nothing() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with listener, open_http() as http:
        outcome = await client(http, f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v25.0").send(BODY)
    assert isinstance(outcome, NotSent)


async def test_a_server_that_takes_no_connection_sent_nothing() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # the queue holds one or two, and nobody accepts
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        async with open_http() as http:
            sender = client(http, f"http://127.0.0.1:{full.getsockname()[1]}", connect_seconds=0.2)
            assert isinstance(await sender.send(BODY), NotSent)


async def test_no_answer_in_time() -> None:
    async with graph(raw(then="wait"), answer_seconds=0.2) as (sender, server):
        assert isinstance(await sender.send(BODY), Unknown)
    assert len(server.requests) == 1


async def test_an_answer_that_trickles_is_not_waited_for() -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with graph(trickle, connect_seconds=0.2, answer_seconds=0.2) as (sender, server):
        assert isinstance(await sender.send(BODY), Unknown)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "wait_seconds"),
    [
        (429, "", 60),
        (429, "Retry-After: 90\r\n", 90),
        (429, "Retry-After: 5\r\n", 60),
        (429, "Retry-After: 999999999\r\n", 3600),
        (429, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 60),
        (429, "Retry-After: -1\r\n", 60),
    ],
)
async def test_a_limit_without_a_code(status: int, headers: str, wait_seconds: float) -> None:
    outcome = await outcome_of(answer(b"slow down", status, headers))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.action, outcome.wait_seconds) == (None, Action.RETRY_AFTER, wait_seconds)


async def test_a_limit_with_a_code_and_a_longer_wait() -> None:
    body = b'{"error": {"code": 130429, "message": "slow"}}'
    outcome = await outcome_of(answer(body, 400, "Retry-After: 30\r\n"))
    assert isinstance(outcome, Refused)
    assert (outcome.action, outcome.wait_seconds) == (Action.RETRY_AFTER, 30)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": "190"}}', 190),
        (b'{"error": {"code": 100, "error_subcode": 2494010}}', 100),
        (b'{"error": {"code": true}}', None),
        (b'{"error": "invalid"}', None),
        (b"<html>403</html>", None),
        (b'{"error": {"code": 987654, "error_data": "\\u001b[31mred\\ud800"}}', 987654),
    ],
)
async def test_codes_in_strange_clothes(body: bytes, code: int | None) -> None:
    outcome = await outcome_of(answer(body, 403))
    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert outcome.action is classify_error(code, 403).action
    assert outcome.detail in ("", "red\ufffd")


async def test_a_redirect_is_not_followed() -> None:
    outcome = await outcome_of(answer(b"", 302, "Location: http://127.0.0.1:9/elsewhere\r\n"))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.action) == (None, Action.RETRY)


async def test_what_was_refused_is_asked_again_with_the_token_that_is_set_by_now() -> None:
    refused = answer(b'{"error": {"code": 190, "message": "expired"}}', 401)
    unlucky = answer(b'{"error": {"code": 100, "message": "wrong"}}', 400)
    script = (refused, refused, refused, answer(b'{"id": "1"}'), refused, refused, refused, unlucky)
    async with graph(*script) as (plain, server), open_http() as http:
        set_now = ["", TOKEN, "tuesday's", "wednesday's"]
        asking = GraphClient(plain.settings, http, lambda: set_now.pop(0))
        assert not (await asking.get("1")).ok, "it can't be read"
        assert not (await asking.get("1")).ok, "no other is set"
        assert (await asking.get("1")).ok
        code: dict[str, object] = {"prefilled_message": "Hello", "generate_qr_image": "SVG"}
        assert not (await asking.post("1/message_qrdls", code)).ok, "the other is no good either"
        assert isinstance(await asking.send(BODY), Refused), "a message waits for its channel"
        assert not (await asking.delete("1")).ok, "it is not the token's fault"
    used = [re.findall(r"(?i)bearer ([\w']+)", head.decode())[0] for head, _ in server.requests]
    assert used == [TOKEN] * 3 + ["tuesday's"] * 2 + ["wednesday's"] * 3


async def test_cookies_are_not_kept() -> None:
    script = (answer(ACCEPTED, headers="Set-Cookie: a=b\r\n"), answer(ACCEPTED))
    async with graph(*script, host="localhost") as (sender, server):
        await sender.send(BODY)
        await sender.send(BODY)
    assert b"cookie" not in server.requests[1][0].lower()


async def test_cancelling_a_send_that_waits_is_not_swallowed() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()

    async with graph(silent) as (sender, _):
        sending = asyncio.create_task(sender.send(BODY))
        await asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_many_at_once_each_get_their_own_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            opaque = json.loads(await reader.readexactly(length))["biz_opaque_callback_data"]
            body = json.dumps({"messages": [{"id": f"wamid.{opaque}"}]}).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    listener = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with listener, open_http() as http:
        sender = client(http, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        outcomes = await asyncio.gather(
            *(sender.send(BODY | {"biz_opaque_callback_data": str(number)}) for number in range(300))
        )
    assert outcomes == [Accepted(f"wamid.{number}") for number in range(300)]


async def test_nothing_private_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with graph(answer(ACCEPTED), raw(then="reset")) as (sender, _):
        with caplog.at_level(logging.DEBUG):
            await sender.send(BODY)
            await sender.send(BODY)
    for hidden in (TOKEN, SECRET, TEXT, "appsecret_proof"):
        assert hidden not in caplog.text


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(GraphSettings("https://example.com", "1", TOKEN, SECRET))
    assert TOKEN not in shown
    assert SECRET not in shown
