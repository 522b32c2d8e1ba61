"""A stage: customers and the stand-in on one side, the program under test on the other, both told of each other.

Invariant: a measurement ends when what came in is done, not when it was taken in. A program that only piles work up
gains nothing by it.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.bench.driver import Driver, Habits
from api.bench.figures import Round, percentile
from api.bench.graph_stand_in import Send, StandIn, StatusPlan, status_of
from api.bench.programs import Program, ProgramFailed, completed, environment, free_port, python, running
from api.bench.webhooks import Webhooks
from api.bench.wire import Broken, Client
from api.simulator.bodies import BusinessNumber, Person, make_wamid, messages_webhook, statuses_webhook
from api.simulator.message_bodies import MessageHead, text
from storage.sql.database import DatabaseSettings

NUMBER = BusinessNumber("555000000000001", "15550100000", "555000000000002")
SECRET, TOKEN, VERIFY = "bench-app-secret", "bench-access-token", "bench-verify-token"
POOL_SIZE = DatabaseSettings(url="").pool_size  # the bare loop gets as many connections as we have
DRAIN_SECONDS = 120
BATCH = 1000


@dataclass(slots=True)
class Batch:
    """Seconds until a batch was acknowledged, and until all of it was done."""

    acked: float
    done: float


@dataclass(slots=True)
class Stage:
    program: Program
    webhooks: Webhooks
    driver: Driver
    standin: StandIn
    ready_seconds: float
    api: Client
    key: str = ""
    answers: list[Send] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, customers: int, seconds: float) -> Round:
        """Load for `seconds`, then until everything is done."""
        await self._load(customers, min(2.0, seconds))
        self.driver.ack_seconds.clear()
        self.driver.reply_seconds.clear()
        statuses, busy, began = self.webhooks.delivered, time.process_time(), time.monotonic()
        cpu = self.program.cpu_seconds()
        await self._load(customers, seconds)
        took = time.monotonic() - began
        acks, replies = self.driver.ack_seconds, self.driver.reply_seconds
        return Round(
            program=self.program.name,
            steps=len(replies),
            seconds=took,
            statuses=self.webhooks.delivered - statuses - len(acks),
            ack_p50=percentile(acks, 50),
            ack_p99=percentile(acks, 99),
            reply_p50=percentile(replies, 50),
            reply_p99=percentile(replies, 99),
            driver_busy=(time.process_time() - busy) / took,
            program_busy=(self.program.cpu_seconds() - cpu) / took,
            ready_seconds=self.ready_seconds,
            problems=tuple(self.driver.problems),
        )

    async def _load(self, customers: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self.driver.stop)
        await self.driver.play(customers)
        await self.drained()

    async def drained(self) -> None:
        """Until every webhook is acknowledged and, where there is a journal, nothing in it is pending."""
        async with asyncio.timeout(DRAIN_SECONDS):
            await self.webhooks.settled()
            while self.key and await self._pending():  # noqa: ASYNC110 - it is another process that works
                await asyncio.sleep(0.02)

    async def _pending(self) -> int:
        headers = f"Authorization: Bearer {self.key}\r\n".encode()
        try:
            answer = await self.api.ask("GET", "/api/whatsapp/status", headers=headers)
            return int(json.loads(answer.body)["data"]["journal"]["pending"])
        except (OSError, TimeoutError, Broken, ValueError, KeyError, TypeError) as error:
            raise ProgramFailed(f"GET /api/whatsapp/status can't be read: {error!r}") from error

    async def memory(self, customers: int, steps: int, readings: int = 4) -> list[tuple[int, float]]:
        """Resident MiB at rest, then after each part of `steps`."""
        seen = [(0, self.program.resident_mib())]
        before = self.driver.steps
        while self.driver.steps - before < steps:
            await self.driver.play(customers, steps=before + steps * len(seen) // readings)
            await self.drained()
            seen.append((self.driver.steps - before, self.program.resident_mib()))
            if self.driver.problems:
                break
        return seen

    async def batches(self) -> tuple[Batch, Batch]:
        """A thousand messages of a thousand customers in one body; then a thousand statuses in one."""
        self.standin.plan = StatusPlan(count=0)
        people = [self.driver.newcomer().person for _ in range(BATCH)]
        now = int(time.time())
        hello = [text(MessageHead(person, make_wamid(person.wa_id, os.urandom(8)), now), "Hi") for person in people]
        first = await self._batch(messages_webhook(NUMBER, people, hello), answers=BATCH)
        statuses = [status_of(send, "delivered") for send in self.answers]
        recipients = [Person(wa_id=send.customer) for send in self.answers]
        second = await self._batch(statuses_webhook(NUMBER, statuses, recipients), answers=0)
        return first, second

    async def _batch(self, body: bytes, *, answers: int) -> Batch:
        if answers:
            self.answers.clear()
        delivery = await self.webhooks.deliver(body)
        async with asyncio.timeout(DRAIN_SECONDS):
            while len(self.answers) < answers:
                self.answered.clear()
                await self.answered.wait()
        await self.drained()
        done = time.monotonic() - delivery.posted_at
        return Batch(delivery.acked_at - delivery.posted_at, done)

    def heard(self, send: Send) -> None:
        if not self.standin.plan.count:
            self.answers.append(send)
            self.answered.set()
        self.driver.heard(send)

    async def read(self, send: Send) -> None:
        """A customer answers what they have read, and their phone has reported that by then."""
        if report := self.standin.statuses.get(send.wamid):
            await report


@asynccontextmanager
async def staged(
    name: str,
    folder: Path,
    database_url: str,
    redis_url: str,
    *,
    habits: Habits,
    pool_size: int = POOL_SIZE,
    per_second: float = 0.0,
    on_request: Callable[[str, str, bytes], None] = lambda method, path, body: None,
) -> AsyncIterator[Stage]:
    """`name`: "tick" or "bare". Starts it on an empty database and waits until it is ready. `per_second`: how much it
    may send; 0 is no limit, since our Meta has none. `on_request` hears what it asks of Meta."""
    port, graph_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        WHATSAPP_API_URL=f"http://127.0.0.1:{graph_port}/v25.0", WHATSAPP_PHONE_NUMBER_ID=NUMBER.phone_number_id,
        WHATSAPP_ACCESS_TOKEN=TOKEN, WHATSAPP_VERIFY_TOKEN=VERIFY, WHATSAPP_APP_SECRET=SECRET,
        DATABASE_URL=database_url, REDIS_URL=redis_url, DATA_DIR=str(folder / "data"), HOST="127.0.0.1",
        PORT=str(port), BURST_SECONDS="0", RECEIPT_SECONDS="0", LOG_LEVEL="warning",
        WHATSAPP_MESSAGES_PER_SECOND=str(per_second),
    )  # fmt: skip
    key, argv = "", python("api", "serve")
    if name == "tick":
        await completed(python("api", "migrate"), folder=folder, env=env)
        made = await completed(python("api", "key", "create", "bench", "--role", "admin"), folder=folder, env=env)
        key = made.strip().splitlines()[-1].strip()
    else:
        argv = python("api.bench.baseline", "--port", str(port), "--database", database_url, "--redis", redis_url)
        argv += ["--pool-size", str(pool_size)]
    webhooks, api = Webhooks(url, SECRET), Client(url)
    stages: list[Stage] = []
    driver = Driver(NUMBER, webhooks, habits=habits, settled=lambda send: stages[0].read(send))
    standin = StandIn(
        NUMBER, webhooks, plan=StatusPlan(), on_send=lambda send: stages[0].heard(send), on_request=on_request
    )
    await standin.listen(graph_port)
    try:
        async with running(name, argv, folder=folder, env=env) as program:
            ready = await program.ready(url, "/readyz" if key else "/", status=200 if key else None)
            stages.append(Stage(program, webhooks, driver, standin, ready, api, key))
            yield stages[0]
            await webhooks.close()
    finally:
        await webhooks.close()
        await standin.close()
        api.close()
