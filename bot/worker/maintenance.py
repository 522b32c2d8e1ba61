"""What a process does beside its lanes: it says that it is alive, finds work that nobody was told of, and tidies up.

Invariants: what Redis forgets, the sweep finds in SQL within a second or two; nothing that goes wrong here stops a
loop, or reaches the work itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import structlog

from bot.clock import Clock
from bot.delivery.circuit_breaker import CircuitBreaker
from storage import journal, outbox
from storage.redis.client import RedisDown
from storage.redis.lanes import BEAT_SECONDS, Lanes
from storage.sql.database import Database, DatabaseDown

MOST_SWEPT = 1000
RETAIN_SECONDS = 3600.0
MOST_RETAINED = 500
MOST_BATCHES = 1000
log = structlog.get_logger(__name__)


class Upkeep:
    """The background of one process."""

    def __init__(
        self, database: Database, lanes: Lanes, clock: Clock, breaker: CircuitBreaker, sweep_seconds: float
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._clock = clock
        self._breaker = breaker
        self._sweep_seconds = sweep_seconds
        self._idle = False  # there is nothing to send

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        """Each to be run until it is cancelled."""
        return [self._beat(), self._sweep(), self._ask(), self._retain()]

    async def _beat(self) -> None:
        async def beat() -> None:
            if reaped := await self._lanes.beat():
                log.warning("took_over_lanes", count=reaped)

        await self._every(BEAT_SECONDS, beat)

    async def _sweep(self) -> None:
        await self._every(self._sweep_seconds, self._sweep_once)

    async def _sweep_once(self) -> None:
        await self._breaker.follow_alert()
        alive = await self._lanes.alive_owners()
        now = self._clock()
        owners = sorted(alive | {self._lanes.owner}) if alive is not None else [self._lanes.owner]
        # just after Redis came back nobody can be called dead
        dead_before = now - timedelta(seconds=1.5 if alive is not None else 60)
        # while nothing may go out, one lane is enough to find out whether that is over
        most_unsent = 1 if self._breaker.is_tripped else MOST_SWEPT
        async with self._database.reading() as tx:
            overdue = await journal.overdue(tx, now - timedelta(seconds=self._sweep_seconds), MOST_SWEPT)
            unsent = await outbox.due(tx, now, dead_before, owners, most_unsent)
        if found := dict.fromkeys((*overdue, *unsent), 0.0):
            await self._lanes.ring(found)
        self._idle = not unsent

    async def _ask(self) -> None:
        """Beside the sweep, which would wait for the answer."""

        async def ask() -> None:
            if self._idle:
                await self._breaker.probe_number()

        await self._every(self._sweep_seconds, ask)

    async def _retain(self) -> None:
        async def once() -> None:
            for _ in range(MOST_BATCHES):
                touched = await self._database.run(lambda tx: journal.retain(tx, self._clock(), MOST_RETAINED))
                if touched < MOST_RETAINED:
                    return
                await asyncio.sleep(0.1)  # others want the database too

        await self._every(RETAIN_SECONDS, once)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (RedisDown, DatabaseDown) as error:
                log.debug("waits", error=str(error))
            except Exception:
                log.exception("background_work_failed")
            await asyncio.sleep(seconds)
