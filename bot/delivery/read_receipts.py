"""Sends read receipts and the typing indicator: a courtesy to customers, beside the messages and never in their way.

Invariants
- Nothing here raises or is waited for, and nothing is kept: a receipt may be late or missing.
- A customer gets one call a second at most. It carries their newest message; Meta marks the earlier ones with it.
- Few calls are under way at a time, and few customers are remembered.
- While Meta refuses or does not answer, it is not asked. What was due by then is dropped: the next receipt covers it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import structlog

from bot.whatsapp.errors import Action, Scope
from bot.whatsapp.graph.client import GraphClient, GraphResponse

PACE_SECONDS = 1.0  # between two calls for one customer
TYPING_SECONDS = 25.0  # how long WhatsApp shows the indicator
FIRST_PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 300.0
MAX_CALLS_AT_ONCE = 4
MAX_CUSTOMERS = 2000
ABOUT_ONE_MESSAGE = frozenset((Action.DROP, Action.TEMPLATE, Action.RECIPIENT))
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Reader:
    """What one customer is to be shown, and has been. Instants are seconds of time.monotonic()."""

    wamid: str
    marked: str = ""
    marked_at: float = -PACE_SECONDS
    typing: bool = False
    typed_at: float = -TYPING_SECONDS
    is_planned: bool = False  # a call for it is waiting or under way

    @property
    def is_due(self) -> bool:
        return self.typing or self.marked != self.wamid


class ReadReceipts:
    """Sends the receipts of one process. `may_send`: False while the circuit breaker is tripped."""

    def __init__(self, graph: GraphClient, *, may_send: Callable[[], bool] = lambda: True) -> None:
        self._graph = graph
        self._may_send = may_send
        self._readers: OrderedDict[int, _Reader] = OrderedDict()
        self._ready: dict[int, None] = {}  # in the order of coming
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._callers: set[asyncio.Task[None]] = set()
        self._paused_until = 0.0
        self._failures = 0
        self._closed = False

    def mark_read(self, customer_id: int, wamid: str) -> None:
        """Shows the customer that this message was read, now that its turn is done."""
        if self._is_paused():
            return
        reader = self._readers.get(customer_id)
        if reader is None:
            reader = self._readers[customer_id] = _Reader(wamid)
            if len(self._readers) > MAX_CUSTOMERS:
                self._forget(next(iter(self._readers)))
        reader.wamid = wamid
        self._readers.move_to_end(customer_id)
        self._plan(customer_id, reader)

    def show_typing(self, customer_id: int) -> None:
        """Shows the customer, whose message was marked, that an answer is being written: it takes a while."""
        reader = self._readers.get(customer_id)
        if reader is None or self._is_paused() or time.monotonic() < reader.typed_at + TYPING_SECONDS:
            return
        reader.typing = True
        self._plan(customer_id, reader)

    def end_typing(self, customer_id: int) -> None:
        """Our answer has gone out, which ends the indicator on the phone: it must not be begun any more."""
        if reader := self._readers.get(customer_id):
            reader.typing = False
            reader.typed_at = -TYPING_SECONDS

    async def close(self) -> None:
        """Stops at once; what is still due is dropped."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        callers = list(self._callers)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        self._readers.clear()
        self._ready.clear()

    def _is_paused(self) -> bool:
        return self._closed or time.monotonic() < self._paused_until or not self._may_send()

    def _plan(self, customer_id: int, reader: _Reader) -> None:
        if reader.is_planned:
            return
        reader.is_planned = True
        rest_seconds = reader.marked_at + PACE_SECONDS - time.monotonic()
        if rest_seconds > 0:
            self._timers[customer_id] = asyncio.get_running_loop().call_later(
                rest_seconds, self._make_ready, customer_id
            )
        else:
            self._make_ready(customer_id)

    def _make_ready(self, customer_id: int) -> None:
        self._timers.pop(customer_id, None)
        self._ready[customer_id] = None
        if len(self._callers) < MAX_CALLS_AT_ONCE:
            self._callers.add(asyncio.create_task(self._run_caller()))

    def _forget(self, customer_id: int) -> None:
        del self._readers[customer_id]
        self._ready.pop(customer_id, None)
        if timer := self._timers.pop(customer_id, None):
            timer.cancel()

    async def _run_caller(self) -> None:
        try:
            while self._ready:
                customer_id = next(iter(self._ready))
                del self._ready[customer_id]
                await self._serve(customer_id, self._readers[customer_id])
        finally:
            self._callers.remove(cast(asyncio.Task[None], asyncio.current_task()))

    async def _serve(self, customer_id: int, reader: _Reader) -> None:
        if reader.is_due and not self._is_paused():
            await self._send(reader)
        reader.is_planned = False
        if reader.is_due and not self._is_paused() and self._readers.get(customer_id) is reader:
            self._plan(customer_id, reader)

    async def _send(self, reader: _Reader) -> None:
        reader.marked, reader.marked_at, typing = reader.wamid, time.monotonic(), reader.typing
        if typing:
            reader.typing, reader.typed_at = False, reader.marked_at
        try:
            self._note_answer(await self._graph.mark_read(reader.marked, typing=typing))
        except Exception:
            log.exception("read_mark_failed")

    def _note_answer(self, answer: GraphResponse) -> None:
        """Pauses after a failure, unless it is about this one message: any other concerns the next one as well."""
        error = answer.error
        if answer.ok or (error is not None and (error.action in ABOUT_ONE_MESSAGE or error.scope is Scope.PAIR)):
            self._failures = 0
            return
        self._failures += 1
        seconds = min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - 1, 10))
        seconds = max(seconds, error.wait_seconds if error is not None else 0.0)
        if self._paused_until < time.monotonic():
            log.info("read_marks_paused", seconds=seconds, code=error.code if error is not None else None)
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
