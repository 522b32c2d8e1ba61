"""A Graph API that does as its script says, over a real socket, and remembers what it was asked."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any


@dataclass
class Reply:
    """`status` and `body` of the answer. `lost`: the connection breaks instead; `held`: no answer before it is set."""

    status: int = 200
    body: dict[str, Any] | None = None  # None: accepted, with a new wamid
    lost: bool = False
    held: asyncio.Event | None = None


ACCEPT = Reply()
LOST = Reply(lost=True)


def refuse(code: int, status: int = 400, **more: object) -> Reply:
    return Reply(status, {"error": {"code": code, "message": "no", "type": "OAuthException", **more}})


@dataclass
class Request:
    """One POST /messages."""

    to: str
    text: str
    outbox_id: int
    body: dict[str, Any]
    wamid: str = ""


@dataclass
class Graph:
    """`script`: what the next requests get; then all are accepted."""

    script: deque[Reply] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    by_customer: dict[str, deque[Reply]] = field(default_factory=dict)
    under_way: set[int] = field(default_factory=set)
    doubled: list[int] = field(default_factory=list)  # rows that were sent while they were being sent
    url: str = ""
    _numbers: Any = field(default_factory=lambda: count(1))

    def texts(self, to: str = "") -> list[str]:
        return [request.text for request in self.requests if to in ("", request.to)]

    async def until(self, requests: int) -> None:
        async with asyncio.timeout(10):
            while len(self.requests) < requests:
                await asyncio.sleep(0.005)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                answer = await self._answer(json.loads(await reader.readexactly(length)))
                if answer is None:
                    return
                status, body = answer
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: dict[str, Any]) -> tuple[int, bytes] | None:
        text = body["text"]["body"] if body["type"] == "text" else body["interactive"]["body"]["text"]
        request = Request(
            body.get("to") or body["recipient"], text, int(body["biz_opaque_callback_data"]), body,
            f"wamid.{next(self._numbers)}",
        )  # fmt: skip
        self.requests.append(request)
        if request.outbox_id in self.under_way:
            self.doubled.append(request.outbox_id)
        self.under_way.add(request.outbox_id)
        own = self.by_customer.get(request.to)
        script = own if own is not None else self.script
        reply = script.popleft() if script else ACCEPT
        if reply.held is not None:
            await reply.held.wait()
        self.under_way.discard(request.outbox_id)
        if reply.lost:
            return None
        answer = reply.body or {"messaging_product": "whatsapp", "messages": [{"id": request.wamid}]}
        return reply.status, json.dumps(answer).encode()


@asynccontextmanager
async def serving() -> AsyncIterator[Graph]:
    graph = Graph()
    server = await asyncio.start_server(graph.serve, "127.0.0.1", 0)
    graph.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v25.0"
    try:
        yield graph
    finally:
        server.close()
