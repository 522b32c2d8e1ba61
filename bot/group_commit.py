"""Commits in groups: everything that waits shares the next transaction.

Invariants
- No timer is involved. What comes while one commit is under way makes up the next one, so a lone caller never waits for
  company, and a thousand callers cost a few commits.
- Each caller gets the outcome of the commit that held theirs.
- Who gives up before that commit begins has taken theirs back, so only what somebody still wants waits for a database
  that hangs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from storage.sql.database import DatabaseDown

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Hands what waits to `commit`, as much as `max_size` allows, which returns one result for each, in order."""

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]], max_size: int) -> None:
        self._commit = commit
        self._max_size = max_size
        self._waiting: deque[tuple[T, int, asyncio.Future[R]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def submit(self, thing: T, size: int = 1) -> R:
        """Waits for the commit that holds `thing`, and returns its result. Once that commit has begun, giving up does
        not take the thing back. Raises what the commit raised."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((thing, size, outcome))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await outcome

    async def _run(self) -> None:
        try:
            while batch := self._take():
                await self._settle(batch)
        finally:
            self._running = None

    def _take(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        room = self._max_size
        while self._waiting and (not batch or self._waiting[0][1] <= room):
            thing, size, outcome = self._waiting.popleft()
            if not outcome.cancelled():
                batch.append((thing, outcome))
                room -= size
        return batch

    async def _settle(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._commit([thing for thing, _ in batch])
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            if len(batch) > 1 and not isinstance(error, DatabaseDown):
                for one in batch:  # whose fault it is shows when each is alone; the neighbours go through
                    await self._settle([one])
                return
            for _, outcome in batch:
                if not outcome.done():
                    outcome.set_exception(error)
        else:
            for (_, outcome), result in zip(batch, results, strict=True):
                if not outcome.done():
                    outcome.set_result(result)
