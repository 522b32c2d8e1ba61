"""The whole system: Tick, and the simulator in Meta's place, each behind a socket of its own, by one clock.

Invariants
- Customers act at the simulator, agents over Tick's API; the two programs meet over HTTP alone.
- What the simulator is asked is held against Meta's OpenAPI document.
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
from api.server.serving import get_port, limit_requests, listen_nearby, serve_http
from api.settings import Settings
from api.simulator.records import Customer, Media, Message
from api.simulator.register import add_simulator
from api.simulator.settings import SimulatorSettings
from api.simulator.setup import make_setup
from api.simulator.simulator import Simulator
from api.web.credentials import digest_key, shorten_key
from storage.customers import make_bsuid_alias, make_phone_alias
from tests.support.openapi.watching import watch_requests
from tests.support.plain_http import plain_http
from tests.system.end_to_end.conftest import Urls, Variant
from tests.system.end_to_end.scripted_graph import ScriptedGraph
from tests.system.end_to_end.tables import Tables
from tests.system.end_to_end.tick import API_KEY, NUMBER, SECRET, VERIFY_TOKEN, WEBHOOK, Flow, SettableClock, Tick

TOKEN = "test-access-token"
DOUBT_SECONDS = 5.0  # longer than a status takes here
_phones = itertools.count(15550200001)


class System:
    """A running Tick, and the simulator that it takes for Meta."""

    def __init__(self, tick: Tick, simulator: Simulator, settings: SimulatorSettings) -> None:
        self.tick = tick
        self.meta = simulator
        self.key = {"Authorization": f"Bearer {API_KEY}"}
        self._settings = settings

    def reset(self) -> None:
        """Fixes everything at Meta, and forgets what was asked of it."""
        self.meta.faults.clear()
        self.meta.requests.clear()
        right = make_setup(self._settings)
        for one in dataclasses.fields(right):
            setattr(self.meta.setup, one.name, getattr(right, one.name))

    def add_customer(self, name: str = "Ann", **more: Any) -> Customer:
        """Adds a customer who has never written."""
        return self.meta.people.save(Customer(str(next(_phones)), name, **more))

    def list_messages_to(self, customer: Customer) -> list[Message]:
        """Returns the messages that have reached a customer, in their order."""
        chat = self.meta.chats.list_messages(customer.phone)
        return [message for message in chat if message.by == "business"]

    async def wait_for_message(self, customer: Customer, words: str) -> Message:
        """Waits for a message with these words to a customer, and returns it."""

        async def has_arrived() -> bool:
            return any(words in message.text for message in self.list_messages_to(customer))

        await self.tick.wait_until(f"they hear {words!r}", has_arrived)
        return next(message for message in self.list_messages_to(customer) if words in message.text)

    async def tap(self, customer: Customer, title: str) -> None:
        """Taps on an option as a customer, once it is offered."""

        def list_offers() -> list[Message]:
            return [m for m in self.list_messages_to(customer) if any(one.title == title for one in m.options)]

        async def is_offered() -> bool:
            return bool(list_offers())

        await self.tick.wait_until(f"{title!r} is offered", is_offered)
        last = list_offers()[-1]
        choice = next(one for one in last.options if one.title == title)
        self.meta.people.choose_option(customer, choice, last.wamid)

    async def save_media(self, content: bytes, mime_type: str, filename: str, **lies: Any) -> Media:
        """Saves a file at Meta, as if a customer had sent it; `lies` are what Meta says of it."""
        media = await self.meta.media.save(BytesIO(content), mime_type, filename, inbound=True)
        described = dataclasses.replace(media, **lies)
        self.meta.chats.media[media.media_id] = described
        return described

    async def wait_for_ticket(self, customer: Customer) -> int:
        """Waits for a customer's ticket, and returns its number."""
        sql = (
            "SELECT DISTINCT ticket.id FROM ticket JOIN alias ON alias.customer_id = ticket.customer_id "
            "WHERE alias.alias IN (?, ?)"
        )
        aliases = (make_phone_alias(customer.phone), make_bsuid_alias(customer.user_id))

        async def is_open() -> bool:
            return bool(await self.tick.tables.fetch(sql, *aliases))

        await self.tick.wait_until("their ticket is open", is_open)
        return int((await self.tick.tables.fetch(sql, *aliases))[0][0])

    async def call_as_agent(
        self, method: str, path: str, body: object = None, *, status: int = 200, **more: Any
    ) -> Any:
        """Calls the agents' API; returns the data of the answer, whose status has to be this."""
        response = await self.tick.http.request(method, path, json=body, headers=self.key, **more)
        assert response.status_code == status, response.text
        return response.json()["data"]

    def list_sends(self, *, to: Customer | None = None) -> list[dict[str, Any]]:
        """Returns the bodies of the messages that Meta was asked to send, to one customer or to all."""
        posted = [body for method, path, body in self.meta.requests if method == "POST" and path.endswith("/messages")]
        addresses = (to.phone, f"+{to.phone}", to.user_id) if to else ()
        bodies = [body for body in posted if body.get("status") != "read"]
        return [body for body in bodies if to is None or (body.get("to") or body.get("recipient")) in addresses]

    async def wait_until_at_rest(self) -> None:
        """Waits until everything is sent, and Meta has reported all that there is to report."""
        chats = self.meta.chats

        async def has_reported() -> bool:
            return not chats.webhooks and not [m for m in chats.messages.values() if m.status in ("accepted", "sent")]

        async def is_done() -> bool:
            return not await self.tick.tables.fetch_value("SELECT COUNT(*) FROM item WHERE fate = 'pending'")

        await self.tick.wait_until_settled()
        await self.wait_until("Meta has reported everything", has_reported)
        await self.wait_until("all of it is done", is_done)

    async def wait_until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits until the condition holds; `what` names it where it never does."""
        await self.tick.wait_until(what, condition)


@asynccontextmanager
async def run_system(database_url: str, redis_url: str, folder: Path, flow: Flow) -> AsyncIterator[System]:
    """Runs both on free ports until the block ends. The database has to be migrated."""
    clock = SettableClock()
    async with AsyncExitStack() as stack:
        listener, front = listen_nearby("127.0.0.1", 17900, tries=500), listen_nearby("127.0.0.1", 18700, tries=500)
        port = get_port(listener)
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
        await stack.enter_async_context(_serve(lambda stop, ready: serve_http(app, front, stop, on_ready=ready.set)))
        stack.callback(simulator.end_streams)
        settings = Settings(
            whatsapp_api_url=f"http://127.0.0.1:{get_port(front)}/simulator/graph/v25.0",
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
            _serve(lambda stop, ready: serve(settings, listener, stop, clock=clock, on_ready=ready.set))
        )
        tables = Tables(database_url)
        stack.callback(tables.close)
        await tables.fetch(
            "INSERT INTO api_key (id, name, role, prefix, digest, created_at) VALUES (1, 'tests', 'admin', ?, ?, 0)",
            shorten_key(API_KEY), digest_key(API_KEY),
        )  # fmt: skip
        http = await stack.enter_async_context(plain_http(f"http://127.0.0.1:{port}", timeout=60))
        yield System(Tick(port, http, clock, ScriptedGraph(), tables), simulator, simulated)


@asynccontextmanager
async def _serve(begin: Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
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
async def running_system(
    variant: Variant, urls: Urls, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """The running system, for all tests of a module and a variant."""
    async with run_system(*urls, tmp_path_factory.mktemp("system"), variant.flow) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def system(running_system: System, variant: Variant, ran: Callable[[str], None]) -> System:
    """The running system, with nothing in it."""
    for suite in ("sqlite",) if variant.database == "sqlite" else ("mariadb", "redis"):
        ran(suite)
    running_system.reset()
    await running_system.wait_until_at_rest()  # what an earlier test left would be a riddle once its rows are gone
    await running_system.tick.tables.delete_all()
    return running_system
