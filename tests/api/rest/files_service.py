"""The routes of files on a port of their own, with a store in a folder, and a key for each role."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from quart import Quart

from api.admin import create_key
from api.rest.register import add_api
from api.server.serving import get_port, limit_requests, listen_nearby, serve_http
from api.services import make_services
from api.web.credentials import Role
from bot.agents.files import FileCommands
from bot.agents.transaction import AgentTransaction
from bot.ids import IdMaker
from storage import files
from storage.blobs.open import open_store
from storage.blobs.store import FileStore, make_file_key
from storage.files import FileRow
from storage.sql.database import Database, Row
from tests.api.rest_service import Clock, open_resources
from tests.support.openapi.own_answers import AnswerWatch
from tests.support.plain_http import plain_http


@dataclass
class FilesService:
    """A running API of files, and a look behind it."""

    database: Database
    store: FileStore
    folder: Path
    clock: Clock
    ids: IdMaker
    keys: Mapping[Role, str]
    http: httpx.AsyncClient
    port: int
    rung: list[bool] = field(default_factory=list)

    async def call(self, method: str, path: str, *, role: Role | None = Role.AGENT, **more: Any) -> httpx.Response:
        """One request, with the key of `role`."""
        headers = {"Authorization": f"Bearer {self.keys[role]}"} if role else {}
        return await self.http.request(method, path, headers=headers | more.pop("headers", {}), **more)

    async def upload(
        self, data: bytes, name: str = "a.png", mime_type: str = "image/png", **more: Any
    ) -> httpx.Response:
        """A form with one file."""
        return await self.call("POST", "/api/files", files={"file": (name, data, mime_type)}, **more)

    async def file(self, data: bytes = b"", **more: Any) -> int:
        """A file of a customer, stored unless told otherwise."""
        file_id, now = self.ids.next(), self.clock.now
        given: dict[str, Any] = {"state": "stored", "size": len(data), "filename": "a.bin", "mime_type": "image/png"}
        given |= {"media_until": now + timedelta(days=7), **more}
        row = FileRow(file_id, "in", "document", given.pop("state"), now, now, **given)
        await self.database.run(lambda tx: files.insert(tx, [row]))
        if row.state == "stored":

            async def pieces() -> AsyncIterator[bytes]:
                yield data

            await self.store.put(make_file_key(file_id), pieces())
        return file_id

    async def rows(self, sql: str) -> list[Row]:
        async with self.database.reading() as tx:
            return [tuple(row) for row in await tx.fetch(sql)]

    def list_stored(self) -> list[str]:
        """What is in the folder."""
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]


@asynccontextmanager
async def serve_files(database: Database, folder: Path, store: FileStore | None = None) -> AsyncIterator[FilesService]:
    clock, rung = Clock(), list[bool]()
    store = store or open_store("", folder)
    keys = {role: await create_key(database, f"the {role}'s", role, clock.now) for role in Role}
    app = Quart("files", static_folder=None)
    limit_requests(app)
    async with open_resources(database, clock, store) as resources:
        services = make_services(resources)
        transaction = AgentTransaction(database=database, lanes=resources.lanes, ids=resources.ids, clock=clock)
        add_api(app, replace(services, files=FileCommands(transaction, lambda: rung.append(True))))
        answers = AnswerWatch(app)
        listener, stop, ready = listen_nearby("127.0.0.1", 18900, tries=500), asyncio.Event(), asyncio.Event()
        port = get_port(listener)
        serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
        try:
            await asyncio.wait({serving, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            async with plain_http(f"http://127.0.0.1:{port}", timeout=30) as http:
                yield FilesService(database, store, folder, clock, resources.ids, keys, http, port, rung)
        finally:
            stop.set()
            await serving
    assert not answers.violations, answers.violations
