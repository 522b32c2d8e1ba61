"""Knows whether Redis is there for this process, so that nobody waits for one that is away.

A Redis that hangs takes two seconds from each call. One that is known to be away takes nothing.

Invariants
- It is away after MIN_FAILED_PROBES probes in a row that failed, once none has succeeded for AWAY_SECONDS; the first
  that succeeds brings it back. A probe is a write: a server that refuses writes is away too.
- While it is away each call fails at once, with what the last probe failed of, and so do the calls under way.
- Without probes it is never away.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

from storage.redis.client import RedisDown

PROBE_SECONDS = 0.8  # that a probe gets
AWAY_SECONDS = 2.0
MIN_FAILED_PROBES = 2  # we may have stood still ourselves, and then one in vain tells nothing
NO_ANSWER = "it does not answer"


class RedisAway(RedisDown):
    """Redis is known to be away: nothing was asked of it."""


class RedisPresence:
    """Whether Redis is there for one process. `read_time`: a monotonic clock, in seconds."""

    def __init__(self, *, read_time: Callable[[], float] = time.monotonic) -> None:
        self._read_time = read_time
        self._answered_at = read_time()
        self._failed_probes = 0
        self._reason: RedisDown | None = None
        self._under_way: set[asyncio.Timeout] = set()

    @property
    def is_away(self) -> bool:
        """Whether calls fail at once."""
        return self._reason is not None

    @property
    def reason(self) -> str:
        """What the last probe failed of; "" while Redis is there."""
        return "" if self._reason is None else str(self._reason)

    async def probe(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Tries a write, which must not come this way itself; returns whether Redis went away with it, or came back."""
        was_away = self.is_away
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await write()
        except TimeoutError:
            self._note_failure(RedisDown(NO_ANSWER))
        except RedisDown as error:
            self._note_failure(error)
        else:
            self._answered_at, self._failed_probes, self._reason = self._read_time(), 0, None
        return was_away is not self.is_away

    def _note_failure(self, error: RedisDown) -> None:
        self._failed_probes += 1
        is_over = self._read_time() - self._answered_at >= AWAY_SECONDS
        if self._reason is None and not (is_over and self._failed_probes >= MIN_FAILED_PROBES):
            return
        self._reason = error
        now = asyncio.get_running_loop().time()
        for deadline in self._under_way:
            deadline.reschedule(now)

    def watch_call(self) -> "_WatchedCall":
        """Returns the context of one call: it raises RedisAway when Redis is away, or goes away meanwhile."""
        return _WatchedCall(self)

    def _explain(self) -> RedisAway:
        reason = self._reason or RedisDown(NO_ANSWER)
        return RedisAway(str(reason), reason.refusal)


class _WatchedCall:
    """One call. (A class takes a quarter of a generator's time.)"""

    def __init__(self, presence: RedisPresence) -> None:
        self._presence = presence
        self._deadline = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        if self._presence.is_away:
            raise self._presence._explain()
        await self._deadline.__aenter__()
        self._presence._under_way.add(self._deadline)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._presence._under_way.discard(self._deadline)
        try:
            await self._deadline.__aexit__(kind, error, trace)
        except TimeoutError:
            raise self._presence._explain() from None
