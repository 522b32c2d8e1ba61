"""Speaks HTTP/1.1 on raw asyncio protocols: as the client that posts webhooks, and as the server that plays the Graph
API.

It is no library, since the driver shares the machine with what it measures: each microsecond that it spends is taken
from the service.

Invariants
- A connection carries one request at a time, and one that saw an error is closed, never used again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
MAX_BODY_BYTES = 64 * 1024 * 1024


class ConnectionBroken(Exception):
    """The connection ended, or what came over it is not the HTTP that is spoken here."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server has answered, without its headers."""

    status: int
    body: bytes


class _HttpConnection(asyncio.Protocol):
    """Cuts the stream into heads and bodies by Content-Length, which both sides of ours always send.

    A base class, since every byte passes here: a separate parser would cost a call for each message.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: bytes | None = None
        self._length = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            if self._head is None:
                end = self._buffer.find(HEAD_END)
                if end < 0:
                    return
                self._head = bytes(self._buffer[:end])
                del self._buffer[: end + len(HEAD_END)]
                self._length = parse_content_length(self._head)
                if not 0 <= self._length <= MAX_BODY_BYTES:
                    self.close()
                    return
            if len(self._buffer) < self._length:
                return
            head, body = self._head, bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
            self._head = None
            self.handle_message(head, body)

    def handle_message(self, head: bytes, body: bytes) -> None:
        """Is called with each whole message."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connection."""
        if self.transport is not None:
            self.transport.close()


def parse_content_length(head: bytes) -> int:
    """Returns the length of the body that follows this head; -1 when it can't be told."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return -1 if b"\r\ntransfer-encoding:" in lower else 0
    end = lower.find(b"\r\n", at + 2)
    value = lower[at + 17 : end if end > 0 else None].strip()
    return int(value) if value.isdigit() else -1


class _ClientConnection(_HttpConnection):
    """The client's side of one connection."""

    def __init__(self) -> None:
        super().__init__()
        self._waiter: asyncio.Future[HttpAnswer] | None = None

    def ask(self, request: bytes) -> asyncio.Future[HttpAnswer]:
        """Sends a whole request; the future gets its answer."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionBroken("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiter

    def handle_message(self, head: bytes, body: bytes) -> None:
        waiter, self._waiter = self._waiter, None
        status = head[9:12]
        if waiter is None or waiter.done() or not status.isdigit():
            self.close()
            return
        waiter.set_result(HttpAnswer(int(status), body))

    def connection_lost(self, exc: Exception | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionBroken(f"the connection was lost: {exc}"))


class Client:
    """Keep-alive connections to one server, as many as there are requests in flight."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._idle: list[_ClientConnection] = []
        self._fixed = f"Host: {self._host}:{self._port}\r\nContent-Type: application/json\r\n".encode()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: bytes = b"", *, timeout_seconds: float = 20.0
    ) -> HttpAnswer:
        """Sends one request and returns its answer; without one it raises OSError, TimeoutError or ConnectionBroken."""
        request = b"%s %s HTTP/1.1\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
            method.encode(), path.encode(), self._fixed, headers, len(body), body,
        )  # fmt: skip
        connection = await self._take_connection(timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    async def _take_connection(self, timeout_seconds: float) -> _ClientConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                return connection
        async with asyncio.timeout(timeout_seconds):
            _, fresh = await asyncio.get_running_loop().create_connection(_ClientConnection, self._host, self._port)
        return fresh

    def close(self) -> None:
        """Closes the connections that carry no request."""
        while self._idle:
            self._idle.pop().close()


class HttpReply(NamedTuple):
    """What a server is to answer; `headers` are whole lines, each with its end."""

    status: int
    body: bytes
    headers: bytes = b""


Handler = Callable[[str, str, bytes], HttpReply]  # method, path with query, body


class _ServerConnection(_HttpConnection):
    """The server's side of one connection."""

    def __init__(self, handler: Handler, open_connections: set["_ServerConnection"]) -> None:
        super().__init__()
        self._handler = handler
        self._open_connections = open_connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_connections.discard(self)

    def handle_message(self, head: bytes, body: bytes) -> None:
        method, _, rest = head.decode("latin-1").partition(" ")
        status, answer, headers = self._handler(method, rest.partition(" ")[0], body)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
                % (status, headers, len(answer), answer)
            )


class Server:
    """Listens on loopback; one plain function answers each request, in the order of arrival."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._open_connections: set[_ServerConnection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> int:
        """Listens on this port, or a free one; returns which."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _ServerConnection(self._handler, self._open_connections), "127.0.0.1", port, backlog=1024
        )
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def close(self) -> None:
        """Stops listening, and closes every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._open_connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()
