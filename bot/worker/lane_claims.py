"""Claims lanes for the worker of one process: from Redis, and while that is away from what SQL says is waiting.

Without Redis nobody holds a lane: what keeps two workers from both having an effect is the fence alone, and what keeps
them from sending the same row is its mark. They share the lanes out among themselves, which only saves work.

Invariants
- What waits in SQL is looked for each POLL_SECONDS: the longest waiting, and as many of those who came last.
- A lane that this process works on is not claimed by it again, also not from Redis when that is back.
- A lane of another worker's share is taken after FOREIGN_SECONDS: its worker may be dead, or work by Redis.
- Calls of Redis that only save work are left out while it is away.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.heartbeat import Heartbeat
from bot.worker.waiting_lanes import find_waiting_lanes
from storage.redis.lanes import Claim, ClaimedLane, LanePhase, Lanes, WorkingCopy
from storage.redis.presence import RedisAway, RedisPresence
from storage.sql.database import Database, DatabaseDown

POLL_SECONDS = 0.25
FOREIGN_SECONDS = 2.0
MIN_REST_SECONDS = 0.2  # a lane that was just looked at and is found again has little to do
MAX_REST_SECONDS = 1.0  # one that asked to be left alone for longer may have been written to meanwhile
RETRY_SECONDS = 1.0  # after the database was down
log = structlog.get_logger(__name__)


class LaneClaims:
    """The lanes that one process works for. `may_send`: whether messages may go out; `read_time`: a monotonic clock, in
    seconds. The methods are those of `Lanes`, and raise RedisDown only until Redis is known to be away."""

    def __init__(
        self,
        *,
        lanes: Lanes,
        presence: RedisPresence,
        database: Database,
        heartbeat: Heartbeat,
        clock: Clock,
        may_send: Callable[[], bool],
        read_time: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes = lanes
        self._presence = presence
        self._database = database
        self._heartbeat = heartbeat
        self._clock = clock
        self._may_send = may_send
        self._read_time = read_time
        self._taken: set[int] = set()  # from SQL, and not released
        self._rests_until: dict[int, float] = {}
        self._found_at: dict[int, float] = {}  # since when a lane is found waiting at each look

    @property
    def owner(self) -> str:
        """The name of this process."""
        return self._lanes.owner

    @property
    def held(self) -> Collection[int]:
        """The customers whose lanes this process works on."""
        return {*self._lanes.held, *self._taken} if self._taken else self._lanes.held

    async def claim(self, limit: int) -> Claim:
        """Takes lanes that are due, the oldest first; from SQL without their working copies."""
        if not self._presence.is_away:
            with suppress(RedisAway):  # it went away just now
                claim = await self._lanes.claim(limit)
                free = [lane for lane in claim.lanes if lane.customer_id not in self._taken]
                return claim if len(free) == len(claim.lanes) else Claim(free, claim.next_due_seconds)
        try:
            return await self._claim_from_sql(limit)
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
            return Claim([], RETRY_SECONDS)

    async def wait(self, timeout_seconds: float) -> None:
        """Waits until a lane may be due, but no longer than so many seconds."""
        if not self._presence.is_away:
            with suppress(RedisAway):
                await self._lanes.wait(timeout_seconds)
        else:
            await asyncio.sleep(min(timeout_seconds, POLL_SECONDS))

    async def release(self, delays: Mapping[int, float | None]) -> None:
        """Gives lanes back, as `Lanes.release` does."""
        now = self._read_time()
        wanted = dict(delays)
        for customer_id in wanted.keys() & self._taken:
            self._taken.discard(customer_id)
            delay = wanted[customer_id]
            rest = MIN_REST_SECONDS if delay is None else max(0.0, min(delay, MAX_REST_SECONDS))
            self._rests_until[customer_id] = now + rest
            wanted[customer_id] = 0.0  # if it was claimed from Redis meanwhile, which is back
        with suppress(RedisAway):  # the next beat gives them back
            await self._lanes.release(wanted)

    async def put_copies(
        self, copies: Sequence[WorkingCopy], *, force: Collection[int] = (), delivering: Collection[int] = ()
    ) -> None:
        """Keeps working copies, as `Lanes.put_copies` does."""
        with suppress(RedisAway):
            await self._lanes.put_copies(copies, force=force, delivering=delivering)

    async def mark(self, customer_ids: Collection[int], phase: LanePhase) -> None:
        """Notes what is done with lanes, as `Lanes.mark` does."""
        with suppress(RedisAway):
            await self._lanes.mark(customer_ids, phase)

    async def ring(self, delays: Mapping[int, float]) -> None:
        """Makes lanes due, as `Lanes.ring` does; in SQL they are found again by themselves."""
        with suppress(RedisAway):
            await self._lanes.ring(delays)

    async def retire(self) -> None:
        """Ends this process's part."""
        try:
            await self._heartbeat.retire()
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
        await self._lanes.retire()

    async def _claim_from_sql(self, limit: int) -> Claim:
        if limit <= 0:
            return Claim([], POLL_SECONDS)
        found = await find_waiting_lanes(
            self._database, self._heartbeat, self._clock(), least_wait=timedelta(), may_send=self._may_send()
        )
        now = self._read_time()
        self._found_at = {customer_id: self._found_at.get(customer_id, now) for customer_id in found.since}
        self._rests_until = {customer_id: until for customer_id, until in self._rests_until.items() if until > now}
        kept_from = {*self.held, *self._rests_until}
        free = [lane for lane in found.since if lane not in kept_from and self._is_ours(lane, now)]
        chosen = choose_lanes(sorted(free, key=found.since.__getitem__), limit)
        self._taken.update(chosen)
        return Claim([ClaimedLane(customer_id, None, None) for customer_id in chosen], POLL_SECONDS)

    def _is_ours(self, customer_id: int, now: float) -> bool:
        """Whether the lane is of this worker's share, or nobody else has looked at it."""
        workers = self._heartbeat.list_pulsing()
        is_foreign = workers[customer_id % len(workers)] != self._lanes.owner
        return not is_foreign or now - self._found_at[customer_id] >= FOREIGN_SECONDS


def choose_lanes(waiting: Sequence[int], limit: int) -> list[int]:
    """Returns `limit` of the lanes, which come by how long they have waited: where there are more, one half are those
    whose wait began last, so that who writes now is not behind who wrote an hour ago."""
    if len(waiting) <= limit:
        return list(waiting)
    newest = limit // 2
    return [*waiting[: limit - newest], *waiting[len(waiting) - newest :]]
