"""Has the database end the sessions of a process that is dead or stands still, once its lanes are taken over.

Invariants
- A process that is alive again opens new sessions, and its transactions begin anew: the fence makes that safe.
- Just after Redis came back nobody is known to be dead, and nothing is ended.
"""

import asyncio
import time

import structlog

from storage.redis.lanes import Lanes
from storage.sql import sessions
from storage.sql.database import Database

LOOK_SECONDS = 1.0
RECORD_SECONDS = 5.0  # Redis may have forgotten
log = structlog.get_logger(__name__)


class OwnedSessions:
    """Records the sessions of one process, and ends those of the dead."""

    def __init__(self, *, database: Database, lanes: Lanes) -> None:
        self._database = database
        self._lanes = lanes
        self._taken_over = asyncio.Event()
        self._recorded: list[int] = []
        self._recorded_at = float("-inf")

    def look_soon(self) -> None:
        """Has the dead looked for now."""
        self._taken_over.set()

    async def keep(self) -> None:
        """Waits until it is time, then looks once."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._taken_over.wait()
        except TimeoutError:
            pass
        self._taken_over.clear()
        await self._record()
        await self._end_dead()

    async def _record(self) -> None:
        ids = sessions.list_session_ids(self._database)
        if ids == self._recorded and time.monotonic() - self._recorded_at < RECORD_SECONDS:
            return
        await self._lanes.sessions.record(await sessions.read_sessions(self._database, ids))
        self._recorded, self._recorded_at = ids, time.monotonic()

    async def _end_dead(self) -> None:
        alive = await self._lanes.find_alive_owners()
        if alive is None:
            return
        for owner, theirs in (await self._lanes.sessions.read_dead(alive)).items():
            if ended := await sessions.end_sessions(self._database, theirs):
                log.warning("ended_sessions", owner=owner, count=len(ended))
            await self._lanes.sessions.forget(owner)
