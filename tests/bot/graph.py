"""A Graph API that does as its script says, over a real socket, and remembers what it was asked."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.support.openapi import contract


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
    """`script`: what the next sends get, then `always`, or all are accepted. `good_token`: the only one, if set."""

    script: deque[Reply] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    by_customer: dict[str, deque[Reply]] = field(default_factory=dict)
    under_way: set[int] = field(default_factory=set)
    doubled: list[int] = field(default_factory=list)  # rows that were sent while they were being sent
    always: Reply | None = None
    good_token: str = ""
    upload_script: deque[Reply] = field(default_factory=deque)
    uploads: int = 0
    number: dict[str, Any] = field(default_factory=lambda: {"id": "1"})  # as Meta describes it
    questions: list[str] = field(default_factory=list)  # GETs
    questions_held: asyncio.Event | None = None  # none of them is answered before it is set
    marks: list[dict[str, Any]] = field(default_factory=list)  # messages that were marked as read
    url: str = ""
    _numbers: Any = field(default_factory=lambda: count(1))

    def texts(self, to: str = "") -> list[str]:
        return [request.text for request in self.requests if to in ("", request.to)]

    async def until(self, requests: int, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while len(self.requests) < requests:
                await asyncio.sleep(0.005)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request_line, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                content = await reader.readexactly(int(headers.get("content-length", 0)))
                contract.record_raw_request(head, content)
                answer = await self._answer(request_line, headers, content)
                if answer is None:
                    return
                status, body = answer
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: str, headers: dict[str, str], content: bytes) -> tuple[int, bytes] | None:
        if self.good_token and headers.get("authorization") != f"Bearer {self.good_token}":
            return _to_http(refuse(190, 401))
        if line.startswith("GET "):
            self.questions.append(line.split()[1])
            if self.questions_held is not None:
                await self.questions_held.wait()
            return _to_http(self.always or Reply(body=self.number))
        if line.partition("?")[0].endswith("/media"):
            return await self._upload()
        body = json.loads(content)
        if body.get("status") == "read":
            self.marks.append(body)
            return _to_http(Reply(body={"success": True}))
        request = Request(
            body.get("to") or body["recipient"], _text_of(body), int(body["biz_opaque_callback_data"]), body,
            f"wamid.{next(self._numbers)}",
        )  # fmt: skip
        self.requests.append(request)
        if request.outbox_id in self.under_way:
            self.doubled.append(request.outbox_id)
        self.under_way.add(request.outbox_id)
        own = self.by_customer.get(request.to)
        script = own if own is not None else self.script
        reply = script.popleft() if script else self.always or ACCEPT
        if reply.held is not None:
            await reply.held.wait()
        self.under_way.discard(request.outbox_id)
        if reply.lost:
            return None
        return _to_http(reply, {"messaging_product": "whatsapp", "messages": [{"id": request.wamid}]})

    async def _upload(self) -> tuple[int, bytes]:
        self.uploads += 1
        reply = self.upload_script.popleft() if self.upload_script else Reply(body={"id": "900"})
        if reply.held is not None:
            await reply.held.wait()
        return _to_http(reply, {"id": "900"})


def _to_http(reply: Reply, accepted: dict[str, Any] | None = None) -> tuple[int, bytes]:
    return reply.status, json.dumps(reply.body or accepted).encode()


def _text_of(body: dict[str, Any]) -> str:
    match body["type"]:
        case "text":
            return str(body["text"]["body"])
        case "interactive":
            return str(body["interactive"]["body"]["text"])
        case "template":
            return f"template {body['template']['name']}"
        case kind:
            return str(body[kind].get("caption", kind))


@asynccontextmanager
async def serving() -> AsyncIterator[Graph]:
    contract.prepare()
    graph = Graph()
    server = await asyncio.start_server(graph.serve, "127.0.0.1", 0)
    graph.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v25.0"
    try:
        yield graph
    finally:
        server.close()
