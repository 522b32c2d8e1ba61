"""Workers that stand still in the middle of a transaction: frozen (SIGSTOP), or cut off from MariaDB without a word.

Invariants
- Whom a worker had in its hands while it stood still is read from Redis as it was, not guessed.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pymysql
import redis.asyncio

from api.bench.driver import LoadDriver
from storage.sql.mysql_url import parse_mysql_url
from tests.system.chaos.judge import Evidence
from tests.system.chaos.workers import Worker, WorkerPool

LOOK_SECONDS = 0.1
SETTLED_SECONDS = 1.0
CATCH_SECONDS = 10.0


class SilentProxy:
    """A TCP proxy that can fall silent: it passes nothing on any more, and closes nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._passes = asyncio.Event()
        self._passes.set()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def listen(self) -> None:
        """Listens on a port of its own."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def fall_silent(self) -> None:
        """Passes nothing on from now on."""
        self._passes.clear()

    def go_on(self) -> None:
        """Passes on what has waited."""
        self._passes.set()

    async def close(self) -> None:
        """Stops listening, and ends what it passes on."""
        if self._server is not None:
            self._server.close()
        self._passes.set()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        await self._passes.wait()
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        passing = [asyncio.create_task(self._pass(reader, ours)), asyncio.create_task(self._pass(theirs, writer))]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            writer.close()
            ours.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._passes.wait()
                writer.write(data)


@dataclass(frozen=True, slots=True)
class Stillness:
    """A worker stood still from `began` to `ended`, by the wall clock; `phones` are those whom it had meanwhile."""

    began: float
    ended: float
    phones: frozenset[str]


@dataclass(slots=True)
class Stillnesses:
    """Has a worker stand still `times` times, each for `seconds`: frozen, or where there is a `proxy`, the first worker
    cut off from the database."""

    times: int
    seconds: float
    database_url: str
    redis_url: str
    proxy: SilentProxy | None = None
    seen: list[Stillness] = field(default_factory=list)

    async def bring_about(self, pool: WorkerPool, driver: LoadDriver) -> None:
        """Does so, one after the other; the driver goes on meanwhile."""
        reader = redis.asyncio.Redis.from_url(self.redis_url)
        try:
            while len(self.seen) < self.times:
                await asyncio.sleep(SETTLED_SECONDS)
                worker = pool.workers[0] if self.proxy else pool.workers[len(self.seen) % len(pool.workers)]
                if not await worker.hold_in("transaction", CATCH_SECONDS, pool.random):
                    continue
                began = time.time()
                if self.proxy:
                    self.proxy.fall_silent()
                    worker.release()
                held = await self._watch(reader, worker)
                (self.proxy.go_on if self.proxy else worker.release)()
                phones = await asyncio.to_thread(self._find_phones, held)
                self.seen.append(Stillness(began, time.time(), frozenset(phones)))
                await asyncio.sleep(SETTLED_SECONDS)
        finally:
            await reader.aclose()

    async def _watch(self, reader: "redis.asyncio.Redis", worker: Worker) -> set[int]:
        held: set[int] = set()
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            found = cast(dict[bytes, bytes], await reader.hgetall("tick:owner"))
            owners = {int(lane): owner.decode() for lane, owner in found.items()}
            held |= {lane for lane, owner in owners.items() if owner.startswith(f"{worker.owner}|")}
            await asyncio.sleep(LOOK_SECONDS)
        return held

    def _find_phones(self, customer_ids: set[int]) -> set[str]:
        connection = pymysql.connect(**parse_mysql_url(self.database_url)._asdict(), autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT alias, customer_id FROM alias WHERE alias LIKE 'p:%'")
            return {alias.removeprefix("p:") for alias, customer_id in cursor.fetchall() if customer_id in customer_ids}


def measure_waits(evidence: Evidence, seen: Sequence[Stillness]) -> dict[str, Any]:
    """Measures how long those waited for their answers who wrote while a worker stood still, by whether it had them."""
    waits: dict[bool, list[float]] = {True: [], False: []}
    answers: dict[str, list[float]] = {}
    for send in sorted(evidence.standin, key=lambda send: float(send["at"])):
        answers.setdefault(str(send["customer"]), []).append(float(send["at"]))
    sent: dict[str, list[Mapping[str, Any]]] = {}
    for event in evidence.driver:
        if event["event"] == "sent":
            sent.setdefault(str(event["customer"]), []).append(event)
    for customer, events in sent.items():
        ordered = sorted(events, key=lambda event: int(event["n"]))
        for event, answered_at in zip(ordered, answers.get(customer, []), strict=False):
            acked_at = float(event["acked_at"])
            for still in seen:
                if acked_at < still.ended and answered_at > still.began:
                    waits[customer in still.phones].append(max(0.0, answered_at - acked_at))
    return {
        "stillnesses": len(seen),
        "others": len(waits[False]),
        "others_wait_most": round(max(waits[False], default=0.0), 2),
        "its_own": len(waits[True]),
        "its_own_wait_most": round(max(waits[True], default=0.0), 2),
    }
