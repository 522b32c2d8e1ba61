"""Knows whether Redis is there, and how it is set: as the start found it, and as somebody has set it since.

Invariants
- Whether it is there is tried each PROBE_EVERY_SECONDS, and the log says when that changes.
- The settings are read again each INSPECT_SECONDS, and when Redis is back after it was away: it may be another by then.
- What can't be read now leaves what was known.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from bot.metrics import Metrics
from storage.redis.client import RedisDown, RedisServer
from storage.redis.presence import RedisPresence

PROBE_EVERY_SECONDS = 0.4
AWAY = "redis:away"  # the label of the metric
INSPECT_SECONDS = 60.0
ANSWER_SECONDS = 2.0
log = structlog.get_logger(__name__)


class RedisWatch:
    """Watches the settings of the server for one process. `inspect`: asks the server, None where there is none;
    `server`: what the start found, None where it did not answer; `line`: what to say until the settings are known;
    `read_time`: a monotonic clock, in seconds."""

    def __init__(
        self,
        inspect: Callable[[], Awaitable[RedisServer]] | None = None,
        *,
        server: RedisServer | None = None,
        line: str = "",
        read_time: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inspect = inspect
        self._server = server
        self._line = line
        self._read_time = read_time
        self._next_at = read_time() + INSPECT_SECONDS if server else 0.0

    async def run(self, presence: RedisPresence, write: Callable[[], Awaitable[None]], metrics: Metrics) -> None:
        """Tries `write`, which must not go by `presence`, again and again until it is cancelled."""
        metrics.set_trouble(AWAY, is_there=False)
        while True:
            if await presence.probe(write):
                metrics.set_trouble(AWAY, is_there=presence.is_away)
                if presence.is_away:
                    log.error("redis_away", error=presence.reason, consequence="the work goes on by SQL, slower")
                else:
                    log.warning("redis_back")
                    self.expect_change()
            await asyncio.sleep(PROBE_EVERY_SECONDS)

    @property
    def line(self) -> str:
        """The sentence that says what a crash of Redis costs, or where it lives."""
        return self._server.persistence if self._server else self._line

    @property
    def unfit(self) -> str:
        """The sentence that says why Tick would not start with this server as it is set by now; "" if it would."""
        return (self._server and self._server.refusal) or ""

    def expect_change(self) -> None:
        """Has the next look read the settings: the server may be another, or have been started again."""
        self._next_at = 0.0

    async def look(self) -> None:
        """Reads the settings where that is due; to be called while Redis answers."""
        if self._inspect is None or self._read_time() < self._next_at:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._inspect()
        except (RedisDown, TimeoutError) as error:
            log.debug("redis_not_inspected", error=str(error))
            return
        self._next_at = self._read_time() + INSPECT_SECONDS
        if self._server and found.persistence != self._server.persistence:
            log.warning("redis_persistence_changed", persistence=found.persistence)
        self._server = found
