"""Meta as far as files go, over real sockets: the Graph API that says where a file is, and the server that has it,
which may be slow, cut, lying, or somebody else.

A file's behaviour is looked up by its media id; what the servers were asked, and with which token, is remembered.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.openapi import contract

BYTES = b"\x89PNG\r\n\x1a\n" + b"the bytes of a file " * 3000


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Connection:
    """What a behaviour answers on."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer

    async def head(self, status: int = 200, **headers: object) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def whole(self, data: bytes, status: int = 200, **headers: object) -> None:
        await self.head(status, Content_Length=len(data), **headers)
        await self.send(data)

    async def nothing(self) -> None:
        """Holds the connection until the other side has had enough."""
        await asyncio.Event().wait()


Behaviour = Callable[[Connection, "FileHost", int], Awaitable[None]]


@dataclass
class FileHost:
    """`files`: how the server of files behaves for each media id, told which request for it this is, from 1; `facts`:
    what the Graph API says of one instead of the truth about BYTES, or a whole answer under "answer"."""

    files: dict[str, Behaviour] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    uploads: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # answers to come
    origin: str = ""
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def api_url(self) -> str:
        return f"{self.origin}/v25.0"

    def of(self, part: str) -> list[Asked]:
        return [asked for asked in self.asked if part in asked.path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while True:
                    asked = await _read(reader)
                    self.asked.append(asked)
                    if not asked.path.startswith("/files/"):
                        contract.record_request(asked.method, asked.path, asked.headers, asked.body)
                    await self._answer(asked, Connection(writer))
                    if asked.path.startswith("/files/"):
                        break
        finally:
            writer.close()
            self.connections.discard(task)

    async def _answer(self, asked: Asked, connection: Connection) -> None:
        name = asked.path.partition("?")[0].rpartition("/")[2]
        if asked.path.startswith("/files/"):
            await self.files[name](connection, self, len(self.of(f"/files/{name}")))
            return
        if asked.method == "POST":
            status, value = self.uploads.pop(0)
        elif "phone_number_id=" in asked.path:  # since January 2026 Meta refuses it, whoever sent the file
            status, value = 400, {"error": {"code": 100, "message": "(#100) Param phone_number_id is not a valid id"}}
        else:
            facts = dict(self.facts.get(name, {}))
            answers = facts.pop("answers", [])
            status, value = answers.pop(0) if answers else (200, {})
            value = value or {
                "messaging_product": "whatsapp", "url": f"{self.origin}/files/{name}", "mime_type": "image/png",
                "sha256": hashlib.sha256(BYTES).hexdigest(), "file_size": str(len(BYTES)), "id": name, **facts,
            }  # fmt: skip
        await connection.whole(json.dumps(value).encode(), status, Content_Type="application/json")


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


@asynccontextmanager
async def listening(host: FileHost) -> AsyncIterator[FileHost]:
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        server.close()
        for task in host.connections:
            task.cancel()


def base64_hash(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


# how servers of files behave


async def good(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.whole(BYTES, Content_Type="text/html")


async def in_chunks(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Transfer_Encoding="chunked")
    for at in range(0, len(BYTES), 1000):
        await connection.chunk(BYTES[at : at + 1000])
    await connection.chunk(b"")


async def silent(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.nothing()


async def slow_head(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.send(b"HTTP/1.1 200 X\r\n")
    while True:
        await connection.send(b"X-Header: x\r\n")
        await asyncio.sleep(0.05)


async def stalled(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Content_Length=len(BYTES))
    await connection.send(BYTES[:5000])
    await connection.nothing()


async def dripping(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Content_Length=len(BYTES))
    for at in range(len(BYTES)):
        await connection.send(BYTES[at : at + 1])
        await asyncio.sleep(0.02)


async def cut(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Content_Length=len(BYTES))
    await connection.send(BYTES[:5000])


async def cut_in_chunks(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Transfer_Encoding="chunked")
    await connection.chunk(BYTES[:5000])


async def cut_without_a_length(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Connection="close")
    await connection.send(BYTES[:5000])


async def cut_once(connection: Connection, host: FileHost, time: int) -> None:
    await (cut if time == 1 else good)(connection, host, time)


async def no_answer(_connection: Connection, _host: FileHost, _time: int) -> None:
    return


async def not_http(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.send(b"220 mail.example.org ESMTP\r\n")


async def claims_too_much(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Content_Length=5_000_000_000)
    await connection.nothing()


async def endless(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.head(Transfer_Encoding="chunked")
    while True:
        await connection.chunk(b"x" * 60_000)


async def another_file(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.whole(BYTES[:-1] + b"!")


async def empty(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.whole(b"")


async def packed(connection: Connection, _host: FileHost, _time: int) -> None:
    await connection.whole(BYTES, Content_Encoding="gzip")


async def old_address_once(connection: Connection, host: FileHost, time: int) -> None:
    await (connection.whole(b"no", 404) if time == 1 else good(connection, host, time))


def answers(status: int) -> Behaviour:
    async def answer(connection: Connection, _host: FileHost, _time: int) -> None:
        await connection.whole(b"no", status)

    return answer


def sends_to(location: str) -> Behaviour:
    """`{origin}`: the server's own."""

    async def redirect(connection: Connection, host: FileHost, _time: int) -> None:
        await connection.whole(b"", 302, Location=location.format(origin=host.origin))

    return redirect
