"""Serves the web application over HTTP/1.1 (granian), inside the process and the event loop that already run.

Invariants
- The socket listens before anything slow begins: a taken port is noticed at once, and an early connection waits instead
  of being refused.
- Nothing that a stranger sends (long headers, a body that trickles, one that never ends) holds a connection longer than
  READ_SECONDS.
- Bodies, unfinished requests and connections are within bounds for each network, and for all (`front_door.py`,
  `connections.py`).
- Stopping always ends, in at most `grace_seconds`.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from granian._granian import SocketHolder  # what granian hands its own workers; pinned by the constraints
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from quart import Quart, Response
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request

from api.server.connections import ConnectionWatch, raise_file_limit
from api.server.front_door import MAX_BODY_BYTES, Admission, FrontDoor
from api.server.process import LISTENER_FD
from storage.errors import OperatorError

MAX_HEADER_BYTES = 16 * 1024
READ_SECONDS = 8  # for the headers, and again for the body
LINGER_SECONDS = 1.0  # how long a request is read on before its refusal goes out
BACKLOG = 4096
ADMISSION = "tick.admission"  # among the extensions of an application


class CannotListen(OperatorError):
    """The socket can't listen on HOST and PORT. The text is one sentence."""


class PortTaken(CannotListen):
    """Another program listens on this port."""


def listen(host: str, port: int) -> socket.socket:
    """Opens the listening socket. Raises PortTaken or CannotListen.

    It binds without SO_REUSEPORT: a second Tick on the same port must fail here, not share its customers by chance.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # accepted connections inherit it; without it an answer in two parts waits 40 ms for the other side's ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"Port {port} on {host} is taken by another program: stop it, or set PORT.") from None
        raise CannotListen(f"Tick can't listen on {host}, port {port}: {error.strerror}. Set HOST or PORT.") from None
    return listener


def find_inherited_listener() -> socket.socket | None:
    """Returns the socket of the process that supervises this one; None when there is none."""
    fd = os.environ.get(LISTENER_FD)
    return socket.socket(fileno=int(fd)) if fd else None


def listen_nearby(host: str, port: int, *, tries: int = 50) -> socket.socket:
    """Listens on the first free port from `port` on at which no other program answers to the name localhost.

    Raises PortTaken after `tries` ports.
    """
    for candidate in range(port, min(port + tries, 65536)):
        if host == "127.0.0.1" and _is_answered_on_ipv6(candidate):
            continue
        try:
            return listen(host, candidate)
        except PortTaken:
            continue
    raise PortTaken(f"Ports {port} to {min(port + tries, 65536) - 1} on {host} are all taken: set PORT.")


def _is_answered_on_ipv6(port: int) -> bool:
    """Whether a program listens on ::1, which browsers try first for localhost, as macOS itself does on port 5000."""
    try:
        with socket.create_connection(("::1", port), timeout=0.5):
            return True
    except OSError:
        return False


def get_port(listener: socket.socket) -> int:
    """Returns the port of a listening socket."""
    port: int = listener.getsockname()[1]
    return port


def limit_requests(app: Quart, admission: Admission | None = None) -> None:
    """Sets the limits that the server leaves to the application. Quart enforces them while a body streams in.

    `admission`: whom the front door lets in, and how far.
    """
    app.extensions[ADMISSION] = admission or Admission()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = READ_SECONDS

    async def answer_too_slow(_error: Exception) -> Response:
        # Without this header the server would go on waiting for the rest of the body after the answer.
        return Response(
            '{"success":false,"message":"The request took too long"}',
            408,
            {"Content-Type": "application/json", "Connection": "close"},
        )

    app.register_error_handler(408, answer_too_slow)


class _Connection(ASGIHTTPConnection):
    """A request and its answer, with two additions.

    - The tasks in `answering` are known, so that those which outlast a stop can be cut.
    - A request is read on for a moment before its answer goes out: the server ends the connection of one that is
      refused early, and a client that is still sending then gets a reset and may never read why.
    """

    answering: set[asyncio.Task[Any]]

    def __init__(self, *connection: Any) -> None:
        super().__init__(*connection)
        self._read_whole = asyncio.Event()

    async def handle_messages(self, request: Request, receive: Any) -> None:
        async def receive_and_notice() -> Any:
            message = await receive()
            if not message.get("more_body", False):
                self._read_whole.set()
            return message

        await super().handle_messages(request, receive_and_notice)

    async def handle_request(self, request: Request, send: Any) -> None:
        async def send_after_reading(message: Any) -> None:
            if message["type"] == "http.response.start" and not self._read_whole.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        await self._read_whole.wait()
            await send(message)

        task = asyncio.current_task()
        assert task is not None
        self.answering.add(task)
        try:
            await super().handle_request(request, send_after_reading)
        finally:
            self.answering.discard(task)


class _Server(Server):
    """granian's server in this event loop, on a socket that is open already."""

    def __init__(self, app: FrontDoor, listener: socket.socket, max_connections: int) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=READ_SECONDS * 1000, max_buffer_size=MAX_HEADER_BYTES),
            log_enabled=False,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # The holder closes its descriptor when it goes, hence a copy.
        self._shd: Any = SocketHolder(os.dup(self._listener.fileno()), False, BACKLOG)  # type: ignore[call-arg]


async def serve_http(
    app: Quart,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    on_ready: Callable[[], None] | None = None,
    grace_seconds: float = 5.0,
) -> None:
    """Answers requests until `stop` is set, then lets those under way end (grace_seconds) and closes the listener.

    Long-lived streams must end by themselves once their application stops: what is still open when the grace is over is
    cut. An error in the application's start-up is raised here.
    """
    admission, max_connections = app.extensions.get(ADMISSION) or Admission(), raise_file_limit()
    answering: set[asyncio.Task[Any]] = set()
    app.asgi_http_class = type("Connection", (_Connection,), {"answering": answering})
    try:
        await app.startup()
    except BaseException:
        listener.close()
        raise
    server = _Server(FrontDoor(app, admission), listener, max_connections)
    watch = ConnectionWatch(get_port(listener), admission, max_connections)
    watching = asyncio.create_task(watch.run(), name="connections")
    serving = asyncio.create_task(server.serve(), name="http")
    stopping = asyncio.create_task(stop.wait(), name="http-stop")
    try:
        await asyncio.sleep(0)  # one step of the loop, in which the server takes the socket over
        if on_ready is not None and not serving.done():
            on_ready()
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((serving,), timeout=grace_seconds)
        for task in answering:
            task.cancel()
        await serving
        if not stop.is_set():
            raise RuntimeError("the HTTP server ended by itself")
    finally:
        watching.cancel()
        stopping.cancel()
        serving.cancel()
        listener.close()
        await app.shutdown()
