"""The routes that ask Meta, with a Graph API that answers as it is told: real sockets on both sides."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from quart import Quart

from api.admin import create_key
from api.rest.register import add_api
from api.server.serving import get_port, limit_requests, listen_nearby, serve_http
from api.services import make_services
from api.web.credentials import Role
from storage.blobs.folder import FolderStore
from storage.sql.database import Database
from tests.api.rest_service import Clock, open_resources
from tests.bot.meta_answers import WABA, Meta, answering
from tests.support.openapi.own_answers import AnswerWatch
from tests.support.plain_http import plain_http


@dataclass
class MetaService:
    """The running API, and Meta behind it."""

    meta: Meta
    database: Database
    clock: Clock
    keys: Mapping[Role, str]
    http: httpx.AsyncClient

    async def call(
        self, method: str, path: str, body: object = None, *, role: Role = Role.ADMIN, **headers: str
    ) -> Any:
        """One request, with the key of `role`."""
        sent = {"Authorization": f"Bearer {self.keys[role]}"} | headers
        if body is None:
            return await self.http.request(method, path, headers=sent)
        content = json.dumps(body)
        return await self.http.request(
            method, path, headers=sent | {"Content-Type": "application/json"}, content=content
        )

    async def data(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """The `data` of an answer that must be good."""
        response = await self.call(method, path, body)
        assert response.status_code == status, response.text
        return response.json()["data"]

    async def expect_refusal(self, status: int, method: str, path: str, body: object = None) -> list[str]:
        """The message of a refusal, then its reasons."""
        response = await self.call(method, path, body)
        assert response.status_code == status, response.text
        told = response.json()
        assert told["success"] is False
        reasons = [f"{problem['field']}: {problem['message']}" for problem in told.get("errors", [])]
        return [told["message"], *reasons]


@asynccontextmanager
async def serve_with_meta(database: Database, waba_id: str = WABA) -> AsyncIterator[MetaService]:
    """The routes on a port of their own, with a key for each role."""
    clock = Clock()
    async with answering() as (meta, graph), AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        app = Quart("with_meta", static_folder=None)
        limit_requests(app)
        resources = await stack.enter_async_context(
            open_resources(database, clock, FolderStore(folder), graph=graph, waba_id=waba_id)
        )
        add_api(app, make_services(resources))
        answers = AnswerWatch(app)
        keys = {role: await create_key(database, f"the {role}'s", role, clock.now) for role in Role}
        listener, stop, ready = listen_nearby("127.0.0.1", 18900, tries=500), asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
        try:
            await asyncio.wait({serving, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            async with plain_http(f"http://127.0.0.1:{get_port(listener)}") as http:
                yield MetaService(meta, database, clock, keys, http)
        finally:
            stop.set()
            await serving
        assert not answers.violations, answers.violations
