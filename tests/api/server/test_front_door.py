"""The front door against real sockets: what strangers hold is bounded, and webhooks have a share of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from quart import Quart, request

from api.server.front_door import MAX_BODY_BYTES, Admission
from api.server.serving import get_port, limit_requests, listen_nearby, serve_http
from api.server.shares import KnownNetworks, Share, SharedBudget, Shares, Standing
from api.simulator.bodies import sign
from api.webhook import MAX_UNSIGNED_BYTES, PATHS, WebhookMiddleware
from bot.whatsapp.webhook.items import Item

SECRET = "front-door-test-secret"
WEBHOOK = "/api/whatsapp/webhook"
FORGED = f"X-Hub-Signature-256: sha256={'0' * 64}"
BYTES: Shares = {
    Standing.STRANGER: Share(4_000, 1_000),
    Standing.AGENTS: Share(6_000, 2_000),
    Standing.WEBHOOKS: Share(8_000, 4_000),
}
REQUESTS: Shares = {
    Standing.STRANGER: Share(8, 4),
    Standing.AGENTS: Share(10, 6),
    Standing.WEBHOOKS: Share(12, 8),
}


class Receiver:
    """Takes every webhook."""

    async def receive(self, body: bytes) -> Sequence[Item]:
        return ()


class House:
    """A server with a webhook and a JSON route, and what its front door counted."""

    def __init__(self) -> None:
        self.turned_away: list[str] = []
        self.answered: list[int] = []
        self.admission = Admission(
            [ip_network("127.0.0.1")], PATHS, self.turned_away.append, body_bytes=BYTES, unfinished_requests=REQUESTS
        )
        self.port = 0

    async def open(
        self, head: bytes, part: bytes = b"", *, network: str = "192.0.2.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Begins a request of this network, which comes through a trusted proxy."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {network}\r\n\r\n".encode(), 1) + part)
        await writer.drain()
        return reader, writer

    async def ask(self, head: bytes, part: bytes = b"", *, network: str = "192.0.2.1") -> int:
        """Sends a request; returns the status of its answer."""
        reader, writer = await self.open(head, part, network=network)
        status = await read_status(reader)
        writer.close()
        return status

    async def wait_until(self, requests: int, body_bytes: int) -> None:
        """Waits until so much is held."""
        async with asyncio.timeout(10):
            while (self.admission.requests.held, self.admission.bytes.held) != (requests, body_bytes):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    house, app, stop, ready = House(), Quart("house"), asyncio.Event(), asyncio.Event()
    limit_requests(app, house.admission)

    @app.post("/json")
    async def take() -> str:
        return str(len(await request.get_data()))

    @app.get("/there")
    async def answer() -> str:
        return ""

    app.asgi_app = WebhookMiddleware(app.asgi_app, Receiver(), [SECRET], house.answered.append)  # type: ignore[method-assign,assignment]
    listener = listen_nearby("127.0.0.1", 17900)
    house.port = get_port(listener)
    serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
    await ready.wait()
    try:
        yield house
    finally:
        stop.set()
        await serving


async def read_status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(10):
        line = await reader.readline()
        return int(line[9:12]) if line else 0


def build_head(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: tick", *headers, "", "")).encode()


def build_webhook(body: bytes) -> bytes:
    return build_head(WEBHOOK, f"X-Hub-Signature-256: {sign(body, SECRET)}", f"Content-Length: {len(body)}") + body


@pytest.mark.parametrize("path", [WEBHOOK, "/json"])
async def test_a_network_has_only_so_many_bytes_of_unfinished_bodies(path: str) -> None:
    async with open_house() as house:
        head = build_head(path, FORGED, "Content-Length: 900")
        reader, writer = await house.open(head, b"x" * 600)
        await house.wait_until(1, 600)
        assert await house.ask(head, b"x" * 600) == 503
        assert house.admission.bytes.held == 600
        assert await house.ask(head, b"x" * 900, network="192.0.2.2") in (200, 401)
        writer.write(b"x" * 300)  # what fits goes on
        assert await read_status(reader) in (200, 401)
        writer.close()
        await house.wait_until(0, 0)
    assert house.turned_away == ["too_much"]
    assert house.answered == ([503, 401, 401] if path == WEBHOOK else [])


async def test_a_network_has_only_so_many_unfinished_requests() -> None:
    async with open_house() as house:
        head = build_head("/json", "Content-Length: 9")
        opened = [await house.open(head) for _ in range(4)]
        await house.wait_until(4, 0)
        reader, writer = await house.open(head)
        assert await read_status(reader) == 503
        told = await reader.read()
        assert b"retry-after: 1\r\n" in told
        assert json.loads(told.partition(b"\r\n\r\n")[2])["success"] is False
        assert await house.ask(head, b"123456789", network="192.0.2.2") == 200
        for _, each in [(reader, writer), *opened]:
            each.close()
        await house.wait_until(0, 0)


async def test_strangers_of_many_networks_leave_webhooks_their_share() -> None:
    hello = build_webhook(b"{}")
    async with open_house() as house:
        assert await house.ask(hello, network="203.0.113.5") == 200
        head = build_head(WEBHOOK, FORGED, "Content-Length: 900")
        crowd = [await house.open(head, b"x" * 450, network=f"192.0.2.{number}") for number in range(8)]
        await house.wait_until(8, 3_600)
        assert await house.ask(build_head("/json", "Content-Length: 1"), b"1", network="198.51.100.1") == 503
        assert await house.ask(build_head("/json", "Content-Length: 1"), b"1", network="203.0.113.5") == 200
        assert await house.ask(hello, network="203.0.113.5") == 200
        for _, each in crowd:
            each.close()
        await house.wait_until(0, 0)


async def test_a_get_waits_for_no_place() -> None:
    async with open_house() as house:
        opened = [await house.open(build_head("/json", "Content-Length: 9")) for _ in range(4)]
        await house.wait_until(4, 0)
        assert await house.ask(b"GET /nothing HTTP/1.1\r\nHost: tick\r\n\r\n") == 404
        for _, each in opened:
            each.close()


@pytest.mark.parametrize("path", [WEBHOOK, "/json"])
@pytest.mark.parametrize("chunk", [b"ZZ\r\nabc\r\n", b"3\r\nabcXX\r\n", b"fffffffffffffffffff\r\nabc\r\n"])
async def test_chunks_that_are_none_are_a_bad_request_and_counted(path: str, chunk: bytes) -> None:
    async with open_house() as house:
        assert await house.ask(build_head(path, FORGED, "Transfer-Encoding: chunked"), chunk) == 400
        await house.wait_until(0, 0)
    assert house.turned_away == ["broken_body"]
    assert house.answered == ([400] if path == WEBHOOK else [])


async def test_json_is_shorter_than_webhooks_and_unsigned_webhooks_are_shorter_than_signed_ones() -> None:
    async with open_house() as house:
        assert await house.ask(build_head("/json", f"Content-Length: {MAX_BODY_BYTES + 1}")) == 413
        assert MAX_BODY_BYTES == 300_000
        for wrong in ("X-Nothing: 1", "X-Hub-Signature-256: sha256=00", f"{FORGED}\r\n{FORGED}"):
            assert await house.ask(build_head(WEBHOOK, wrong, f"Content-Length: {MAX_UNSIGNED_BYTES + 1}")) == 413
            assert await house.ask(build_head(WEBHOOK, wrong, "Content-Length: 3"), b"abc") == 401
    assert MAX_UNSIGNED_BYTES < MAX_BODY_BYTES


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_a_callback_may_end_with_a_slash(path: str) -> None:
    async with open_house() as house:
        assert await house.ask(build_webhook(b"{}").replace(WEBHOOK.encode(), path.encode(), 1)) == 200


def test_metas_neighbours_are_known_by_its_webhooks_and_nobody_elses() -> None:
    known = KnownNetworks()
    known.vouch("157.240.1.35", Standing.WEBHOOKS)
    known.vouch("2a03:2880:10ff:8::/64", Standing.WEBHOOKS)
    known.vouch("93.184.216.34", Standing.AGENTS)
    known.vouch("10.1.2.3", Standing.WEBHOOKS)
    known.vouch("93.184.216.34", Standing.STRANGER)
    for network, standing in {
        "157.240.1.35": Standing.WEBHOOKS,
        "157.240.14.99": Standing.WEBHOOKS,
        "157.240.99.1": Standing.STRANGER,
        "2a03:2880:11ff:70::/64": Standing.WEBHOOKS,
        "2a03:2881:10ff:8::/64": Standing.STRANGER,
        "93.184.216.34": Standing.AGENTS,
        "93.184.216.35": Standing.STRANGER,
        "10.1.2.3": Standing.WEBHOOKS,
        "10.1.2.4": Standing.STRANGER,
        "": Standing.STRANGER,
    }.items():
        assert known.find(network) is standing, network


def test_what_is_remembered_of_networks_is_bounded() -> None:
    known = KnownNetworks()
    known.vouch("93.184.216.34", Standing.WEBHOOKS)
    for number in range(12_000):
        known.vouch(f"2001:db8:0:{number:x}::/64", Standing.AGENTS)
        known.vouch("93.184.216.34", Standing.WEBHOOKS)
    assert len(known._standings) <= 10_000
    assert known.find("93.184.216.34") is Standing.WEBHOOKS
    assert known.find("2001:db8::/64") is Standing.STRANGER


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = SharedBudget({Standing.STRANGER: Share(10, 6)})
    assert budget.take("a", 6, Standing.STRANGER)
    assert not budget.take("a", 1, Standing.STRANGER)
    assert not budget.take("b", 5, Standing.STRANGER)
    budget.give_back("a", 6)
    assert budget.take("b", 5, Standing.STRANGER)
    assert budget.take("a", 5, Standing.STRANGER)
    assert budget.held == 10


async def test_a_request_says_readably_for_which_host_it_is() -> None:
    async with open_house() as house:
        for host in ("desk.example", "DESK.example.:5000", "tick_web:5000", "[2001:db8::1]:5000", "192.0.2.7", ""):
            assert await house.ask(f"GET /there HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) == 200, host
        assert house.turned_away == []
        bad = [
            "desk.example\r\nHost: evil.example", "desk.example..", f"{'a' * 64}.example", "evil.example@desk.example",
            "desk.example/evil.example", "desk.example?evil.example", "desk.example#evil.example",
            "evil.example\\@desk.example", "desk.example:80:evil", "desk.example:evil", "[",
        ]  # fmt: skip
        for host in bad:
            assert await house.ask(f"GET /there HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) == 400, host
        assert await house.ask(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n") == 400
        assert house.turned_away == ["unreadable"] * (len(bad) + 1)
