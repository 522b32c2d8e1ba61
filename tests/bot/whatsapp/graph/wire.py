"""Runs a client of the Graph API against a server of the test's, which behaves as its script says, on a real socket."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from tests.support.openapi import contract

ServerReply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

NUMBER, TOKEN, SECRET = "106540352242922", "EAAtoken", "app-secret"
PROOF = "9f9f0867bc3df2d00cecd6aa6fb78e65b64c050401bd6ec5b84d98503d443d34"
TEXT = "a private sentence"
BODY: dict[str, object] = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "+15550001111",
    "type": "text",
    "text": {"body": TEXT, "preview_url": False},
}


class Server:
    """Reads one request after the other and answers each with the next reply of its script."""

    def __init__(self, *script: ServerReply) -> None:
        self._script = iter(script)
        self.requests: list[tuple[bytes, bytes]] = []  # (head, body)
        self.connections = 0
        self._serving: set[asyncio.Task[None] | None] = set()

    async def gone(self) -> None:
        """Every connection has come to its end."""
        await asyncio.gather(*filter(None, self._serving))

    @property
    def lines(self) -> list[str]:
        """The first line of each request, without the proof."""
        firsts = [head.decode().split("\r\n")[0].removesuffix(" HTTP/1.1") for head, _ in self.requests]
        return [re.sub(r"[?&]appsecret_proof=[0-9a-f]{64}", "", first) for first in firsts]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.requests.append((head, body))
                contract.record_raw_request(head, body)
                await next(self._script)(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, StopIteration):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def answer(body: bytes, status: int = 200, headers: str = "") -> ServerReply:
    async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return reply


def raw(*pieces: bytes, then: str = "close") -> ServerReply:
    """Writes the pieces as they are; then closes, resets, or keeps the client waiting."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then == "reset":
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        if then == "wait":
            await reader.read()
        raise ConnectionError

    return reply


@asynccontextmanager
async def graph(
    *script: ServerReply, host: str = "127.0.0.1", **more: Any
) -> AsyncIterator[tuple[GraphClient, Server]]:
    server = Server(*script)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        async with open_http() as http:
            yield client(http, f"http://{host}:{port}/v25.0", **more), server
        await server.gone()


def client(http: httpx.AsyncClient, api_url: str, **more: Any) -> GraphClient:
    return GraphClient(GraphSettings(api_url, NUMBER, **{"access_token": TOKEN, "app_secret": SECRET, **more}), http)
