"""Records that this process answers webhooks, and since when, while messages are in doubt.

A doubt counts only time in which news could come, so somebody has to say when that was (storage/answering.py).

Invariants
- It begins anew after whatever may have kept news away: a start, a stall of the process, a database that took no
  writes, a step of Tick's clock.
- What says so is a commit of its own: a process whose database takes none answers no webhook either.
- While nothing is in doubt nothing is written.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot.clock import CATCH_UP, Clock
from storage import answering, outbox_reads
from storage.answering import AnsweringSpan
from storage.sql.database import Database, DatabaseDown, Tx

LOOK_SECONDS = 0.5
MAX_SILENCE_SECONDS = 5.0  # between two words of this process: Meta waits longer for an answer
MAX_CLOCK_STEP = timedelta(seconds=0.5)  # of Tick's clock against the monotonic one, beyond how fast it catches up
DOUBTED_AFTER = timedelta(seconds=1)  # most answers of Meta's come sooner, and until then nobody is in doubt
log = structlog.get_logger(__name__)


class AnsweringRecord:
    """The record of one process. `owner` names it; `read_time` is a clock that nobody sets, in seconds."""

    def __init__(
        self,
        *,
        database: Database,
        owner: str,
        clock: Clock,
        read_time: Callable[[], float] = time.monotonic,
        max_silence_seconds: float = MAX_SILENCE_SECONDS,
    ) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock
        self._read_time = read_time
        self._max_silence_seconds = max_silence_seconds
        self._begun_at: datetime | None = None
        self._seen = 0.0  # by `read_time`
        self._seen_at = clock()

    async def run(self) -> None:
        """Records until it is cancelled: to be run for as long as this process answers webhooks."""
        self._begun_at = None
        while True:
            try:
                await self.look()
            except DatabaseDown as error:
                log.debug("waits", error=str(error))
            except Exception:
                log.exception("answering_record_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Writes down that this process answers, if anybody is in doubt. Raises DatabaseDown."""
        now, seen = self._clock(), self._read_time()
        is_new = self._begun_at is None or self._has_gap(now, seen)
        begun_at = now if is_new or self._begun_at is None else self._begun_at
        async with self._database.reading() as tx:
            has_doubts = await outbox_reads.has_doubts(tx, now - DOUBTED_AFTER)

        async def work(tx: Tx) -> None:
            if is_new:
                await answering.forget_spans(tx, now)
            await answering.record_span(tx, self._owner, AnsweringSpan(begun_at, now))

        if is_new or has_doubts:
            await self._database.run(work)
        self._begun_at, self._seen, self._seen_at = begun_at, seen, now

    def _has_gap(self, now: datetime, seen: float) -> bool:
        passed = seen - self._seen
        step = abs(now - self._seen_at - timedelta(seconds=passed))
        return passed > self._max_silence_seconds or step > MAX_CLOCK_STEP + timedelta(seconds=CATCH_UP * abs(passed))
