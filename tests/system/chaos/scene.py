"""One run of the rig: a service with two workers, forty customers, and a worker killed each second.

Invariant: everything that the judge is given was seen from outside, through the webhook, the Graph API and the agents'
API; everything that was started is ended, whatever happens.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.bench.driver import Customer, Driver, Habits, Said
from api.bench.graph_stand_in import StandIn, StatusPlan
from api.bench.programs import completed, environment, free_port, running
from api.bench.webhooks import Webhooks
from api.bench.wire import Client
from api.simulator.bodies import BusinessNumber
from tests.support.openapi import contract
from tests.system.chaos.judge import Evidence, read_log
from tests.system.chaos.workers import Crew, Nursery

NUMBER = BusinessNumber("555000000000001", "15550100000", "555000000000002")
SECRET = "rig-app-secret"
TICK = (sys.executable, "-m", "api")


@dataclass(frozen=True, slots=True)
class Plan:
    """`in_the_middle` is called once, after half of the kills."""

    customers: int = 40
    workers: int = 2
    kills: int = 30
    hits_of_each: int = 3
    most_kills: int = 60
    kill_every_seconds: float = 1.0
    stalls: int = 5
    stalled_worker_seconds: float = 2.0
    doubt_seconds: int = 8
    stall_seconds: float = 6.0
    pause_seconds: float = 0.6
    late_seconds: float = 4.0
    doubled: float = 0.1
    seed: int = 1
    in_the_middle: Callable[[], None] | None = None


class Desk:
    """An agent who reads."""

    def __init__(self, url: str, key: str) -> None:
        self._client = Client(url)
        self._headers = f"Authorization: Bearer {key}\r\n".encode()

    async def read(self, path: str) -> Any:
        answer = await self._client.ask("GET", path, headers=self._headers)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return json.loads(answer.body)["data"]

    async def tickets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while page := await self.read(f"/api/tickets?limit=100&page={len(found) // 100 + 1}"):
            found += page
            if len(page) < 100:
                break
        return found

    async def replies(self, ticket_id: int) -> list[dict[str, Any]]:
        replies: list[dict[str, Any]] = await self.read(f"/api/replies/{ticket_id}")
        return replies

    async def committed(self, customer: Customer, said: Said) -> bool | None:
        """Whether the turn of a message can be seen; None where nothing of it shows at the desk."""
        if said.kind == "submit":
            return bool(await self.read(f"/api/tickets?mobile=%2B{said.customer}"))
        if said.kind == "follow_up":
            return any(reply["message"] == said.text for reply in await self.replies(customer.ticket_id))
        return None

    async def at_rest(self) -> bool:
        pending: int = (await self.read("/api/whatsapp/status"))["journal"]["pending"]
        return pending == 0

    def close(self) -> None:
        self._client.close()


def seen(method: str, path: str, body: bytes) -> None:
    """A request is held against Meta's document."""
    contract.record_request(method, path, {}, body)


async def play(plan: Plan, folder: Path, *, database_url: str, redis_url: str) -> Evidence:
    """Runs it; the evidence for the judge."""
    port, graph_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        WHATSAPP_API_URL=f"http://127.0.0.1:{graph_port}/v25.0", WHATSAPP_PHONE_NUMBER_ID=NUMBER.phone_number_id,
        WHATSAPP_ACCESS_TOKEN="rig-access-token", WHATSAPP_VERIFY_TOKEN="rig-verify-token",
        WHATSAPP_APP_SECRET=SECRET, DATABASE_URL=database_url, REDIS_URL=redis_url, DATA_DIR=str(folder / "data"),
        HOST="127.0.0.1", PORT=str(port), BURST_SECONDS="0", RECEIPT_SECONDS="0",
        DOUBT_SECONDS=str(plan.doubt_seconds), LOG_LEVEL="debug", WHATSAPP_MESSAGES_PER_SECOND="0",
    )  # fmt: skip
    await completed([*TICK, "migrate"], folder=folder, env=env)
    made = await completed([*TICK, "key", "create", "rig", "--role", "admin"], folder=folder, env=env)
    desk = Desk(url, made.strip().splitlines()[-1].strip())
    webhooks = Webhooks(url, SECRET, doubled=plan.doubled, seed=plan.seed)
    driver_log, standin_log = folder / "driver.jsonl", folder / "standin.jsonl"
    patience = 2 * plan.doubt_seconds + plan.stall_seconds + 5
    driver = Driver(
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
        stalled=desk.committed,
    )
    late = StatusPlan(least_seconds=0.0, most_seconds=plan.late_seconds, shuffled=True)
    standin = StandIn(
        NUMBER, webhooks, plan=late, on_send=driver.heard, log=standin_log, seed=plan.seed, on_request=seen
    )
    nursery = await Nursery.open(env)
    crew = Crew(nursery, count=plan.workers, env=env, folder=folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(nursery.close)
        stack.callback(desk.close)
        stack.push_async_callback(standin.close)
        stack.callback(driver.close)
        stack.push_async_callback(webhooks.close)
        await standin.listen(graph_port)
        stack.push_async_callback(crew.stop)
        await crew.start()
        serve = await stack.enter_async_context(
            running("serve", [*TICK, "serve", "--no-worker"], folder=folder, env=env)
        )
        await serve.ready(url, "/readyz")
        playing = asyncio.create_task(driver.play(plan.customers))
        try:
            await kill(crew, plan)
        finally:
            driver.stop()
        await playing
        await webhooks.settled()
        async with asyncio.timeout(30):
            while not await desk.at_rest():
                await asyncio.sleep(0.05)
        tickets = await desk.tickets()
        replies = {int(ticket["id"]): await desk.replies(int(ticket["id"])) for ticket in tickets}
    return Evidence(
        driver=read_log(driver_log.read_text()),
        standin=read_log(standin_log.read_text()),
        tickets=tickets,
        replies=replies,
        kills=crew.kills,
        stalls=crew.stalls,
        stall_seconds=plan.stall_seconds,
        doubt_seconds=plan.doubt_seconds,
    )


async def kill(crew: Crew, plan: Plan) -> None:
    """One kill each `kill_every_seconds`, until there are enough of them and of each phase; now and then a worker that
    stalls for longer than its lease lasts, and wakes."""
    in_the_middle = plan.in_the_middle
    while len(crew.kills) < plan.kills or (
        len(crew.kills) < plan.most_kills
        and any(crew.hits()[phase] < plan.hits_of_each for phase in ("claimed", "transaction", "sending", "marking"))
    ):
        next_at = time.monotonic() + plan.kill_every_seconds
        if crew.stalls < plan.stalls and len(crew.kills) > crew.stalls * plan.kills // plan.stalls:
            half = plan.kill_every_seconds / 2
            await crew.stall_one(settled_seconds=0.3, wait_seconds=half, stall_seconds=plan.stalled_worker_seconds)
        await crew.kill_one(settled_seconds=0.3, wait_seconds=plan.kill_every_seconds / 2)
        if in_the_middle and len(crew.kills) >= plan.kills // 2:
            in_the_middle()
            in_the_middle = None
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))
