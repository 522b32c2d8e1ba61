"""Tick itself, running in this process: the real application on a real port, with a clock that tests set.

Invariants
- Whatever is asked of it goes over HTTP; whatever is asserted was read from its database, or arrived at the scripted
  Graph API.
- Waiting is always for a condition, and never longer than a deadline.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from api.app import serve
from api.server.serving import get_port, listen_nearby
from api.settings import Settings
from api.simulator import bodies, message_bodies
from api.simulator.bodies import BusinessNumber, Person
from api.simulator.message_bodies import MessageHead
from api.web.credentials import digest_key, make_key, shorten_key
from tests.support.plain_http import plain_http
from tests.system.end_to_end.scripted_graph import ScriptedGraph
from tests.system.end_to_end.tables import Tables

NUMBER = BusinessNumber("106540352242922", "15550783881", "102290129340398")
SECRET = "test-app-secret"
API_KEY = make_key()
VERIFY_TOKEN = "test-verify-token"
WEBHOOK = "/api/whatsapp/webhook"
PATIENCE_SECONDS = 30.0
Flow = Literal["guided", "instant"]
UNKNOWN_NUMBER = "number:access"  # the alert: the tests' Graph API knows nothing of our number
ABOUT_A_MESSAGE = '%message_id"%'
STATUS_GIVEN_UP = timedelta(seconds=16)  # after it, a status of a message that nobody knows is given up


class SettableClock:
    """A clock that goes on from whatever it is set to."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def set(self, at: datetime) -> None:
        """Sets the time."""
        self._ahead = at - datetime.now(UTC)

    def advance(self, by: timedelta) -> None:
        """Puts the time forward."""
        self._ahead += by


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a webhook, and how long it took."""

    status: int
    body: bytes
    seconds: float


class Tick:
    """A running Tick."""

    def __init__(
        self, port: int, http: httpx.AsyncClient, clock: SettableClock, graph: ScriptedGraph, tables: Tables
    ) -> None:
        self.port = port
        self.http = http
        self.clock = clock
        self.graph = graph
        self.tables = tables

    async def post(self, body: bytes, **headers: str) -> Answered:
        """Posts a webhook, signed unless `X_Hub_Signature_256` says otherwise."""
        signed = {"X-Hub-Signature-256": bodies.sign(body, SECRET), "Content-Type": "application/json"}
        sent = signed | {name.replace("_", "-"): value for name, value in headers.items()}
        began = time.perf_counter()
        response = await self.http.post(WEBHOOK, content=body, headers=sent)
        return Answered(response.status_code, response.content, time.perf_counter() - began)

    async def deliver(self, body: bytes) -> None:
        """Posts a webhook that has to be answered 200, and waits for everything that comes of it."""
        answered = await self.post(body)
        assert answered.status == 200, answered
        await self.wait_until_settled()

    async def write(self, text: str, *, person: Person | None = None, wamid: str = "") -> None:
        """Writes as a customer, now, and waits for everything that comes of it."""
        await self.deliver_messages(self.build_message(text, person=person, wamid=wamid), person=person)

    async def deliver_messages(self, *messages: dict[str, Any], person: Person | None = None) -> None:
        """Posts messages of one customer in one body, and waits for everything that comes of them."""
        await self.deliver(bodies.build_messages_webhook(NUMBER, [person or ANN], messages))

    def build_message(self, text: str, *, person: Person | None = None, wamid: str = "") -> dict[str, Any]:
        """Builds a text message of now."""
        return message_bodies.text(MessageHead(person or ANN, wamid or f"wamid.{time.monotonic_ns()}", self.now), text)

    @property
    def now(self) -> int:
        """The time, as Meta's timestamps have it."""
        return int(self.clock().timestamp())

    async def report_status(self, wamid: str, *names: str, opaque: str = "", person: Person | None = None) -> Answered:
        """Posts delivery statuses of one message, in one body."""
        who = person or ANN
        changes = [bodies.build_delivery_status(who, wamid, self.now, name, opaque=opaque) for name in names]
        return await self.post(bodies.build_statuses_webhook(NUMBER, changes))

    async def wait_until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits until the condition holds; `what` names it where it never does."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pending = await self.tables.fetch("SELECT id, kind, attempts, error FROM item WHERE fate = 'pending'")
            raise AssertionError(f"never: {what}; pending: {pending[:5]}; outbox: {await self.read_outbox()}") from None

    async def wait_until_settled(self) -> None:
        """Waits until nothing is to be done but what waits for news: statuses of messages that nobody knows, and what
        customers did to messages (`message_id`, `original_message_id`) that may not have come."""

        async def is_done() -> bool:
            pending = "SELECT COUNT(*) FROM item WHERE fate = 'pending' AND kind <> 'status' AND payload NOT LIKE ?"
            if await self.tables.fetch_value(pending, ABOUT_A_MESSAGE):
                return False
            return not await self.tables.fetch_value(
                "SELECT COUNT(*) FROM outbox WHERE status IN ('queued', 'sending')"
            )

        await self.wait_until("everything that came in is done and sent", is_done)

    async def wait_until_at_rest(self) -> None:
        """Waits until nothing is pending. The clock is moved past the time that statuses of unknown messages wait."""

        async def is_nothing_pending() -> bool:
            return not await self.tables.fetch_value("SELECT COUNT(*) FROM item WHERE fate = 'pending'")

        await self.wait_until_settled()
        if not await is_nothing_pending():
            self.clock.advance(STATUS_GIVEN_UP)
            await self.wait_until("nothing is pending", is_nothing_pending)

    async def read_as_agent(self, path: str) -> Any:
        """Returns the data that an agent gets to read at a path of the API."""
        response = await self.http.get(path, headers={"Authorization": f"Bearer {API_KEY}"})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        return response.json()["data"]

    async def read_items(self) -> list[list[str]]:
        """Returns [kind, fate, reason] of every item, in the order of their arrival."""
        return [list(row) for row in await self.tables.fetch("SELECT kind, fate, reason FROM item ORDER BY id")]

    async def count_duplicates(self) -> int:
        """Counts how often something came that was there already."""
        return int(await self.tables.fetch_value("SELECT COALESCE(SUM(duplicates), 0) FROM item"))

    async def read_outbox(self) -> list[list[str]]:
        """Returns [status, type, first line] of every row of the outbox, in the order of sending."""
        rows = await self.tables.fetch("SELECT status, reason, detail, payload FROM outbox ORDER BY version, id")
        return [_describe_outbox_row(*row) for row in rows]

    async def read_outcome(self, *, skip_items: int = 0, skip_rows: int = 0) -> dict[str, Any]:
        """Returns everything that came in and what became of it, without ids and times; of alerts and files only if
        there are any. The first items and outbox rows can be left out, where they are of no interest."""
        customers: dict[int, list[str]] = {}
        for alias, customer_id in await self.tables.fetch("SELECT alias, customer_id FROM alias ORDER BY alias"):
            customers.setdefault(customer_id, []).append(alias)
        tickets = await self.tables.fetch(
            "SELECT id, status, issue_type, name, mobile, issue_title, description FROM ticket ORDER BY id"
        )
        numbers = {row[0]: at for at, row in enumerate(tickets, start=1)}
        replies = await self.tables.fetch("SELECT ticket_id, author, message FROM reply ORDER BY id")
        outbox = await self.read_outbox()
        for row in outbox:
            for ticket_id, at in numbers.items():
                row[-1] = row[-1].replace(f"*#{ticket_id}*", f"*#{at}*")
        alerts = await self.tables.fetch(
            "SELECT severity, subject, message FROM alert WHERE cleared_at IS NULL AND subject <> ? ORDER BY subject",
            UNKNOWN_NUMBER,
        )
        files = await self.tables.fetch("SELECT kind, mime_type, filename FROM file ORDER BY id")
        more = {"alerts": [list(row) for row in alerts], "files": [list(row) for row in files]}
        return {name: rows for name, rows in more.items() if rows} | {
            "duplicates": await self.count_duplicates(),
            "items": collapse((await self.read_items())[skip_items:]),
            "customers": sorted(customers.values()),
            "tickets": [[*row[1:6], *_shorten(row[6])] for row in tickets],
            "replies": collapse([[numbers[row[0]], row[1], *_shorten(row[2])] for row in replies]),
            "outbox": collapse(outbox[skip_rows:]),
        }


