"""Tick with the stand-in for Meta in front of it, each behind a socket of its own, in this process and by one clock.

Invariant: customers act at the stand-in, agents over Tick's API; the two meet over HTTP alone. What the stand-in is
asked is held against Meta's document.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from quart import Quart

from api.app import serve
from api.server.serving import limit_requests, listen_nearby, port_of, serve_http
from api.settings import Settings
from api.simulator.records import Customer, Media, Message
from api.simulator.register import add_simulator
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import make_setup
from api.simulator.simulator import Simulator
from api.web.credentials import digest_key, shorten_key
from storage.customers import bsuid_alias, phone_alias
from storage.sql.database import DatabaseSettings
from storage.sql.migrate import migrate
from tests.support.openapi.watching import watch_requests
from tests.support.plain_http import plain_http
from tests.system.end_to_end.conftest import Stage, urls
from tests.system.end_to_end.scripted_graph import Graph
from tests.system.end_to_end.tables import Tables
from tests.system.end_to_end.tick import API_KEY, NUMBER, SECRET, VERIFY_TOKEN, WEBHOOK, Flow, SettableClock, Tick

TOKEN = "test-access-token"
DOUBT_SECONDS = 5.0  # longer than a status takes here
_phones = itertools.count(15550200001)


class Theatre:
    """A running Tick, and the stand-in that it takes for Meta."""

    def __init__(self, tick: Tick, simulator: Simulator, settings: SimulatorSettings) -> None:
        self.tick = tick
        self.meta = simulator
        self.key = {"Authorization": f"Bearer {API_KEY}"}
        self._settings = settings

    def forget(self) -> None:
        """Everything is right at Meta again, and nothing was asked."""
        self.meta.faults.clear()
        self.meta.requests.clear()
        right = make_setup(self._settings)
        for one in dataclasses.fields(right):
            setattr(self.meta.setup, one.name, getattr(right, one.name))

    def customer(self, name: str = "Ann", **more: Any) -> Customer:
        """Somebody who has never written."""
        return self.meta.people.save(Customer(str(next(_phones)), name, **more))

    def said_to(self, customer: Customer) -> list[Message]:
        """What has reached them, in its order."""
        chat = self.meta.chats.list_messages(customer.phone)
        return [message for message in chat if message.by == "business"]

    async def hears(self, customer: Customer, words: str) -> Message:
        """The message with these words, once it is there."""

        async def there() -> bool:
            return any(words in message.text for message in self.said_to(customer))

        await self.tick.until(f"they hear {words!r}", there)
        return next(message for message in self.said_to(customer) if words in message.text)

    async def taps(self, customer: Customer, title: str) -> None:
        """They tap on an option, once it is offered."""

        def offers() -> list[Message]:
            return [m for m in self.said_to(customer) if any(one.title == title for one in m.options)]

        async def offered() -> bool:
            return bool(offers())

        await self.tick.until(f"{title!r} is offered", offered)
        last = offers()[-1]
        choice = next(one for one in last.options if one.title == title)
        self.meta.people.choose_option(customer, choice, last.wamid)

    async def media(self, content: bytes, mime_type: str, filename: str, **lies: Any) -> Media:
        """A file that a customer has sent to Meta; `lies` are what Meta says of it."""
        media = await self.meta.media.save(BytesIO(content), mime_type, filename, inbound=True)
        told = dataclasses.replace(media, **lies)
        self.meta.chats.media[media.media_id] = told
        return told

    async def ticket_of(self, customer: Customer) -> int:
        """The number of their ticket, once there is one."""
        sql = (
            "SELECT DISTINCT ticket.id FROM ticket JOIN alias ON alias.customer_id = ticket.customer_id "
            "WHERE alias.alias IN (?, ?)"
        )
        aliases = (phone_alias(customer.phone), bsuid_alias(customer.user_id))

        async def opened() -> bool:
            return bool(await self.tick.tables.rows(sql, *aliases))

        await self.tick.until("their ticket is open", opened)
        return int((await self.tick.tables.rows(sql, *aliases))[0][0])

    async def agent(self, method: str, path: str, body: object = None, *, status: int = 200, **more: Any) -> Any:
        """What an agent's call gives."""
        response = await self.tick.http.request(method, path, json=body, headers=self.key, **more)
        assert response.status_code == status, response.text
        return response.json()["data"]

    def sends(self, *, to: Customer | None = None) -> list[dict[str, Any]]:
        """The messages that Meta was asked to send."""
        posted = [body for method, path, body in self.meta.requests if method == "POST" and path.endswith("/messages")]
        addresses = (to.phone, f"+{to.phone}", to.user_id) if to else ()
        bodies = [body for body in posted if body.get("status") != "read"]
        return [body for body in bodies if to is None or (body.get("to") or body.get("recipient")) in addresses]

    async def at_rest(self) -> None:
        """Waits until everything was sent, and Meta has told all that there is to tell of it."""
        chats = self.meta.chats

        async def told() -> bool:
            return not chats.webhooks and not [m for m in chats.messages.values() if m.status in ("accepted", "sent")]

        async def done() -> bool:
            return not await self.tick.tables.one("SELECT COUNT(*) FROM item WHERE fate = 'pending'")

        await self.tick.settled()
        await self.until("Meta has told of everything", told)
        await self.until("all of it is done", done)

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits until it holds."""
        await self.tick.until(what, condition)


@asynccontextmanager
async def playing(database_url: str, redis_url: str, folder: Path, flow: Flow) -> AsyncIterator[Theatre]:
    """Both on free ports until the block ends. The database has to be migrated."""
    clock = SettableClock()
    async with AsyncExitStack() as stack:
        listener, front = listen_nearby("127.0.0.1", 17900, tries=500), listen_nearby("127.0.0.1", 18700, tries=500)
        port = port_of(listener)
        simulated = SimulatorSettings(
            folder=folder / "meta",
            webhook_url=f"http://127.0.0.1:{port}{WEBHOOK}",
            app_secret=SECRET,
            access_token=TOKEN,
            phone_number_id=NUMBER.phone_number_id,
            display_phone_number=NUMBER.display_phone_number,
            waba_id=NUMBER.waba_id,
            keep_requests=True,
        )
        posting = await stack.enter_async_context(plain_http(timeout=60))
        simulator = Simulator(simulated, posting, lambda: clock().timestamp())
        app = Quart("meta", static_folder=None)
        limit_requests(app)
        add_simulator(app, simulator)
        watch_requests(app)
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        await stack.enter_async_context(_served(lambda stop, ready: serve_http(app, front, stop, on_ready=ready.set)))
        stack.callback(simulator.end_streams)
        settings = Settings(
            whatsapp_api_url=f"http://127.0.0.1:{port_of(front)}/simulator/graph/v25.0",
            whatsapp_phone_number_id=NUMBER.phone_number_id,
            whatsapp_business_account_id=NUMBER.waba_id,
            whatsapp_access_token=SecretStr(TOKEN),
            whatsapp_verify_token=SecretStr(VERIFY_TOKEN),
            whatsapp_app_secret=SecretStr(SECRET),
            database_url=SecretStr(database_url),
            redis_url=SecretStr(redis_url),
            data_dir=folder,
            tick_flow=flow,
            doubt_seconds=DOUBT_SECONDS,
            whatsapp_messages_per_second=0,
        )
        await stack.enter_async_context(
            _served(lambda stop, ready: serve(settings, listener, stop, clock=clock, on_ready=ready.set))
        )
        tables = Tables(database_url)
        stack.callback(tables.close)
        await tables.rows(
            "INSERT INTO api_key (id, name, role, prefix, digest, created_at) VALUES (1, 'tests', 'admin', ?, ?, 0)",
            shorten_key(API_KEY), digest_key(API_KEY),
        )  # fmt: skip
        http = await stack.enter_async_context(plain_http(f"http://127.0.0.1:{port}", timeout=60))
        yield Theatre(Tick(port, http, clock, Graph(), tables), simulator, simulated)


@asynccontextmanager
async def _served(begin: Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    stop, ready = asyncio.Event(), asyncio.Event()
    serving, waiting = asyncio.ensure_future(begin(stop, ready)), asyncio.create_task(ready.wait())
    try:
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        waiting.cancel()
        stop.set()
        await serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(
    request: pytest.FixtureRequest, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Theatre]:
    """Both, running, for all tests of a module and a database."""
    folder = tmp_path_factory.mktemp("theatre")
    with urls(request, stage[0], folder) as (database_url, redis_url):
        await migrate(DatabaseSettings(database_url))
        async with playing(database_url, redis_url, folder, stage[1]) as theatre:
            yield theatre


@pytest_asyncio.fixture(loop_scope="module")
async def theatre(company: Theatre, stage: Stage, ran: Callable[[str], None]) -> Theatre:
    """Both, with nothing in them."""
    for suite in ("sqlite",) if stage[0] == "sqlite" else ("mariadb", "redis"):
        ran(suite)
    company.forget()
    await company.at_rest()  # what an earlier test left would be a riddle once its rows are gone
    await company.tick.tables.empty()
    return company
