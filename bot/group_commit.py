"""Commits in groups: everything that waits shares the next transaction.

Invariants
- No timer is involved. What comes while one commit is under way makes up the next one, so a lone caller never waits for
  company, and a thousand callers cost a few commits.
- Each caller gets the outcome of the commit that held theirs.
- Who gives up before that commit begins has taken theirs back, so only what somebody still wants waits for a database
  that hangs.
- What meets rows that another session holds waits aside, by itself; the others go on. Things that share a key (a
  customer's, say) keep their order meanwhile.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from storage.sql.database import DatabaseDown, RowsHeld
from storage.sql.held_rows import HeldKeys
from storage.sql.lock_waits import LockWait

MAX_ASIDE_AT_ONCE = 3  # transactions: the others want connections too
T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Commit(Protocol[T_contra, R_co]):
    """Commits these things in one transaction; returns one result for each, in order. Raises RowsHeld where another
    session holds rows of one of them, and then nothing was committed."""

    async def __call__(self, things: Sequence[T_contra], lock_wait: LockWait, /) -> Sequence[R_co]: ...


class _Waiting(NamedTuple, Generic[T, R]):
    thing: T
    size: int
    keys: Collection[Hashable]
    outcome: "asyncio.Future[R]"


class GroupCommit(Generic[T, R]):
    """Hands what waits to `commit`, as much as `max_size` allows.

    `read_keys`: by what a thing is known again; those that share one never overtake each other. `held`: remembers which
    keys were met locked. `patience_seconds`: for how long what is aside is tried again before its caller hears of it.
    """

    def __init__(
        self,
        commit: Commit[T, R],
        max_size: int,
        *,
        read_keys: Callable[[T], Collection[Hashable]] = lambda _: (),
        held: HeldKeys | None = None,
        patience_seconds: float = 0.0,
    ) -> None:
        self._commit = commit
        self._max_size = max_size
        self._read_keys = read_keys
        self._held = held or HeldKeys()
        self._patience_seconds = patience_seconds
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._aside: dict[Hashable, asyncio.Task[None]] = {}  # the last that waits aside with this key
        self._aside_tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_ASIDE_AT_ONCE)

    async def submit(self, thing: T, size: int = 1) -> R:
        """Waits for the commit that holds `thing`, and returns its result. Once that commit has begun, giving up does
        not take the thing back. Raises what the commit raised."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(thing, size, self._read_keys(thing), outcome))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await outcome

    async def _run(self) -> None:
        try:
            while batch := self._take():
                await self._settle(batch)
        finally:
            self._running = None

    def _take(self) -> list[_Waiting[T, R]]:
        batch: list[_Waiting[T, R]] = []
        room = self._max_size
        while self._waiting and (not batch or self._waiting[0].size <= room):
            one = self._waiting.popleft()
            if one.outcome.cancelled():
                continue
            if any(key in self._aside for key in one.keys) or self._held.has_any(one.keys):
                self._set_aside(one)
                continue
            batch.append(one)
            room -= one.size
        return batch

    async def _settle(self, batch: Sequence[_Waiting[T, R]], lock_wait: LockWait = LockWait.USUAL) -> None:
        try:
            results = await self._commit([one.thing for one in batch], lock_wait)
        except RowsHeld as error:
            if lock_wait is not LockWait.USUAL:
                raise
            if len(batch) == 1:
                self._held.note(batch[0].keys)
                if not self._patience_seconds:
                    _fail(batch, error)
                    return
            for one in batch:  # whose rows they are shows when each is alone; nobody else waits for that
                self._set_aside(one)
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            if len(batch) > 1 and not isinstance(error, DatabaseDown):
                for one in batch:  # whose fault it is shows when each is alone; the neighbours go through
                    await self._settle([one])
                return
            _fail(batch, error)
        else:
            for one, result in zip(batch, results, strict=True):
                self._held.clear(one.keys)
                if not one.outcome.done():
                    one.outcome.set_result(result)

    def _set_aside(self, one: _Waiting[T, R]) -> None:
        """Has it settled by itself, after whatever of the same key is aside already."""
        before = {self._aside[key] for key in one.keys if key in self._aside}
        task = asyncio.create_task(self._settle_aside(one, before))
        self._aside_tasks.add(task)
        for key in one.keys:
            self._aside[key] = task
        task.add_done_callback(lambda _: self._end_aside(one.keys, task))

    def _end_aside(self, keys: Collection[Hashable], task: "asyncio.Task[None]") -> None:
        self._aside_tasks.discard(task)
        for key in keys:
            if self._aside.get(key) is task:
                del self._aside[key]

    async def _settle_aside(self, one: _Waiting[T, R], before: "Collection[asyncio.Task[None]]") -> None:
        give_up_at = time.monotonic() + self._patience_seconds
        if before:
            await asyncio.wait(before)
        while not one.outcome.cancelled():
            try:
                async with self._slots:
                    await self._settle([one], LockWait.HASTY)
                return
            except RowsHeld as error:
                pause_seconds = self._held.note(one.keys)
                if time.monotonic() + pause_seconds > give_up_at:
                    _fail([one], error)
                    return
            await asyncio.sleep(pause_seconds)


def _fail(batch: Sequence[_Waiting[T, R]], error: Exception) -> None:
    for one in batch:
        if not one.outcome.done():
            one.outcome.set_exception(error)