ANN = Person("Ann", "15550001111")
BEN = Person("Ben", "15550002222")


def collapse(rows: list[list[Any]]) -> list[list[Any]]:
    """Collapses neighbours that are the same into one row, with how many; so too those that count on ("message 1",
    "message 2")."""
    runs: list[list[list[Any]]] = []
    for row in rows:
        follows = runs and row in (runs[-1][-1], _count_on(runs[-1][-1]))
        if follows and (len(runs[-1]) == 1 or (row == runs[-1][-1]) == (runs[-1][0] == runs[-1][1])):
            runs[-1].append(row)
        else:
            runs.append([row])
    return [
        run[0] if len(run) == 1 else [*run[0], f"x{len(run)}{'' if run[0] == run[1] else ', counting'}"] for run in runs
    ]


def _count_on(row: list[Any]) -> list[Any]:
    """Returns the row that counts on from this one, by the number at the end of its text."""
    words, _, number = str(row[-1]).rpartition(" ")
    return [*row[:-1], f"{words} {int(number) + 1}"] if number.isdecimal() else row


def _describe_outbox_row(status: str, reason: str, detail: str, payload: str) -> list[str]:
    message = json.loads(payload)
    why = detail or reason
    return [f"{status}({why})" if why else status, message["type"], message["text"].split("\n")[0]]


