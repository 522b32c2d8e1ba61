"""A Graph API that answers each path as it is told, over a real socket, and remembers what it was asked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiohttp import web

from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from tests.support.openapi import contract

NUMBER, WABA, VERSION = "106540352242922", "102290129340398", "v25.0"


@dataclass(frozen=True)
class CannedAnswer:
    """One answer: JSON, or bytes that are none."""

    body: object
    status: int = 200
    version: str = VERSION


@dataclass
class Meta:
    """`answers`: by method and path below the version; of several the last goes on. What is not there is a 404."""

    answers: dict[str, list[CannedAnswer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    def set_answers(self, request: str, *answers: object) -> None:
        """What `GET path` is answered from now on."""
        self.answers[request] = [each if isinstance(each, CannedAnswer) else CannedAnswer(each) for each in answers]

    def count(self, request: str) -> int:
        """How often it was asked."""
        return sum(asked == request for asked, _, _ in self.asked)

    async def serve(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix(f"/{VERSION}/")
        body = await request.read()
        contract.record_request(request.method, request.path_qs, request.headers, body)
        query = {name: value for name, value in request.query.items() if name != "appsecret_proof"}
        asked = f"{request.method} {path}"
        self.asked.append((asked, query, json.loads(body) if body else None))
        answers = self.answers.get(asked) or [refusal(100, 404, error_subcode=33)]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        text = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        return web.Response(status=answer.status, body=text, headers={"facebook-api-version": answer.version})

    def client(self, http: httpx.AsyncClient) -> GraphClient:
        """Whoever asks it."""
        return GraphClient(GraphSettings(f"{self.url}/{VERSION}", NUMBER, "a token", "a secret"), http)


def refusal(code: int, status: int = 400, **more: object) -> CannedAnswer:
    """Meta says no."""
    return CannedAnswer({"error": {"code": code, "message": "no", "type": "OAuthException", **more}}, status)


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[Meta, GraphClient]]:
    """Such a Graph API, and a client of it."""
    meta, app = Meta(), web.Application()
    app.router.add_route("*", "/{path:.*}", meta.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    meta.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with open_http() as http:
        yield meta, meta.client(http)
    await runner.cleanup()
