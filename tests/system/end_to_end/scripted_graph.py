"""A Graph API that tests script, behind a real socket.

It accepts everything under wamids of its own, unless the test has put something else in front: an answer, or a gate
that holds the answer back until the test opens it. It has the files that the test gave it, and no others.

Invariants
- What stands in `sends` has arrived here, in this order.
"""

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.openapi import contract


@dataclass(slots=True)
class ScriptedAnswer:
    """One scripted answer. With a `gate`, the request is noted at once and answered when the gate opens."""

    status: int = 200
    body: dict[str, Any] | None = None
    gate: asyncio.Event | None = None


@dataclass(slots=True)
class ScriptedFile:
    """A file that Meta has: `lookups` are the statuses of the first answers to where it is, before the good ones;
    `says` is what the good ones say instead of the truth; the rest is how the server of files answers."""

    content: str = ""
    lookups: list[int] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    redirects: bool = False


@dataclass(slots=True)
class ScriptedGraph:
    """The server. `sends`: the bodies that were posted; `wamids`: what they were accepted as; `marks`: what was marked
    as read; `script`: the answers to the next sends; `media`: the files, by their ids."""

    sends: list[dict[str, Any]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    wamids: list[str] = field(default_factory=list)
    script: deque[ScriptedAnswer] = field(default_factory=deque)
    media: dict[str, ScriptedFile] = field(default_factory=dict)
    port: int = 0
    _count: int = 0
    _gates: list[asyncio.Event] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listens on a free port."""
        contract.prepare()
        app = web.Application()
        app.router.add_post("/{version}/{number}/messages", self._send)
        app.router.add_get("/files/{media_id}", self._download)
        app.router.add_get("/{version}/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops listening."""
        self.reset()
        if self._runner is not None:
            await self._runner.cleanup()

    def reset(self) -> None:
        """Forgets what was sent and what was scripted, and opens every gate."""
        for gate in self._gates:
            gate.set()
        self._gates.clear()
        self.sends.clear()
        self.marks.clear()
        self.wamids.clear()
        self.script.clear()
        self.media.clear()

    async def _answer(self, request: web.Request) -> web.Response:
        contract.record_request(request.method, request.path_qs, request.headers, b"")
        if file := self.media.get(request.match_info["rest"]):
            return self._locate(request.match_info["rest"], file)
        error = {"code": 100, "error_subcode": 33, "message": "Unsupported get request.", "type": "OAuthException"}
        return web.json_response({"error": error}, status=400)

    def _locate(self, media_id: str, file: ScriptedFile) -> web.Response:
        if file.lookups:
            status = file.lookups.pop(0)
            error = {"code": 2, "message": "Service temporarily unavailable", "type": "OAuthException"}
            return web.json_response({"error": error}, status=status)
        content = file.content.encode()
        truth = {
            "messaging_product": "whatsapp", "id": media_id, "url": f"http://127.0.0.1:{self.port}/files/{media_id}",
            "mime_type": "application/octet-stream", "sha256": hashlib.sha256(content).hexdigest(),
            "file_size": len(content),
        }  # fmt: skip
        return web.json_response({key: value for key, value in (truth | file.says).items() if value is not None})

    async def _download(self, request: web.Request) -> web.Response:
        file = self.media[request.match_info["media_id"]]
        if file.redirects and "again" not in request.query:
            return web.Response(status=302, headers={"Location": f"{request.path}?again=1"})
        return web.Response(body=file.content.encode(), status=file.status, headers=file.headers)

    async def _send(self, request: web.Request) -> web.Response:
        body = await request.json()
        contract.record_request(request.method, request.path_qs, request.headers, await request.read())
        if body.get("status") == "read":
            self.marks.append(body)
            return web.json_response({"success": True})
        self._count += 1
        wamid = f"wamid.SENT{self._count:06d}"
        self.sends.append(body)
        self.wamids.append(wamid)
        answer = self.script.popleft() if self.script else ScriptedAnswer()
        if answer.gate is not None:
            self._gates.append(answer.gate)
            await answer.gate.wait()
        accepted = {"messaging_product": "whatsapp", "messages": [{"id": wamid}]}
        return web.json_response(accepted if answer.body is None else answer.body, status=answer.status)
