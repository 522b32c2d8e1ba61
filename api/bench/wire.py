"""HTTP/1.1 on raw asyncio protocols, for the two sides of Meta that we play.

Why not a library: the driver shares the machine with what it measures, so each microsecond it spends is taken from the
service. Invariant: a connection carries one request at a time, and one that saw an error is closed, never used again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
BODY_LIMIT = 64 * 1024 * 1024


class Broken(Exception):
    """The connection ended, or what came over it is not HTTP as we speak it."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class _Framing(asyncio.Protocol):
    """Cuts the stream into heads and bodies by Content-Length. Both sides of ours always send one."""

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
                self._length = content_length(self._head)
                if not 0 <= self._length <= BODY_LIMIT:
                    self.close()
                    return
            if len(self._buffer) < self._length:
                return
            head, body = self._head, bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
            self._head = None
            self.received(head, body)

    def received(self, head: bytes, body: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return -1 if b"\r\ntransfer-encoding:" in lower else 0
    end = lower.find(b"\r\n", at + 2)
    value = lower[at + 17 : end if end > 0 else None].strip()
    return int(value) if value.isdigit() else -1


class _Caller(_Framing):
    """The client's side of one connection."""

    def __init__(self) -> None:
        super().__init__()
        self._waiter: asyncio.Future[Answer] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        if self.transport is None or self.transport.is_closing():
            raise Broken("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiter

    def received(self, head: bytes, body: bytes) -> None:
        waiter, self._waiter = self._waiter, None
        status = head[9:12]
        if waiter is None or waiter.done() or not status.isdigit():
            self.close()
            return
        waiter.set_result(Answer(int(status), body))

    def connection_lost(self, exc: Exception | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(Broken(f"the connection was lost: {exc}"))


class Client:
    """Keep-alive connections to one server, as many as there are requests in flight."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._idle: list[_Caller] = []
        self._fixed = f"Host: {self._host}:{self._port}\r\nContent-Type: application/json\r\n".encode()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: bytes = b"", *, timeout_seconds: float = 20.0
    ) -> Answer:
        """One request. OSError, TimeoutError or Broken when there is no answer."""
        request = b"%s %s HTTP/1.1\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
            method.encode(), path.encode(), self._fixed, headers, len(body), body,
        )  # fmt: skip
        caller = await self._caller(timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await caller.ask(request)
        except BaseException:
            caller.close()
            raise
        self._idle.append(caller)
        return answer

    async def _caller(self, timeout_seconds: float) -> _Caller:
        while self._idle:
            caller = self._idle.pop()
            if caller.transport is not None and not caller.transport.is_closing():
                return caller
        async with asyncio.timeout(timeout_seconds):
            _, fresh = await asyncio.get_running_loop().create_connection(_Caller, self._host, self._port)
        return fresh

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class Reply(NamedTuple):
    """What a server answers; `headers` are whole lines, each with its end."""

    status: int
    body: bytes
    headers: bytes = b""


Answers = Callable[[str, str, bytes], Reply]


class _Answerer(_Framing):
    """The server's side of one connection."""

    def __init__(self, answers: Answers, open_ones: set["_Answerer"]) -> None:
        super().__init__()
        self._answers = answers
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.discard(self)

    def received(self, head: bytes, body: bytes) -> None:
        method, _, rest = head.decode("latin-1").partition(" ")
        status, answer, headers = self._answers(method, rest.partition(" ")[0], body)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
                % (status, headers, len(answer), answer)
            )


class Server:
    """Listens on loopback; each request is answered by one plain function, in the order of arrival."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._open_ones: set[_Answerer] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Answerer(self._answers, self._open_ones), "127.0.0.1", port, backlog=1024
        )
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for answerer in list(self._open_ones):
            answerer.close()
        if self._server is not None:
            await self._server.wait_closed()
