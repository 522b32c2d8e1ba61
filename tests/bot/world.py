"""All of the bot on real servers: SQL, Redis, and a Graph API that follows a script.

A test writes as customers and as Meta do (webhook bodies), lets workers run, and looks at the tables and at what the
Graph API was asked. Time is the wall clock's, and can be put forward.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from bot.account.phone_number import PhoneNumberMonitor
from bot.agents.actor import Actor
from bot.agents.connection import ConnectionCommands
from bot.agents.replies import ReplyCommands
from bot.agents.tickets import TicketCommands
from bot.agents.transaction import AgentTransaction
from bot.answering_record import AnsweringRecord
from bot.bootstrap import Resources, make_worker
from bot.clock import SteadyClock
from bot.delivery.departures import Departures
from bot.ids import IdMaker
from bot.intake.intake import Intake
from bot.media.file_budget import FileBudget
from bot.media.transfer import MediaTransfer
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from bot.whatsapp.graph.media_download import Downloads, open_downloads
from bot.worker.rounds import Rounds
from bot.worker.turns import Turns
from bot.worker.worker import Worker
from flows import DEFAULT_ISSUE_TYPES
from storage import kept_counts
from storage.blobs.open import open_store
from storage.blobs.store import FileStore
from storage.count_settlement import LACKING
from storage.customers import NOBODY
from storage.redis.client import Redis, RedisDown, RedisSettings, open_redis
from storage.redis.lanes import ClaimedLane, Lanes
from storage.redis.limits import Limits
from storage.redis.presence import RedisPresence
from storage.sql.database import Database
from storage.statuses import EventAuthor
from storage.ticket_numbers import TicketNumbers
from tests.bot.graph import Graph, serving
from tests.support.event_log import SELECTS, LoggedTables, find_disagreements
from tests.support.redis_time import pass_time

NUMBER, WABA = "106540352242922", "102290129340398"
AGENT = Actor("agent", EventAuthor.AGENT, 7)
ANNE, BEN = "15550001111", "15550002222"


class Clock:
    """Tick's clock, put forward as a test likes, on a machine whose clock a test may set."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._jumped = 0.0
        self._set_by = 0.0
        self._steady = SteadyClock(lambda: time.time() + self._set_by)

    def __call__(self) -> datetime:
        return self._steady() + self.ahead

    def read_time(self) -> float:
        """The clock that nobody sets, in seconds."""
        return time.monotonic() + self.ahead.total_seconds() - self._jumped

    def forward(self, seconds: float) -> None:
        """Puts Tick's clock forward, or back: what Tick itself prevents."""
        self.ahead += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """The same, though no time passes: processes that started before and after a step differ so."""
        self.forward(seconds)
        self._jumped += seconds

    def step(self, seconds: float) -> None:
        """Sets the clock of the machine forward or back."""
        self._set_by += seconds


