"""Writes by and by what no request is to wait for: that a key was used, that somebody gave a wrong password.

Invariants
- A request neither waits for such a write nor fails with it, and its time does not tell whether there was one.
- At most MAX_WAITING_WRITES wait; what comes then is dropped, and said once until there is room again.
- What waits at a stop is written first, for STOP_SECONDS at most.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

import structlog
from quart import Quart

from storage.sql.database import Database, DatabaseDown, RowsHeld, Tx
from storage.sql.lock_waits import LockWait

MAX_WAITING_WRITES = 1000  # while the database is away: some hundred kilobytes
MAX_WRITES_PER_COMMIT = 100  # a commit has a deadline
STOP_SECONDS = 2.0
Write: TypeAlias = Callable[[Tx], Awaitable[object]]
log = structlog.get_logger(__name__)


class DeferredWrites:
    """The writes of one process that wait. Each must be safe to run twice, as for `Database.run`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Write] = deque()
        self._added = asyncio.Event()
        self._writing = asyncio.Lock()
        self._is_full = False
        self._is_ending = False

    def add(self, write: Write) -> None:
        """Has `write` run soon, in a transaction that others may share."""
        if len(self._waiting) >= MAX_WAITING_WRITES:
            if not self._is_full:
                log.warning("deferred_write_dropped", waiting=len(self._waiting))
            self._is_full = True
            return
        self._is_full = False
        self._waiting.append(write)
        self._added.set()

    async def run(self) -> None:
        """Writes what is added, until `end`, and then what still waits."""
        while not self._is_ending:
            await self._added.wait()
            self._added.clear()
            await self.flush()

    def end(self) -> None:
        """Lets `run` end once nothing waits any more."""
        self._is_ending = True
        self._added.set()

    async def flush(self) -> None:
        """Writes all that waits now, after what is being written."""
        async with self._writing:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_WRITES_PER_COMMIT))]
                try:
                    await self._write(batch)
                except Exception:
                    log.exception("deferred_writes_failed", count=len(batch))

    async def _write(self, batch: Sequence[Write], lock_wait: LockWait = LockWait.USUAL) -> None:
        """Writes these in one transaction; one by one where another session holds what one of them wants."""
        try:
            await self._database.run(partial(_write_all, batch=batch), lock_wait=lock_wait)
        except DatabaseDown as error:
            if isinstance(error, RowsHeld) and len(batch) > 1:
                for write in batch:
                    await self._write([write], LockWait.HASTY)
                return
            log.warning("deferred_writes_lost", count=len(batch), error=str(error))


def run_deferred_writes(app: Quart, deferred: DeferredWrites) -> None:
    """Has them written for as long as the application serves."""

    @app.while_serving
    async def run() -> AsyncGenerator[None]:
        running = asyncio.create_task(deferred.run(), name="deferred-writes")
        yield
        deferred.end()
        await asyncio.wait([running], timeout=STOP_SECONDS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _write_all(tx: Tx, *, batch: Sequence[Write]) -> None:
    for write in batch:
        await write(tx)
