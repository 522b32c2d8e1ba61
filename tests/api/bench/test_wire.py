"""The benchmark's HTTP over real sockets: what is cut anywhere is put together again, what breaks is never reused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.bench.webhooks import NeverAcknowledged, Webhooks
from api.bench.wire import Client, ConnectionBroken, HttpAnswer, HttpReply, Server


def echo(method: str, path: str, body: bytes) -> HttpReply:
    return HttpReply(200, f"{method} {path} ".encode() + body)


@pytest.fixture
async def echoing() -> AsyncIterator[str]:
    server = Server(echo)
    port = await server.listen()
    yield f"http://127.0.0.1:{port}"
    await server.close()


async def test_many_requests_share_few_connections(echoing: str) -> None:
    client = Client(echoing)
    for turn in range(3):
        answers = await asyncio.gather(*(client.ask("POST", f"/{n}", b"x" * n) for n in range(20)))
        assert answers == [HttpAnswer(200, b"POST /%d " % n + b"x" * n) for n in range(20)], turn
    assert len(client._idle) <= 20
    client.close()


async def test_a_request_may_come_in_pieces(echoing: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(echoing.rpartition(":")[2]))
    for piece in (b"POST /a HT", b"TP/1.1\r\nContent-Le", b"ngth: 4\r\n\r", b"\nab", b"cdGET /b HTTP/1.1\r\n\r\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(12) == b"POST /a abcd"
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(7) == b"GET /b "
    writer.close()
    await writer.wait_closed()


async def test_a_connection_that_breaks_is_said_and_forgotten() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(ConnectionBroken):
        await client.ask("GET", "/")
    assert client._idle == []
    server.close()
    await server.wait_closed()


async def test_a_webhook_is_repeated_until_it_is_acknowledged() -> None:
    seen: list[bytes] = []

    def refuses_twice(method: str, path: str, body: bytes) -> HttpReply:
        seen.append(body)
        return HttpReply(200 if len(seen) > 2 else 503, b"")

    server = Server(refuses_twice)
    webhooks = Webhooks(f"http://127.0.0.1:{await server.listen()}", "secret")
    delivery = await webhooks.deliver(b"{}")
    assert delivery.tries == 3
    assert seen == [b"{}"] * 3
    await webhooks.close()
    await server.close()


async def test_a_webhook_that_is_never_acknowledged_is_said() -> None:
    server = Server(lambda *_: HttpReply(401, b"no"))
    webhooks = Webhooks(f"http://127.0.0.1:{await server.listen()}", "secret", give_up_seconds=0.2)
    with pytest.raises(NeverAcknowledged, match="401"):
        await webhooks.deliver(b"{}")
    await webhooks.close()
    await server.close()


async def test_a_doubled_webhook_is_delivered_twice() -> None:
    seen: list[bytes] = []

    def counts(method: str, path: str, body: bytes) -> HttpReply:
        seen.append(body)
        return HttpReply(200, b"")

    server = Server(counts)
    webhooks = Webhooks(f"http://127.0.0.1:{await server.listen()}", "secret", doubled=1.0)
    await webhooks.deliver(b"{}")
    await webhooks.wait_until_settled()
    assert seen == [b"{}"] * 2
    await webhooks.close()
    await server.close()
