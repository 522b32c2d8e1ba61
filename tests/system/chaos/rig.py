"""One run of the chaos rig: a service with two workers, forty customers, and a worker killed each second.

Invariants
- Everything that the judge gets was seen from outside: through the webhook, the Graph API and the agents' API.
- Everything that was started is ended, whatever happens.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.bench.customers import Customer, Habits, SentMessage
from api.bench.driver import LoadDriver
from api.bench.graph_stand_in import GraphStandIn, StatusPlan
from api.bench.programs import build_environment, find_free_port, run_command, run_program
from api.bench.webhooks import Webhooks
from api.bench.wire import Client
from api.simulator.bodies import BusinessNumber, Person, build_messages_webhook, make_wamid
from api.simulator.message_bodies import MessageHead, text
from storage.journal import MAX_ATTEMPTS
from tests.support.openapi import contract
from tests.system.chaos.judge import Evidence, read_log
from tests.system.chaos.workers import ForkServer, WorkerPool
from tests.system.chaos.yardstick import measure_slowness

NUMBER = BusinessNumber("555000000000001", "15550100000", "555000000000002")
SECRET = "rig-app-secret"
SETTLED_SECONDS = 2.0  # everybody is talking by then, or again
DEADLY_WORDS = "These words end whoever reads them"
DEADLY_PERSON = Person("Deadly", wa_id="15550199999")
TICK = (sys.executable, "-m", "api")


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """What happens in a run. Kills go on until there are `kills`, and `min_kills_per_phase` of each phase, but no more
    than `max_kills`; `in_the_middle` is called once, after half of the kills. `doubled`: the fraction of webhooks that
    come twice; `trouble`: what happens instead of the kills; `first_worker_env`: what is other for the
    first of them.
    """

    customers: int = 40
    workers: int = 2
    kills: int = 30
    min_kills_per_phase: int = 3
    max_kills: int = 60
    kill_every_seconds: float = 1.0
    stalls: int = 5
    stalled_worker_seconds: float = 2.0
    doubt_seconds: int = 8
    stall_seconds: float = 6.0
    pause_seconds: float = 0.6
    max_status_delay_seconds: float = 4.0
    doubled: float = 0.1
    seed: int = 1
    in_the_middle: Callable[[], None] | None = None
    is_deadly: bool = False  # a message comes that kills whoever plays its turn
    web_processes: int = 1
    trouble: Callable[[WorkerPool, LoadDriver], Awaitable[None]] | None = None
    first_worker_env: Mapping[str, str] = field(default_factory=dict)


class AgentReader:
    """Reads over the agents' API."""

    def __init__(self, url: str, key: str) -> None:
        self._client = Client(url)
        self._headers = f"Authorization: Bearer {key}\r\n".encode()

    async def read(self, path: str) -> Any:
        """Returns the data of a GET."""
        answer = await self._client.ask("GET", path, headers=self._headers)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return json.loads(answer.body)["data"]

    async def read_tickets(self) -> list[dict[str, Any]]:
        """Returns every ticket, page by page."""
        found: list[dict[str, Any]] = []
        while page := await self.read(f"/api/tickets?limit=100&page={len(found) // 100 + 1}"):
            found += page
            if len(page) < 100:
                break
        return found

    async def read_replies(self, ticket_id: int) -> list[dict[str, Any]]:
        """Returns what was said in a ticket, oldest first."""
        replies: list[dict[str, Any]] = await self.read(f"/api/replies/{ticket_id}")
        return replies

    async def is_committed(self, customer: Customer, sent: SentMessage) -> bool | None:
        """Whether the turn of a message can be seen; None where it leaves nothing that an agent sees."""
        if sent.kind == "submit":
            return bool(await self.read(f"/api/tickets?mobile=%2B{sent.customer}"))
        if sent.kind == "follow_up":
            return any(reply["message"] == sent.text for reply in await self.read_replies(customer.ticket_id))
        return None

    async def is_at_rest(self) -> bool:
        """Whether nothing in the journal is pending."""
        pending: int = (await self.read("/api/whatsapp/status"))["journal"]["pending"]
        return pending == 0

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


def check_request(method: str, path: str, body: bytes) -> None:
    """Holds a request of the service against Meta's OpenAPI document."""
    contract.record_request(method, path, {}, body)


