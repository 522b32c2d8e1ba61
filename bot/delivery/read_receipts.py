"""Read marks and the typing indicator: a courtesy to customers, so it may be late or missing and never in the way.

Invariants: nothing here raises or is waited for; a customer gets one call a second at most, which carries their newest
message (Meta marks the earlier ones too); few calls are under way at a time and few customers remembered; while Meta
refuses or does not answer, nobody asks it, and what was to be said by then is dropped, since the next mark says it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import structlog

from bot.whatsapp.errors import Action, Scope
from bot.whatsapp.graph.client import Answer, GraphClient

PACE_SECONDS = 1.0
TYPING_SECONDS = 25.0  # so long Meta shows it
FIRST_SILENCE_SECONDS = 5.0
LONGEST_SILENCE_SECONDS = 300.0
MOST_AT_ONCE = 4
MOST_CUSTOMERS = 2000
OF_ONE_MESSAGE = frozenset((Action.DROP, Action.TEMPLATE, Action.RECIPIENT))
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Reader:
    """What one customer has been shown. Instants are on the loop's clock."""

    wamid: str
    marked: str = ""
    marked_at: float = -PACE_SECONDS
    typing: bool = False
    typed_at: float = -TYPING_SECONDS
    planned: bool = False

    @property
    def due(self) -> bool:
        return self.typing or self.marked != self.wamid


class Receipts:
    """For one process. `may_ask`: whether the channel is open."""

    def __init__(self, graph: GraphClient, *, may_ask: Callable[[], bool] = lambda: True) -> None:
        self._graph = graph
        self._may_ask = may_ask
        self._readers: OrderedDict[int, _Reader] = OrderedDict()
        self._ready: dict[int, None] = {}  # in the order of coming
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._callers: set[asyncio.Task[None]] = set()
        self._silent_until = 0.0
        self._failures = 0
        self._closed = False

    def heard(self, customer_id: int, wamid: str) -> None:
        """The turn of this message is done: its customer may see that it was read."""
        if self._silent():
            return
        reader = self._readers.get(customer_id)
        if reader is None:
            reader = self._readers[customer_id] = _Reader(wamid)
            if len(self._readers) > MOST_CUSTOMERS:
                self._forget(next(iter(self._readers)))
        reader.wamid = wamid
        self._readers.move_to_end(customer_id)
        self._plan(customer_id, reader)

    def waiting(self, customer_id: int) -> None:
        """Our answer to what was heard takes a while: the customer may see that it is being written."""
        reader = self._readers.get(customer_id)
        if reader is None or self._silent() or time.monotonic() < reader.typed_at + TYPING_SECONDS:
            return
        reader.typing = True
        self._plan(customer_id, reader)

    def answered(self, customer_id: int) -> None:
        """Our answer has gone out, which ends the indicator: it must not be begun any more."""
        if reader := self._readers.get(customer_id):
            reader.typing = False
            reader.typed_at = -TYPING_SECONDS

    async def close(self) -> None:
        """Stops at once; what was not said is not said."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        callers = list(self._callers)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        self._readers.clear()
        self._ready.clear()

    def _silent(self) -> bool:
        return self._closed or time.monotonic() < self._silent_until or not self._may_ask()

    def _plan(self, customer_id: int, reader: _Reader) -> None:
        if reader.planned:
            return
        reader.planned = True
        rest_seconds = reader.marked_at + PACE_SECONDS - time.monotonic()
        if rest_seconds > 0:
            self._timers[customer_id] = asyncio.get_running_loop().call_later(rest_seconds, self._come, customer_id)
        else:
            self._come(customer_id)

    def _come(self, customer_id: int) -> None:
        self._timers.pop(customer_id, None)
        self._ready[customer_id] = None
        if len(self._callers) < MOST_AT_ONCE:
            self._callers.add(asyncio.create_task(self._call()))

    def _forget(self, customer_id: int) -> None:
        del self._readers[customer_id]
        self._ready.pop(customer_id, None)
        if timer := self._timers.pop(customer_id, None):
            timer.cancel()

    async def _call(self) -> None:
        try:
            while self._ready:
                customer_id = next(iter(self._ready))
                del self._ready[customer_id]
                await self._serve(customer_id, self._readers[customer_id])
        finally:
            self._callers.remove(cast(asyncio.Task[None], asyncio.current_task()))

    async def _serve(self, customer_id: int, reader: _Reader) -> None:
        if reader.due and not self._silent():
            await self._mark(reader)
        reader.planned = False
        if reader.due and not self._silent() and self._readers.get(customer_id) is reader:
            self._plan(customer_id, reader)

    async def _mark(self, reader: _Reader) -> None:
        reader.marked, reader.marked_at, typing = reader.wamid, time.monotonic(), reader.typing
        if typing:
            reader.typing, reader.typed_at = False, reader.marked_at
        try:
            self._learn(await self._graph.mark_read(reader.marked, typing=typing))
        except Exception:
            log.exception("read_mark_failed")

    def _learn(self, answer: Answer) -> None:
        """A message that can't be marked is nobody's trouble; everything else concerns the next one as well."""
        error = answer.error
        if answer.ok or (error is not None and (error.action in OF_ONE_MESSAGE or error.scope is Scope.PAIR)):
            self._failures = 0
            return
        self._failures += 1
        seconds = min(LONGEST_SILENCE_SECONDS, FIRST_SILENCE_SECONDS * 2.0 ** min(self._failures - 1, 10))
        seconds = max(seconds, error.wait_seconds if error is not None else 0.0)
        if self._silent_until < time.monotonic():
            log.info("read_marks_paused", seconds=seconds, code=error.code if error is not None else None)
        self._silent_until = max(self._silent_until, time.monotonic() + seconds)
