"""The agents' API as its callers meet it: real sockets, a real database, a real Redis; only the clock is ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from pydantic import SecretStr
from quart import Quart

from api.admin import create_key
from api.desk.register import add_desk
from api.desk.services import make_desk_services
from api.desk.sessions import Sessions
from api.doctor.endpoint import Doctor, make_doctor
from api.rest.register import add_api
from api.server.client_address import Network
from api.server.front_door import Admission
from api.server.serving import get_port, limit_requests, listen_nearby, serve_http
from api.services import make_services
from api.settings import Settings
from api.web.credentials import Role
from api.web.hosts import check_hosts
from bot.account.phone_number import PhoneNumberMonitor
from bot.bootstrap import Resources
from bot.delivery.departures import Departures
from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.media.file_budget import FileBudget
from bot.media.transfer import MediaTransfer
from bot.metrics import Metrics
from bot.phones import read_phone
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from bot.whatsapp.graph.media_download import open_downloads
from storage import customers, outbox
from storage.blobs.folder import FolderStore
from storage.blobs.store import FileStore
from storage.customers import make_phone_alias
from storage.redis.client import RedisSettings, open_redis
from storage.redis.lanes import Lanes
from storage.redis.limits import Limits
from storage.sql.database import Database, DatabaseSettings, Row, Tx
from storage.ticket_numbers import TicketNumbers
from tests.support.openapi.own_answers import AnswerWatch
from tests.support.plain_http import plain_http

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
PHONE = "+15550001234"
NUMBER, WABA = "106540352242922", "102290129340398"
NO_META, NO_REDIS = "http://127.0.0.1:9/v25.0", "redis://127.0.0.1:9/0"  # nobody listens there
TICKET = {"name": "Ann Example", "issue_type": "hardware", "description": "The printer is on fire."}


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Service:
    """A running API, and a look behind it."""

    app: Quart
    resources: Resources
    clock: Clock
    keys: Mapping[Role, str]
    http: httpx.AsyncClient
    port: int
    folder: Path

    async def call(
        self, method: str, path: str, body: object = None, *, role: Role | None = Role.AGENT, **more: Any
    ) -> httpx.Response:
        """One request, with the key of `role`."""
        headers = {"Authorization": f"Bearer {self.keys[role]}"} if role else {}
        if body is not None:
            more["content"] = body if isinstance(body, bytes) else json.dumps(body)
            headers["Content-Type"] = "application/json"
        return await self.http.request(method, path, headers=headers | more.pop("headers", {}), **more)

    async def data(self, method: str, path: str, body: object = None, *, status: int = 200, **more: Any) -> Any:
        """The `data` of an answer that must be good."""
        response = await self.call(method, path, body, **more)
        assert response.status_code == status, response.text
        answer = response.json()
        assert answer["success"] is True
        return answer["data"]

    async def expect_refusal(self, status: int, method: str, path: str, body: object = None, **more: Any) -> Any:
        """A refusal, in the shape of all of them."""
        response = await self.call(method, path, body, **more)
        assert response.status_code == status, response.text
        answer = response.json()
        assert answer["success"] is False
        assert answer["message"]
        assert set(answer) <= {"success", "message", "errors"}
        return answer

    async def rows(self, sql: str, values: Sequence[object] = ()) -> Sequence[Row]:
        """What the database holds."""
        async with self.resources.database.reading() as tx:
            return await tx.fetch(sql, values)

    async def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Changes what the database holds."""
        async with self.resources.database.transaction() as tx:
            await tx.execute(sql, values)

    async def customer(self, phone: str = PHONE, *, wrote_ago: timedelta | None = timedelta(hours=1)) -> int:
        """A customer who wrote so long ago."""
        digits = read_phone(phone)
        assert digits
        customer_id = self.resources.ids.next()
        wrote_at = None if wrote_ago is None else self.clock.now - wrote_ago
        body = LaneState(address=digits, last_inbound_at=wrote_at, last_item_at=wrote_at).to_json()

        async def write(tx: Tx) -> None:
            directory = await customers.read_directory(tx, [], self.clock.now, body)
            directory.add(customer_id, "Ann", [make_phone_alias(digits)])
            await customers.write_directory(tx, directory)

        await self.resources.database.run(write)
        return customer_id

    async def read_outbox(self) -> list[dict[str, Any]]:
        """The outbox, in the order of sending."""
        rows = await self.rows(
            "SELECT id, customer_id, version, origin, ticket_id, status, payload FROM outbox "
            "ORDER BY customer_id, version, id"
        )
        names = ("id", "customer_id", "version", "origin", "ticket_id", "status")
        sent = []
        for *same, payload in rows:
            message = json.loads(payload)
            sent.append(dict(zip(names, same, strict=True)) | {"text": message.get("text", ""), "message": message})
        return sent

    def list_stored_files(self) -> list[str]:
        """What is in the store of files."""
        return [path.name for path in self.folder.rglob("*") if path.is_file()]

    async def accept(self, outbox_id: int, wamid: str) -> None:
        """Meta takes a message."""

        async def write(tx: Tx) -> None:
            await outbox.mark_sending(tx, [outbox_id], "tests", self.clock.now)
            await outbox.mark_accepted(tx, {outbox_id: wamid}, self.clock.now)

        await self.resources.database.run(write)


