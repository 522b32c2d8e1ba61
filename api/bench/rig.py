"""Sets up the rig of a benchmark and measures on it: load driver and stand-in for Meta around the program under test.

Invariants
- A measurement ends when what came in is done, not when it was taken in. A program that only piles work up gains
  nothing by it.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from api.bench.customers import Habits
from api.bench.driver import LoadDriver
from api.bench.figures import ProgramRun, percentile
from api.bench.graph_stand_in import AcceptedSend, GraphStandIn, StatusPlan, build_status
from api.bench.programs import (
    Program,
    ProgramFailed,
    build_environment,
    build_python_command,
    find_free_port,
    run_command,
    run_program,
)
from api.bench.webhooks import Webhooks
from api.bench.wire import Client, ConnectionBroken
from api.simulator.bodies import BusinessNumber, Person, build_messages_webhook, build_statuses_webhook, make_wamid
from api.simulator.message_bodies import MessageHead, text
from storage.sql.database import DatabaseSettings

NUMBER = BusinessNumber("555000000000001", "15550100000", "555000000000002")
SECRET, TOKEN, VERIFY = "bench-app-secret", "bench-access-token", "bench-verify-token"
POOL_SIZE = DatabaseSettings(url="").pool_size  # the baseline gets as many connections as Tick has
DRAIN_SECONDS = 120
BATCH_SIZE = 1000


@dataclass(slots=True)
class Batch:
    """How long a batch of webhooks took, in seconds: until all were acknowledged, and until all of it was done."""

    acked: float
    done: float


class MemoryReading(NamedTuple):
    """The resident memory of the program after so many steps (messages of customers that were answered)."""

    steps: int
    resident_mib: float


@dataclass(slots=True)
class Rig:
    """A program under test that is ready, and everything that plays its surroundings.

    `key`: an API key, where the program has a journal to ask about; `answers`: the messages that a batch has brought.
    """

    program: Program
    webhooks: Webhooks
    driver: LoadDriver
    graph: GraphStandIn
    ready_seconds: float
    api: Client
    key: str = ""
    answers: list[AcceptedSend] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def measure(self, customers: int, seconds: float) -> ProgramRun:
        """Measures a load of `seconds`, until everything of it is done, after a warm-up."""
        await self._load(customers, min(2.0, seconds))
        self.driver.ack_seconds.clear()
        self.driver.reply_seconds.clear()
        statuses, busy, began = self.webhooks.delivered, time.process_time(), time.monotonic()
        cpu = self.program.read_cpu_seconds()
        await self._load(customers, seconds)
        took = time.monotonic() - began
        acks, replies = self.driver.ack_seconds, self.driver.reply_seconds
        return ProgramRun(
            program=self.program.name,
            steps=len(replies),
            seconds=took,
            statuses=self.webhooks.delivered - statuses - len(acks),
            ack_p50=percentile(acks, 50),
            ack_p99=percentile(acks, 99),
            reply_p50=percentile(replies, 50),
            reply_p99=percentile(replies, 99),
            driver_busy=(time.process_time() - busy) / took,
            program_busy=(self.program.read_cpu_seconds() - cpu) / took,
            ready_seconds=self.ready_seconds,
            problems=tuple(self.driver.problems),
        )

    async def _load(self, customers: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self.driver.stop)
        await self.driver.play(customers)
        await self.wait_until_drained()

    async def wait_until_drained(self) -> None:
        """Waits until every webhook is acknowledged and, where there is a journal, nothing in it is pending."""
        async with asyncio.timeout(DRAIN_SECONDS):
            await self.webhooks.wait_until_settled()
            while self.key and await self._read_pending():  # noqa: ASYNC110 - it is another process that works
                await asyncio.sleep(0.02)

    async def _read_pending(self) -> int:
        headers = f"Authorization: Bearer {self.key}\r\n".encode()
        try:
            answer = await self.api.ask("GET", "/api/whatsapp/status", headers=headers)
            return int(json.loads(answer.body)["data"]["journal"]["pending"])
        except (OSError, TimeoutError, ConnectionBroken, ValueError, KeyError, TypeError) as error:
            raise ProgramFailed(f"GET /api/whatsapp/status can't be read: {error!r}") from error

    async def measure_memory(self, customers: int, steps: int, readings: int = 4) -> list[MemoryReading]:
        """Reads the memory at rest, then after each part of `steps`."""
        seen = [MemoryReading(0, self.program.read_resident_mib())]
        before = self.driver.steps
        while self.driver.steps - before < steps:
            await self.driver.play(customers, steps=before + steps * len(seen) // readings)
            await self.wait_until_drained()
            seen.append(MemoryReading(self.driver.steps - before, self.program.read_resident_mib()))
            if self.driver.problems:
                break
        return seen

    async def measure_batches(self) -> tuple[Batch, Batch]:
        """Measures a thousand messages of a thousand customers in one body; then a thousand statuses in one."""
        self.graph.plan = StatusPlan(count=0)
        people = [self.driver.make_customer().person for _ in range(BATCH_SIZE)]
        now = int(time.time())
        hello = [text(MessageHead(person, make_wamid(person.wa_id, os.urandom(8)), now), "Hi") for person in people]
        first = await self._measure_batch(build_messages_webhook(NUMBER, people, hello), answers=BATCH_SIZE)
        statuses = [build_status(send, "delivered") for send in self.answers]
        recipients = [Person(wa_id=send.customer) for send in self.answers]
        second = await self._measure_batch(build_statuses_webhook(NUMBER, statuses, recipients), answers=0)
        return first, second

    async def _measure_batch(self, body: bytes, *, answers: int) -> Batch:
        if answers:
            self.answers.clear()
        delivery = await self.webhooks.deliver(body)
        async with asyncio.timeout(DRAIN_SECONDS):
            while len(self.answers) < answers:
                self.answered.clear()
                await self.answered.wait()
        await self.wait_until_drained()
        done = time.monotonic() - delivery.posted_at
        return Batch(delivery.acked_at - delivery.posted_at, done)

    def receive(self, send: AcceptedSend) -> None:
        """Hands a message to the driver, and counts it while a batch is measured."""
        if not self.graph.plan.count:
            self.answers.append(send)
            self.answered.set()
        self.driver.receive(send)

    async def wait_until_read(self, send: AcceptedSend) -> None:
        """Waits until a message is reported as read: a customer answers what they have read."""
        if report := self.graph.statuses.get(send.wamid):
            await report


@asynccontextmanager
async def set_up_rig(
    name: str,
    folder: Path,
    database_url: str,
    redis_url: str,
    *,
    habits: Habits,
    pool_size: int = POOL_SIZE,
    per_second: float = 0.0,
    on_request: Callable[[str, str, bytes], None] = lambda method, path, body: None,
) -> AsyncIterator[Rig]:
    """Starts a program on an empty database and yields the rig once it is ready. `name`: "tick", or "bare" for the
    baseline.

    `per_second`: how much it may send; 0 is no limit, since the stand-in has none. `on_request` is called with what it
    asks of Meta.
    """
    port, graph_port = find_free_port(), find_free_port()
    url = f"http://127.0.0.1:{port}"
    env = _build_settings(database_url, redis_url, folder, port=port, graph_port=graph_port, per_second=per_second)
    key = ""
    if name == "tick":
        key = await _migrate_and_create_key(folder, env)
        argv = build_python_command("api", "serve")
    else:
        argv = build_python_command("api.bench.baseline", "--port", str(port), "--database", database_url)
        argv += ["--redis", redis_url, "--pool-size", str(pool_size)]
    webhooks, api = Webhooks(url, SECRET), Client(url)
    rigs: list[Rig] = []  # the one, once its program is ready
    driver = LoadDriver(NUMBER, webhooks, habits=habits, before_answer=lambda send: rigs[0].wait_until_read(send))
    graph = GraphStandIn(
        NUMBER, webhooks, plan=StatusPlan(), on_send=lambda send: rigs[0].receive(send), on_request=on_request
    )
    await graph.listen(graph_port)
    try:
        async with run_program(name, argv, folder=folder, env=env) as program:
            ready = await program.wait_until_ready(url, "/readyz" if key else "/", status=200 if key else None)
            rig = Rig(
                program=program, webhooks=webhooks, driver=driver, graph=graph, api=api, key=key, ready_seconds=ready
            )
            rigs.append(rig)
            yield rig
            await webhooks.close()
    finally:
        await webhooks.close()
        await graph.close()
        api.close()


def _build_settings(
    database_url: str, redis_url: str, folder: Path, *, port: int, graph_port: int, per_second: float
) -> Mapping[str, str]:
    return build_environment(
        WHATSAPP_API_URL=f"http://127.0.0.1:{graph_port}/v25.0", WHATSAPP_PHONE_NUMBER_ID=NUMBER.phone_number_id,
        WHATSAPP_ACCESS_TOKEN=TOKEN, WHATSAPP_VERIFY_TOKEN=VERIFY, WHATSAPP_APP_SECRET=SECRET,
        DATABASE_URL=database_url, REDIS_URL=redis_url, DATA_DIR=str(folder / "data"), HOST="127.0.0.1",
        PORT=str(port), BURST_SECONDS="0", RECEIPT_SECONDS="0", LOG_LEVEL="warning",
        WHATSAPP_MESSAGES_PER_SECOND=str(per_second),
    )  # fmt: skip


async def _migrate_and_create_key(folder: Path, env: Mapping[str, str]) -> str:
    """Prepares Tick's database; returns the API key that it printed."""
    await run_command(build_python_command("api", "migrate"), folder=folder, env=env)
    create = build_python_command("api", "key", "create", "bench", "--role", "admin")
    return (await run_command(create, folder=folder, env=env)).strip().splitlines()[-1].strip()