class World:
    """One database, one Redis, one Graph API; any number of processes' worth of bots."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        graph: Graph,
        http: httpx.AsyncClient,
        store: FileStore,
        downloads: Downloads,
    ) -> None:
        self.database = database
        self.store = store
        self.downloads = downloads
        self.redis = redis
        self.graph = graph
        self.http = http
        self.clock = Clock()
        self.ids = IdMaker(self.clock)
        self.numbers = TicketNumbers(database)
        self.lanes = Lanes(redis, "intake")
        self.intake = Intake(
            database=database,
            lanes=self.lanes,
            ids=self.ids,
            clock=self.clock,
            phone_number_id=NUMBER,
            metrics=Metrics(),
        )
        self.agents = AgentTransaction(database=database, lanes=self.lanes, ids=self.ids, clock=self.clock)
        self.tickets = TicketCommands(self.agents, self.numbers)
        self.replies = ReplyCommands(self.agents)
        self.connection = ConnectionCommands(self.agents)
        self.doubt_seconds = 2.0
        self.sweep_seconds = 0.2  # a fifth of what it is in earnest
        self.slow_seconds = 0.4  # likewise
        self.answer_seconds = 15.0
        self.per_second = 0.0
        self.pair_burst = 10_000
        self.token = "token"
        self.is_written_by_hand = False  # a test changes tables itself, so that log and counts can't know
        self.megabytes_per_day = 500.0
        self._wamids = count(1)

    def another(self) -> "World":
        """Another process on the same servers."""
        return World(self.database, self.redis, self.graph, self.http, self.store, self.downloads)

    async def later(self, seconds: float) -> None:
        """Time passes for the bot and for what it keeps in Redis."""
        self.clock.forward(seconds)
        await pass_time(self.redis, seconds)

    # what Meta sends

    def message(
        self, text: str = "Hi", *, phone: str = ANNE, bsuid: str = "", wamid: str = "", ago: float = 0, name: str = ""
    ) -> dict[str, Any]:
        """One entry of `messages`, with its contact."""
        at = int((self.clock() - timedelta(seconds=ago)).timestamp())
        message = {"id": wamid or f"wamid.in.{next(self._wamids)}", "timestamp": str(at)}
        message |= {"type": "text", "text": {"body": text}}  # type: ignore[dict-item]
        contact: dict[str, Any] = {"profile": {"name": name}} if name else {}
        if phone:
            message["from"] = contact["wa_id"] = phone
        if bsuid:
            message["from_user_id"] = contact["user_id"] = bsuid
        return {"messages": [message], "contacts": [contact]}

    def status(
        self, wamid: str, status: str, *, phone: str = ANNE, opaque: int | str = "", ago: float = 0, **more: Any
    ) -> dict[str, Any]:
        """One entry of `statuses`."""
        at = int((self.clock() - timedelta(seconds=ago)).timestamp())
        told = {"id": wamid, "status": status, "timestamp": str(at), "recipient_id": phone, **more}
        if opaque:
            told["biz_opaque_callback_data"] = str(opaque)
        return {"statuses": [told]}

    @staticmethod
    def body(*values: dict[str, Any], field: str = "messages") -> bytes:
        """A webhook with these changes."""
        number = {"metadata": {"phone_number_id": NUMBER}, "messaging_product": "whatsapp"}
        changes = [{"field": field, "value": number | value} for value in values]
        return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()

    async def receive(self, *values: dict[str, Any], field: str = "messages") -> None:
        """A webhook comes in, and is durable."""
        await self.intake.receive(self.body(*values, field=field))

    async def write(self, *texts: str, **how: Any) -> None:
        """A customer writes, a message after the other."""
        for text in texts:
            await self.receive(self.message(text, **how))

    # who works on it

    def rounds(self, settings: BotSettings | None = None, *, numbers: TicketNumbers | None = None) -> Rounds:
        """The rounds of one more process."""
        numbers = numbers or TicketNumbers(self.database)
        ids = IdMaker(self.clock)
        turns = Turns(settings or BotSettings(NUMBER, issue_types=DEFAULT_ISSUE_TYPES), ids, numbers)
        templates = TemplateSync(database=self.database, graph=self.client(), clock=self.clock, waba_id=WABA)
        return Rounds(
            database=self.database,
            turns=turns,
            ids=ids,
            numbers=numbers,
            templates=templates,
            clock=self.clock,
            metrics=Metrics(),
        )

    def client(self) -> GraphClient:
        """One more process' way out."""
        settings = GraphSettings(
            self.graph.url, NUMBER, "token", "secret", connect_seconds=1.0, answer_seconds=self.answer_seconds
        )
        return GraphClient(settings, self.http)

    def make_counted_worker(self) -> tuple[Worker, Metrics]:
        """One more process, and what it counts."""
        metrics = Metrics()
        return self.worker(metrics=metrics), metrics

    def worker(
        self,
        settings: BotSettings | None = None,
        *,
        redis: Redis | None = None,
        metrics: Metrics | None = None,
        departures: Departures | None = None,
        presence: RedisPresence | None = None,
    ) -> Worker:
        """One more process."""
        presence = presence or RedisPresence()
        lanes = Lanes(redis or self.redis, secrets.token_hex(4), presence=presence)
        graph = self.client()
        resources = Resources(
            database=self.database,
            lanes=lanes,
            limits=Limits(redis or self.redis, NUMBER, self.per_second, pair_burst=self.pair_burst, presence=presence),
            redis_presence=presence,
            graph=graph,
            store=self.store,
            ids=IdMaker(self.clock),
            numbers=TicketNumbers(self.database),
            metrics=metrics or Metrics(),
            clock=self.clock,
            media=MediaTransfer(
                database=self.database,
                store=self.store,
                graph=graph,
                downloads=self.downloads,
                clock=self.clock,
                budget=FileBudget(
                    database=self.database,
                    lanes=lanes,
                    ids=IdMaker(self.clock),
                    clock=self.clock,
                    megabytes_per_day=self.megabytes_per_day,
                ),
                owner=lanes.owner,
            ),
            templates=TemplateSync(database=self.database, graph=graph, clock=self.clock, waba_id=WABA),
            phone_number=PhoneNumberMonitor(
                database=self.database, graph=graph, clock=self.clock, phone_number_id=NUMBER
            ),
            departures=departures or Departures(None, lanes.owner),
            read_token=lambda: self.token,
        )
        bot = replace(
            settings or BotSettings(NUMBER, issue_types=DEFAULT_ISSUE_TYPES),
            doubt_seconds=self.doubt_seconds,
            sweep_seconds=self.sweep_seconds,
            slow_seconds=self.slow_seconds,
        )
        return make_worker(bot, resources)

    def record(self, owner: str = "web") -> AnsweringRecord:
        """The record of a process that answers webhooks."""
        return AnsweringRecord(
            database=self.database,
            owner=owner,
            clock=self.clock,
            read_time=self.clock.read_time,
            max_silence_seconds=900,
        )

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """A process answers webhooks, until it is killed."""
        recording = asyncio.create_task(self.record(secrets.token_hex(4)).run())
        try:
            yield
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)

    @asynccontextmanager
    async def working(self, *workers: Worker, is_answering: bool = True) -> AsyncIterator[None]:
        """Workers run beside a process that answers webhooks, and stop as after SIGTERM."""
        stop = asyncio.Event()
        running = [asyncio.create_task(worker.run(stop)) for worker in (workers or (self.worker(),))]
        try:
            async with self.answering() if is_answering else contextlib.nullcontext():
                yield
        finally:
            stop.set()
            with contextlib.suppress(RedisDown):  # they look up now, and not when their wait is over
                for _ in running:
                    await self.lanes.ring({NOBODY: 0.0})
            await asyncio.gather(*running)

    # what has become of it

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        self.is_written_by_hand |= not sql.lstrip().startswith(("SELECT", "WITH"))
        async with self.database.reading() as tx:
            return [tuple(row) for row in await tx.fetch(sql, values)]

    async def until(self, look: Callable[[], Any], seconds: float = 60) -> Any:
        """What `look` finds, once it finds something."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    if found := await look():
                        return found
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s: {await self.everything()}") from None

    async def everything(self) -> str:
        items = await self.rows("SELECT id, kind, fate, reason, attempts, late, error FROM item ORDER BY id")
        sends = await self.rows("SELECT id, origin, status, reason, attempts, resent, wamid FROM outbox ORDER BY id")
        return f"items {items} outbox {sends} asked {self.graph.texts()}"

    async def at_rest(self, seconds: float = 12) -> None:
        """Nothing is pending, and everything that can go out went out."""

        async def quiet() -> bool:
            # in one statement: between two, one may become the other
            return not await self.rows(
                "SELECT 1 FROM item WHERE fate = 'pending' "
                "UNION ALL SELECT 1 FROM outbox WHERE status IN ('queued', 'sending', 'unknown')"
            )

        await self.until(quiet, seconds)

    async def fates(self) -> list[tuple[str, str]]:
        """(fate, reason) of every item, in the order of arrival."""
        return [(row[0], row[1]) for row in await self.rows("SELECT fate, reason FROM item ORDER BY id")]

    async def sends(self) -> list[tuple[str, str]]:
        """(status, what is said of it) of every row of the outbox, in the order of sending."""
        rows = await self.rows("SELECT status, reason, detail FROM outbox ORDER BY version, id")
        return [(status, detail or reason) for status, reason, detail in rows]

    async def customers(self) -> dict[str, int]:
        """alias -> customer."""
        return dict(await self.rows("SELECT alias, customer_id FROM alias"))

    async def lane(self, phone: str = ANNE) -> ClaimedLane:
        """The lane of a customer as a process without a working copy claims it."""
        return ClaimedLane((await self.customers())[f"p:{phone}"], None, None)

    async def play(self, lanes: Sequence[ClaimedLane] = (), rounds: Rounds | None = None) -> None:
        """One round, without Redis."""
        await (rounds or self.rounds()).play(lanes or [await self.lane()])

    async def expect_true_records(self) -> None:
        """The event log and the kept counts agree with the tables that they tell about."""
        if not self.is_written_by_hand:
            assert find_disagreements(LoggedTables(*[await self.rows(sql) for sql in SELECTS])) == []
            assert await self.rows(LACKING) == [], "counts that lack something of what they count"

    async def counts(self) -> dict[str, int]:
        async with self.database.reading() as tx:
            found = (await kept_counts.count_items(tx))._asdict()
        assert found["received"] == found["done"] + found["ignored"] + found["dead"] + found["pending"]
        return found


@asynccontextmanager
async def open_world(database: Database, redis_url: str, folder: Path) -> AsyncIterator[World]:
    """A world on these servers, with a Graph API and a store of its own."""
    async with serving() as graph, open_http() as http, open_downloads(graph.url) as downloads:
        redis = open_redis(RedisSettings(redis_url))
        yield World(database, redis, graph, http, open_store("", folder), downloads)
        await redis.aclose()
