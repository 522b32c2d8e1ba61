"""The HTTP server against real sockets, as strangers use them: what is refused, what is cut, and how it stops."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from quart import Quart, Response, request

from api.server.front_door import MAX_BODY_BYTES
from api.server.process import run, stop_on_signals
from api.server.serving import CannotListen, PortTaken, get_port, limit_requests, listen, listen_nearby, serve_http
from api.server.supervisor import supervise
from tests.support.places import ROOT

HOST = "127.0.0.1"


class Service:
    def __init__(self) -> None:
        self.app = Quart("served")
        self.stop = asyncio.Event()
        self.started = asyncio.Event()
        self.released = asyncio.Event()
        self.port = 0
        limit_requests(self.app)

        @self.app.post("/body")
        async def body() -> str:
            return str(len(await request.get_data()))

        @self.app.get("/wait")
        async def wait() -> str:
            self.started.set()
            await self.released.wait()
            return "waited"

        @self.app.get("/stream")
        async def stream() -> Response:
            async def events() -> AsyncIterator[bytes]:
                yield b"data: first\n\n"
                self.started.set()
                await asyncio.Event().wait()

            return Response(events(), content_type="text/event-stream")


@asynccontextmanager
async def run_service(grace_seconds: float = 5.0) -> AsyncIterator[Service]:
    service = Service()
    listener = listen_nearby(HOST, 17400)
    service.port = get_port(listener)
    ready = asyncio.Event()
    task = asyncio.create_task(
        serve_http(service.app, listener, service.stop, on_ready=ready.set, grace_seconds=grace_seconds)
    )
    try:
        await ready.wait()
        yield service
    finally:
        service.stop.set()
        await task


async def ask(port: int, head: bytes, *body: bytes, every_seconds: float = 0) -> bytes:
    """Sends `head` and the parts of `body` until the other side closes; returns everything that it answered."""
    reader, writer = await asyncio.open_connection(HOST, port)

    async def send() -> None:
        try:
            writer.write(head)
            for part in body:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(every_seconds)
        except ConnectionError:
            pass  # cut off: what it answered is still read

    sending = asyncio.create_task(send())
    answer = b""
    try:
        while part := await reader.read(65536):
            answer += part
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        writer.close()
    return answer


def build_head(*headers: str, path: str = "/body", method: str = "POST") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: tick", "Connection: close", *headers, "", "")).encode()


async def test_ordinary_requests_and_wrong_ones() -> None:
    async with run_service() as service:
        assert (await ask(service.port, build_head("Content-Length: 3"), b"abc")).endswith(b"\r\n\r\n3")
        for head, status in (
            (build_head("Content-Length: 0", path="/body/"), 404),
            (build_head("Content-Length: 0", path="/nothing"), 404),
            (build_head("Content-Length: 0", method="PUT"), 405),
            (build_head(f"X-Long: {'a' * 16384}", "Content-Length: 0"), 431),
            (build_head(*["X-Many: 1"] * 200, "Content-Length: 0"), 431),
            (b"nonsense\r\n\r\n", 400),
        ):
            assert (await ask(service.port, head)).startswith(f"HTTP/1.1 {status} ".encode()), head[:40]
        assert (await ask(service.port, build_head(f"X-Long: {'a' * 15000}", "Content-Length: 0"))).startswith(
            b"HTTP/1.1 200 "
        )
        assert not (await ask(service.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    async with run_service() as service:
        answer = await ask(service.port, build_head(f"Content-Length: {MAX_BODY_BYTES + 1}"))
        assert answer.startswith(b"HTTP/1.1 413 ")
        whole = await ask(service.port, build_head(f"Content-Length: {MAX_BODY_BYTES}"), b"x" * MAX_BODY_BYTES)
        assert whole.endswith(b"\r\n\r\n300000")


async def test_who_is_refused_at_once_is_heard_out_before_it_is_told() -> None:
    """Else the connection ends under who is still sending, and nobody reads why."""
    async with run_service() as service:
        reader, writer = await asyncio.open_connection(HOST, service.port)
        for _ in range(2):  # the connection lives on
            writer.write(b"POST /nothing HTTP/1.1\r\nHost: tick\r\nContent-Length: 6\r\n\r\nabc")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
            writer.write(b"def")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 ")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        writer.close()


async def test_an_endless_body_without_a_length_is_cut_at_the_cap() -> None:
    async with run_service() as service:
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        answer = await ask(service.port, build_head("Transfer-Encoding: chunked"), *[chunk] * 100)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert (await ask(service.port, build_head("Content-Length: 1"), b"x")).endswith(b"1")


async def test_slow_senders_are_closed_within_ten_seconds() -> None:
    async with run_service() as service, asyncio.timeout(10):
        body, headers, silence = await asyncio.gather(
            ask(service.port, build_head("Content-Length: 100"), *[b"x"] * 100, every_seconds=1),
            ask(service.port, b"POST /body HTTP/1.1\r\n", *[b"x"] * 100, every_seconds=1),
            ask(service.port, b""),
        )
    assert body.startswith(b"HTTP/1.1 408 ")
    assert headers == silence == b""


async def test_a_stop_lets_a_request_end() -> None:
    async with run_service() as service:
        asked = asyncio.create_task(ask(service.port, build_head(path="/wait", method="GET")))
        await service.started.wait()
        service.stop.set()
        await asyncio.sleep(0)
        service.released.set()
    assert (await asked).endswith(b"\r\n\r\nwaited")


async def test_a_stream_that_outlasts_the_stop_is_cut() -> None:
    async with asyncio.timeout(20):
        async with run_service(grace_seconds=0.2) as service:
            asked = asyncio.create_task(ask(service.port, build_head(path="/stream", method="GET")))
            await service.started.wait()
        assert b"data: first" in await asked


async def test_an_application_that_fails_to_start_says_so() -> None:
    app = Quart("broken")

    @app.before_serving
    async def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await serve_http(app, listen_nearby(HOST, 17400), asyncio.Event())


def test_a_taken_port_is_named_and_the_next_one_found() -> None:
    with listen_nearby(HOST, 17500) as first:
        port = get_port(first)
        with pytest.raises(PortTaken, match=f"Port {port} on 127.0.0.1 is taken"):
            listen(HOST, port)
        with listen_nearby(HOST, port) as second:
            assert port < get_port(second) <= port + 50
        with pytest.raises(PortTaken, match="are all taken"):
            listen_nearby(HOST, port, tries=1)


def test_a_port_at_which_localhost_is_somebody_else_is_taken() -> None:
    with listen_nearby(HOST, 17550) as first:
        port = get_port(first)
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("::1", port))
        with listen_nearby(HOST, port) as ours:  # bound, but nobody listens there yet
            assert get_port(ours) == port
        other.listen()
        with listen_nearby(HOST, port) as ours:
            assert get_port(ours) > port


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(CannotListen, match="can't listen on"):
        listen(host, 17400)


def test_signals_stop_and_the_loop_is_the_fast_one() -> None:
    async def main() -> str:
        async with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.wait()
        return type(asyncio.get_running_loop()).__module__

    assert run(main()) == "uvloop"


CHILD = (sys.executable, str(Path(__file__).with_name("serving_child.py")))


async def collect_pids(port: int, enough: Callable[[set[int]], bool]) -> set[int]:
    """Collects the process ids that answer, until there are `enough`."""
    seen: set[int] = set()
    async with asyncio.timeout(20):
        while not enough(seen):
            answer = await ask(port, build_head(path="/pid", method="GET"))
            if answer:
                seen.add(int(answer.rsplit(b"\r\n", 1)[-1]))
            await asyncio.sleep(0.01)
    return seen


async def test_processes_share_a_port_are_started_again_and_end_together() -> None:
    stop = asyncio.Event()
    listener = listen_nearby(HOST, 17400)
    port = get_port(listener)
    task = asyncio.create_task(supervise([(), ()], listener, stop, CHILD))
    first = await collect_pids(port, lambda seen: len(seen) == 2)
    killed = first.pop()
    os.kill(killed, signal.SIGKILL)
    assert await collect_pids(port, lambda seen: len(seen - {killed}) == 2) >= first
    stop.set()
    assert await task == 0
    with pytest.raises(ConnectionError):
        await ask(port, build_head(path="/pid", method="GET"))


async def test_a_child_that_refuses_to_start_ends_them_all_with_its_code() -> None:
    refusing = (sys.executable, "-c", "import sys; sys.exit(2)")
    async with asyncio.timeout(20):
        assert await supervise([(), ()], listen_nearby(HOST, 17400), asyncio.Event(), refusing) == 2


async def test_children_end_with_a_parent_that_is_killed() -> None:
    script = (
        "import asyncio, sys; from api.server.serving import *; from api.server.supervisor import supervise; "
        "listener = listen_nearby('127.0.0.1', 17400); print(get_port(listener), flush=True); "
        "asyncio.run(supervise([()], listener, asyncio.Event(), sys.argv[1:]))"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *CHILD, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    port = int(await parent.stdout.readline())
    await collect_pids(port, lambda seen: len(seen) == 1)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(10):
        while await is_listening(port):
            await asyncio.sleep(0.05)


async def is_listening(port: int) -> bool:
    try:
        await ask(port, build_head(path="/pid", method="GET"))
    except ConnectionError:
        return False
    return True
