"""Says that this worker is alive, and tells which others are: by Redis, and by SQL where Redis does not hear them.

Invariants
- Who may be alive never counts as dead. While Redis is away a worker has DEAD_SECONDS to give its pulse in SQL, by the
  monotonic clock of whoever judges, who has looked again and again meanwhile.
- While Redis hears all workers, SQL is written by none.
"""

import time
from collections.abc import Callable

from bot.clock import Clock
from storage import worker_pulses
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.sql.database import Database

UNHEARD_SECONDS = 0.8  # without a beat that Redis took, which come each 0.4 s
PULSE_SECONDS = 0.7  # between two looks at whether SQL has to be told
DEAD_SECONDS = 4.0  # without a pulse in SQL, which may be slow
MAX_GAP_SECONDS = 2.5  # between two looks: after a longer one we may have stood still, and begin again to look


class Heartbeat:
    """The heartbeat of one worker. `read_time`: a monotonic clock, in seconds."""

    def __init__(
        self,
        *,
        database: Database,
        lanes: Lanes,
        clock: Clock,
        read_time: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._clock = clock
        self._read_time = read_time
        self._heard_at = read_time()
        self._is_in_sql = False
        self._beats: dict[str, int] = {}
        self._pulsed_at: dict[str, float] = {}
        self._looked_at = self._alone_since = read_time()

    @property
    def owner(self) -> str:
        """The name of this worker's process."""
        return self._lanes.owner

    async def beat(self) -> int:
        """Has Redis hear this worker; returns how many lanes of dead ones it made due again. Raises RedisDown."""
        reaped = await self._lanes.beat()
        self._heard_at = self._read_time()
        return reaped

    async def pulse(self) -> bool:
        """Gives the pulse in SQL if Redis does not hear this worker, and ends it there if Redis does again; returns
        whether it is given. Raises DatabaseDown."""
        if self._read_time() - self._heard_at >= UNHEARD_SECONDS:
            self._is_in_sql = True
            await self._database.run(lambda tx: worker_pulses.beat(tx, self._lanes.owner, self._clock()))
        elif self._is_in_sql:
            await self.retire()
        return self._is_in_sql

    async def retire(self) -> None:
        """Ends the pulse in SQL, if there is one. Raises DatabaseDown."""
        if self._is_in_sql:
            await self._database.run(lambda tx: worker_pulses.end(tx, self._lanes.owner, self._clock()))
            self._is_in_sql = False

    async def find_alive_owners(self) -> set[str] | None:
        """Returns the workers that may be alive, this one among them; None while nobody can tell: just after Redis went
        away, or came back. Raises DatabaseDown."""
        try:
            heard = await self._lanes.find_alive_owners()
            is_redis_there = True
        except RedisDown:
            heard, is_redis_there = None, False
        await self._observe_pulses(is_redis_there=is_redis_there)
        if is_redis_there:
            return None if heard is None else heard | set(self.list_pulsing())
        can_tell = self._looked_at - self._alone_since >= DEAD_SECONDS
        return set(self.list_pulsing()) if can_tell else None

    def list_pulsing(self) -> list[str]:
        """Lists this worker and those whose pulse in SQL went on lately, as the last look found them."""
        alive = (owner for owner, at in self._pulsed_at.items() if self._looked_at - at < DEAD_SECONDS)
        return sorted({self._lanes.owner, *alive})

    async def _observe_pulses(self, *, is_redis_there: bool) -> None:
        async with self._database.reading() as tx:
            pulses = await worker_pulses.list_pulses(tx)
        now = self._read_time()
        if is_redis_there or now - self._looked_at > MAX_GAP_SECONDS:
            self._alone_since = now
        self._looked_at = now
        for owner, beats, _ in pulses:
            if self._beats.get(owner) != beats:
                self._beats[owner], self._pulsed_at[owner] = beats, now