async def run_chaos(plan: ChaosPlan, folder: Path, *, database_url: str, redis_url: str) -> Evidence:
    """Plays the plan against a service on an empty database and Redis; returns the evidence for the judge."""
    port, graph_port = find_free_port(), find_free_port()
    url = f"http://127.0.0.1:{port}"
    env = build_environment(
        WHATSAPP_API_URL=f"http://127.0.0.1:{graph_port}/v25.0", WHATSAPP_PHONE_NUMBER_ID=NUMBER.phone_number_id,
        WHATSAPP_ACCESS_TOKEN="rig-access-token", WHATSAPP_VERIFY_TOKEN="rig-verify-token",
        WHATSAPP_APP_SECRET=SECRET, DATABASE_URL=database_url, REDIS_URL=redis_url, DATA_DIR=str(folder / "data"),
        HOST="127.0.0.1", PORT=str(port), BURST_SECONDS="0", RECEIPT_SECONDS="0",
        DOUBT_SECONDS=str(plan.doubt_seconds), LOG_LEVEL="debug", WHATSAPP_MESSAGES_PER_SECOND="0",
        DEADLY_WORDS=DEADLY_WORDS if plan.is_deadly else "",
    )  # fmt: skip
    await run_command([*TICK, "migrate"], folder=folder, env=env)
    printed = await run_command([*TICK, "key", "create", "rig", "--role", "admin"], folder=folder, env=env)
    desk = AgentReader(url, printed.strip().splitlines()[-1].strip())
    webhooks = Webhooks(url, SECRET, doubled=plan.doubled, seed=plan.seed)
    driver_log, standin_log = folder / "driver.jsonl", folder / "standin.jsonl"
    patience = 2 * plan.doubt_seconds + plan.stall_seconds + 35  # the judge is stricter; who gives up is not judged
    driver = LoadDriver(
        NUMBER,
        webhooks,
        habits=Habits(
            follow_ups=6,
            burst=2,
            pause_seconds=plan.pause_seconds,
            patience_seconds=patience,
            stall_seconds=plan.stall_seconds,
        ),
        log=driver_log,
        seed=plan.seed,
        on_stall=desk.is_committed,
    )
    late = StatusPlan(min_seconds=0.0, max_seconds=plan.max_status_delay_seconds, shuffled=True)
    standin = GraphStandIn(
        NUMBER, webhooks, plan=late, on_send=driver.receive, log=standin_log, seed=plan.seed, on_request=check_request
    )
    fork_server = await ForkServer.start(env)
    pool = WorkerPool(fork_server, count=plan.workers, env=env, folder=folder, first_worker_env=plan.first_worker_env)
    processes = ("--processes", str(plan.web_processes)) if plan.web_processes > 1 else ()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fork_server.close)
        stack.callback(desk.close)
        stack.push_async_callback(standin.close)
        stack.callback(driver.close)
        stack.push_async_callback(webhooks.close)
        await standin.listen(graph_port)
        stack.push_async_callback(pool.stop)
        await pool.start()
        serve = await stack.enter_async_context(
            run_program("serve", [*TICK, "serve", "--no-worker", *processes], folder=folder, env=env)
        )
        await serve.wait_until_ready(url, "/readyz")
        playing = asyncio.create_task(driver.play(plan.customers))
        async with measure_slowness() as yardstick:
            try:
                if plan.is_deadly:
                    await write_deadly_words(pool, webhooks)
                else:
                    await (plan.trouble(pool, driver) if plan.trouble else kill_workers(pool, plan))
            finally:
                driver.stop()
            await playing
        await webhooks.wait_until_settled()
        async with asyncio.timeout(90):
            while not await desk.is_at_rest():
                await asyncio.sleep(0.05)
        tickets = await desk.read_tickets()
        replies = {int(ticket["id"]): await desk.read_replies(int(ticket["id"])) for ticket in tickets}
    return Evidence(
        driver=read_log(driver_log.read_text()),
        standin=[send for send in read_log(standin_log.read_text()) if send["customer"] != DEADLY_PERSON.wa_id],
        tickets=tickets,
        replies=replies,
        kills=pool.kills,
        stalls=pool.stalls,
        stall_seconds=plan.stall_seconds * yardstick.stretch,
        doubt_seconds=plan.doubt_seconds,
    )


async def kill_workers(pool: WorkerPool, plan: ChaosPlan) -> None:
    """Kills a worker each `kill_every_seconds`, until there are enough kills, in all and of each phase; now and then it
    stalls one for longer than its lease, and lets it go on."""
    in_the_middle = plan.in_the_middle
    while len(pool.kills) < plan.kills or (
        len(pool.kills) < plan.max_kills
        and any(
            pool.count_kills()[phase] < plan.min_kills_per_phase
            for phase in ("claimed", "transaction", "sending", "marking")
        )
    ):
        next_at = time.monotonic() + plan.kill_every_seconds
        if pool.stalls < plan.stalls and len(pool.kills) > pool.stalls * plan.kills // plan.stalls:
            half = plan.kill_every_seconds / 2
            await pool.stall_one(settled_seconds=0.3, wait_seconds=half, stall_seconds=plan.stalled_worker_seconds)
        await pool.kill_one(settled_seconds=0.3, wait_seconds=plan.kill_every_seconds / 2)
        if in_the_middle and len(pool.kills) >= plan.kills // 2:
            in_the_middle()
            in_the_middle = None
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))


async def write_deadly_words(pool: WorkerPool, webhooks: Webhooks) -> None:
    """Writes, beside the others, what ends each worker that plays it, and starts those anew until it is given up."""
    async with asyncio.timeout(60):
        while any(worker.working_since is None for worker in pool.workers):
            await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLED_SECONDS)
    head = MessageHead(DEADLY_PERSON, make_wamid(DEADLY_PERSON.wa_id, b"deadly"), int(time.time()))
    await webhooks.deliver(build_messages_webhook(NUMBER, [DEADLY_PERSON], [text(head, DEADLY_WORDS)]))
    deaths = 0
    async with asyncio.timeout(180):
        while deaths < MAX_ATTEMPTS:
            deaths += await pool.replace_dead()
            await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLED_SECONDS)