def _shorten(text: str) -> list[Any]:
    """Returns the text; of one that is too long to read, its beginning and its length."""
    return [text] if len(text) <= 300 else [text[:20], f"{len(text)} characters"]


@asynccontextmanager
async def run_tick(database_url: str, redis_url: str, folder: Path, flow: Flow = "guided") -> AsyncIterator[Tick]:
    """Runs Tick on a free port, with the worker in it, until the block ends. The database has to be migrated."""
    clock, graph, stop, ready = SettableClock(), ScriptedGraph(), asyncio.Event(), asyncio.Event()
    await graph.start()
    listener = listen_nearby("127.0.0.1", 17600)
    port = get_port(listener)
    settings = Settings(
        whatsapp_api_url=f"http://127.0.0.1:{graph.port}/v25.0",
        whatsapp_phone_number_id=NUMBER.phone_number_id,
        whatsapp_access_token=SecretStr("test-access-token"),
        whatsapp_verify_token=SecretStr(VERIFY_TOKEN),
        whatsapp_app_secret=SecretStr(SECRET),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        data_dir=folder,
        tick_flow=flow,
        doubt_seconds=1.0,
        whatsapp_messages_per_second=0,
    )
    serving = asyncio.create_task(serve(settings, listener, stop, clock=clock, on_ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    tables = None
    try:
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        tables = Tables(database_url)
        await tables.fetch("DELETE FROM api_key")
        await tables.fetch(
            "INSERT INTO api_key (id, name, role, prefix, digest, created_at) VALUES (1, 'tests', 'admin', ?, ?, 0)",
            shorten_key(API_KEY), digest_key(API_KEY),
        )  # fmt: skip
        async with plain_http(f"http://127.0.0.1:{port}", timeout=20, headers={"Accept": "application/json"}) as http:
            tick = Tick(port, http, clock, graph, tables)

            async def is_number_known() -> bool:
                known = "SELECT 1 FROM account WHERE phone_number_id = ? AND body <> '{}'"
                return bool(await tick.tables.fetch(known, NUMBER.phone_number_id))

            await tick.wait_until(
                "Meta was asked about our number", is_number_known
            )  # which may raise alerts, and ends old ones
            yield tick
    finally:
        waiting.cancel()
        stop.set()
        await serving
        await graph.stop()
        if tables is not None:
            tables.close()
