"""Connections on which nobody asks: how many a network keeps, and which of them are cut."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from quart import Quart

from api.server import connections
from api.server.connections import MAX_OF_NETWORK, OPEN_FILES, compute_most_of_network, find_connections
from api.server.front_door import Admission
from api.server.serving import get_port, limit_requests, listen_nearby, serve_http
from api.server.shares import Standing

MOST = MAX_OF_NETWORK[Standing.STRANGER]
pytestmark = pytest.mark.skipif(
    not OPEN_FILES.is_dir() or not Path("/proc").is_dir(), reason="strangers need addresses of 127.0.0.0/8, as on Linux"
)


@asynccontextmanager
async def open_house(admission: Admission) -> AsyncIterator[int]:
    """A server; yields its port."""
    app, stop, ready = Quart("house"), asyncio.Event(), asyncio.Event()
    limit_requests(app, admission)
    waiting = asyncio.Event()

    @app.get("/wait")
    async def wait() -> str:
        await waiting.wait()
        return "waited"

    listener = listen_nearby("127.0.0.1", 17900)
    serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
    await ready.wait()
    try:
        yield get_port(listener)
    finally:
        waiting.set()
        stop.set()
        await serving


@contextlib.contextmanager
def connect(port: int, count: int, address: str = "127.9.0.1", sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Opens so many connections from this address."""
    opened = []
    try:
        for _ in range(count):
            one = socket.socket()
            opened.append(one)
            one.bind((address, 0))
            one.connect(("127.0.0.1", port))
            one.sendall(sent)
            one.setblocking(False)
        yield opened
    finally:
        for one in opened:
            one.close()


def is_open(one: socket.socket) -> bool:
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


async def wait_until_open(opened: list[socket.socket], count: int) -> list[bool]:
    """Waits until so many are open; returns which are."""
    async with asyncio.timeout(6):  # a connection that says nothing ends by itself after 8 s
        while sum(found := [is_open(one) for one in opened]) != count:
            await asyncio.sleep(0.02)
    return found


async def test_a_network_keeps_the_connections_that_came_last_and_those_that_ask() -> None:
    refused: list[str] = []
    head = b"GET /wait HTTP/1.1\r\nHost: tick\r\n\r\n"
    async with open_house(Admission(count_refusal=refused.append)) as port:
        with (
            connect(port, 5, sent=head) as asking,
            connect(port, 20, "127.9.0.2") as others,
            connect(port, MOST + 40) as silent,
        ):
            found = await wait_until_open(silent, MOST - 5)
            assert found == sorted(found)
            assert all(is_open(one) for one in [*asking, *others])
    assert refused == ["connection"] * 45


async def test_a_trusted_proxy_keeps_all_of_its_connections_and_a_known_network_more() -> None:
    admission = Admission([ip_network("127.9.0.3")])
    admission.known.vouch("127.9.0.4", Standing.AGENTS)
    async with open_house(admission) as port:
        with connect(port, MOST + 9, "127.9.0.3") as proxys, connect(port, MOST + 9, "127.9.0.4") as agents:
            with connect(port, MOST + 9) as silent:
                await wait_until_open(silent, MOST)
            assert all(is_open(one) for one in [*proxys, *agents])


@pytest.mark.parametrize(
    ("held", "most", "each"),
    [([], 10, 256), ([300], 1000, 256), ([300] * 4, 512, 128), ([1] * 2000 + [300], 2100, 64), ([1] * 50, 10, 1)],
)
def test_many_networks_hold_fewer_each(held: list[int], most: int, each: int) -> None:
    assert compute_most_of_network(held, most) == each


def test_only_connections_to_the_port_are_found() -> None:
    one_end, other_end = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, one_end, other_end:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as ours, listener.accept()[0] as theirs:
            found = list(find_connections(port))
            assert [(one.fd, one.peer) for one in found] == [(theirs.fileno(), ours.getsockname())]
            before = len(os.listdir(OPEN_FILES))
            assert connections.cut(found[0])
            assert ours.recv(1) == b""
            assert not connections.cut(found[0]._replace(peer=("127.0.0.1", 1)))
            assert not connections.cut(found[0]._replace(fd=listener.fileno()))
            with Path(os.devnull).open() as file:
                assert not connections.cut(found[0]._replace(fd=file.fileno()))
            assert len(os.listdir(OPEN_FILES)) == before


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
        fit = connections.raise_file_limit()
        assert fit + connections.FILES_OF_OUR_OWN <= resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert fit == min(hard, connections.MAX_CONNECTIONS + connections.FILES_OF_OUR_OWN) - 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
