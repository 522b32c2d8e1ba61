"""A Graph API that tests script, behind a real socket.

It accepts everything under wamids of its own, unless the test has put something else in front: an answer, or a gate
that holds the answer back until the test opens it.

Invariants
- What stands in `sends` has arrived here, in this order.
"""

import asyncio
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
class ScriptedGraph:
    """The server. `sends`: the bodies that were posted; `wamids`: what they were accepted as; `marks`: what was marked
    as read; `script`: the answers to the next sends."""

    sends: list[dict[str, Any]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    wamids: list[str] = field(default_factory=list)
    script: deque[ScriptedAnswer] = field(default_factory=deque)
    port: int = 0
    _count: int = 0
    _gates: list[asyncio.Event] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listens on a free port."""
        app = web.Application()
        app.router.add_post("/{version}/{number}/messages", self._send)
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

    async def _answer(self, request: web.Request) -> web.Response:
        contract.record_request(request.method, request.path_qs, request.headers, b"")
        error = {"code": 100, "error_subcode": 33, "message": "Unsupported get request.", "type": "OAuthException"}
        return web.json_response({"error": error}, status=400)

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