@asynccontextmanager
async def open_resources(
    database: Database,
    clock: Clock,
    store: FileStore,
    *,
    graph: GraphClient | None = None,
    waba_id: str = WABA,
    redis_url: str = NO_REDIS,
) -> AsyncIterator[Resources]:
    """What a process has open, with a Graph API or a Redis that is not there unless they are given."""
    redis = open_redis(RedisSettings(redis_url))
    lanes, ids = Lanes(redis, "tests"), IdMaker(clock)
    budget = FileBudget(database=database, lanes=lanes, ids=ids, clock=clock, megabytes_per_day=500)
    async with open_http() as http, open_downloads(NO_META) as downloads:
        graph = graph or GraphClient(GraphSettings(NO_META, NUMBER, "a token", "an app secret"), http)
        yield Resources(
            database=database,
            lanes=lanes,
            limits=Limits(redis, NUMBER, 0),
            graph=graph,
            store=store,
            ids=ids,
            numbers=TicketNumbers(database),
            metrics=Metrics(),
            clock=clock,
            media=MediaTransfer(
                database=database,
                store=store,
                graph=graph,
                downloads=downloads,
                clock=clock,
                budget=budget,
                owner="tests",
            ),
            departures=Departures(None, "tests"),
            templates=TemplateSync(database=database, graph=graph, clock=clock, waba_id=waba_id),
            phone_number=PhoneNumberMonitor(database=database, graph=graph, clock=clock, phone_number_id=NUMBER),
            read_token=lambda: "",
        )
    await redis.aclose()


@asynccontextmanager
async def serve_api(
    database_url: str,
    redis_url: str,
    *,
    public_url: str = "",
    trusted_proxies: Sequence[Network] = (),
    allowed_hosts: Sequence[str] = (),
) -> AsyncIterator[Service]:
    """The API and the desk on a port of their own, with a key for each role. The database has to be migrated."""
    database = await Database.open(DatabaseSettings(database_url))
    try:
        async with serve_on(
            database,
            database_url,
            redis_url,
            public_url=public_url,
            trusted_proxies=trusted_proxies,
            allowed_hosts=allowed_hosts,
        ) as service:
            yield service
    finally:
        await database.close()


@asynccontextmanager
async def serve_on(
    database: Database,
    database_url: str,
    redis_url: str,
    *,
    public_url: str = "",
    trusted_proxies: Sequence[Network] = (),
    app_secrets: Sequence[str] = ("an app secret",),
    allowed_hosts: Sequence[str] = (),
) -> AsyncIterator[Service]:
    """The same on a database that is open, where others may serve as well: all else is each one's own."""
    clock = Clock()
    folder = TemporaryDirectory()
    stack = AsyncExitStack()
    store = FolderStore(Path(folder.name))
    resources = await stack.enter_async_context(open_resources(database, clock, store, redis_url=redis_url))
    keys = {role: await create_key(database, f"the {role}'s", role, clock.now) for role in Role}
    app = Quart("served", static_folder=None)
    limit_requests(app, Admission(trusted_proxies))
    check_hosts(app, public_url, allowed_hosts)
    sessions = Sessions(database, clock, app_secrets, public_url)
    services = make_services(resources)
    add_api(app, services, sessions)
    doctor = Doctor(_settings(database_url, Path(folder.name)), database, resources.lanes, clock, lambda: "")
    app.register_blueprint(make_doctor(doctor))
    desk = make_desk_services(
        sessions=sessions, doctor=doctor, clock=clock, app_secrets=app_secrets, trusted_proxies=trusted_proxies
    )
    add_desk(app, desk)
    answers = AnswerWatch(app)
    listener, stop, ready = listen_nearby("127.0.0.1", 18400, tries=500), asyncio.Event(), asyncio.Event()
    port = get_port(listener)
    serving = asyncio.create_task(serve_http(app, listener, stop, on_ready=ready.set))
    try:
        await asyncio.wait({serving, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        async with plain_http(f"http://127.0.0.1:{port}") as http:
            yield Service(app, resources, clock, keys, http, port, Path(folder.name))
    finally:
        stop.set()
        await serving
        await stack.aclose()
        folder.cleanup()
    assert not answers.violations, answers.violations  # what it answered is as the OpenAPI document says


def _settings(database_url: str, folder: Path) -> Settings:
    """As the doctor reads them."""
    return Settings(
        whatsapp_api_url=NO_META,
        whatsapp_phone_number_id=NUMBER,
        whatsapp_access_token=SecretStr("a-canary-token"),
        whatsapp_verify_token=SecretStr("a-canary-verify-token"),
        whatsapp_app_secret=SecretStr("a-canary-app-secret"),
        database_url=SecretStr(database_url),
        data_dir=folder,
    )
