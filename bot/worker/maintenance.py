"""Runs the loops of a process beside its lanes: the heartbeat, the sweep, the breaker's probe, retention, and once the
settlement of the kept counts.

Invariants
- What Redis forgets, the sweep finds in SQL within a second or two.
- Nothing that goes wrong here stops a loop, or reaches the work on the lanes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from bot.clock import Clock
from bot.delivery.circuit_breaker import CircuitBreaker
from bot.heartbeat import PULSE_SECONDS, Heartbeat
from bot.worker.owned_sessions import OwnedSessions
from bot.worker.waiting_lanes import find_waiting_lanes
from storage import count_settlement, journal_retention, kept_counts
from storage.redis.client import RedisDown
from storage.redis.lanes import BEAT_SECONDS, Lanes
from storage.sql.database import Database, DatabaseDown

RETRY_SECONDS = 1.0
SETTLE_SECONDS = 3600.0  # after the start: by then nobody is at work who does not count
RETAIN_SECONDS = 3600.0  # between two runs of the retention
MAX_RETAINED_PER_BATCH = 500  # rows that one transaction empties: others want the database too
MAX_BATCHES_PER_RUN = 1000
log = structlog.get_logger(__name__)


class Maintenance:
    """Maintains what one process, and all of them together, rely on."""

    def __init__(
        self,
        *,
        database: Database,
        lanes: Lanes,
        heartbeat: Heartbeat,
        clock: Clock,
        breaker: CircuitBreaker,
        sweep_seconds: float,
        heartbeat_file: Path | None,
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._heartbeat = heartbeat
        self._clock = clock
        self._breaker = breaker
        self._sweep_seconds = sweep_seconds
        self._heartbeat_file = heartbeat_file
        self._sessions = OwnedSessions(database=database, lanes=lanes)
        self._is_idle = False  # there is nothing to send

    def make_loops(self) -> list[Coroutine[Any, Any, None]]:
        """Makes the loops, each to be run until it is cancelled."""
        return [
            self._run_every(BEAT_SECONDS, self._beat),
            self._run_every(PULSE_SECONDS, self._pulse),
            self._run_every(0.0, self._sessions.keep),  # which waits by itself
            self._run_every(self._sweep_seconds, self._sweep),
            # Beside the sweep, which would wait for Meta's answer.
            self._run_every(self._sweep_seconds, self._probe_number),
            self._run_every(RETAIN_SECONDS, self._retain),
            self._run_every(SETTLE_SECONDS, self._settle_counts, first_after=SETTLE_SECONDS),
        ]

    async def _beat(self) -> None:
        if reaped := await self._heartbeat.beat():
            log.warning("took_over_lanes", count=reaped)
            self._sessions.look_soon()
        self._touch_file()

    async def _pulse(self) -> None:
        if await self._heartbeat.pulse():
            self._touch_file()

    def _touch_file(self) -> None:
        if self._heartbeat_file is not None:
            self._heartbeat_file.touch()

    async def _sweep(self) -> None:
        await self._breaker.follow_alert()
        now = self._clock()
        waiting = await find_waiting_lanes(
            self._database,
            self._heartbeat,
            now,
            least_wait=timedelta(seconds=self._sweep_seconds),
            may_send=not self._breaker.is_tripped,
        )
        self._is_idle = not waiting.has_unsent
        if waiting.since:
            await self._lanes.ring(
                {customer_id: min(0.0, (since - now).total_seconds()) for customer_id, since in waiting.since.items()}
            )

    async def _probe_number(self) -> None:
        if self._is_idle:
            await self._breaker.probe_number()

    async def _retain(self) -> None:
        for _ in range(MAX_BATCHES_PER_RUN):
            touched = await self._database.run(
                lambda tx: journal_retention.apply_retention(tx, self._clock(), MAX_RETAINED_PER_BATCH)
            )
            if touched < MAX_RETAINED_PER_BATCH:
                break
            await asyncio.sleep(0.1)
        for _ in range(MAX_BATCHES_PER_RUN):
            if not await self._database.run(kept_counts.fold):
                return
            await asyncio.sleep(0.1)

    async def _settle_counts(self) -> None:
        if wrong := await count_settlement.settle(self._database):
            log.info("counts_settled", count=wrong)

    async def _run_every(
        self, seconds: float, work: Callable[[], Awaitable[None]], *, first_after: float = 0.0
    ) -> None:
        await asyncio.sleep(first_after)
        while True:
            try:
                await work()
            except (RedisDown, DatabaseDown) as error:
                log.debug("waits", error=str(error))
            except Exception:
                log.exception("background_work_failed")
            else:
                await asyncio.sleep(seconds)
                continue
            await asyncio.sleep(seconds or RETRY_SECONDS)
