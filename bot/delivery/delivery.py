"""Delivers a lane: its rows go out one after the other, each at most once as far as anybody can know.

Invariants
- A later row never overtakes an earlier one of its customer.
- A row in doubt (nobody knows whether Meta took it) is not sent again before a status has had doubt_seconds to settle
  it. What becomes of it then is decided in doubt.py.
- A back-off is never slept on: the lane is given back until then.
- The service window is judged at the moment of sending, by Meta's timestamps.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.delivery.doubt import DoubtEnd, end_doubt
from bot.delivery.outbox_writer import OutboxWriter, make_move
from bot.delivery.row_moves import Deferred
from bot.delivery.sender import LOOK_AGAIN_SECONDS, Sender
from bot.lane_state import LaneState
from bot.metrics import Metrics
from storage.outbox import FOR_A_PERSON, OutboxRow
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.statuses import OutboxReason, OutboxStatus, Why

MAX_RESENDS_AT_ONCE = 2  # what a dead process was sending comes due at once, and a second death must not meet all of it
MAX_SLOT_WAIT_SECONDS = 2.0
CLOCK_SLACK = timedelta(seconds=5)
OWNER_CHECK_SECONDS = 1.0  # until the next look at a row that another process is sending
log = structlog.get_logger(__name__)


class Delivery:
    """Delivers the lanes of one process."""

    def __init__(
        self,
        *,
        writer: OutboxWriter,
        sender: Sender,
        lanes: Lanes,
        clock: Clock,
        metrics: Metrics,
        doubt_seconds: float,
    ) -> None:
        self._writer = writer
        self._sender = sender
        self._lanes = lanes
        self._clock = clock
        self._metrics = metrics
        self._doubt = timedelta(seconds=doubt_seconds)
        self._resend_slots = asyncio.Semaphore(MAX_RESENDS_AT_ONCE)
        self._awaiting_slot: set[int] = set()  # rows

    async def deliver(self, state: LaneState, rows: Sequence[OutboxRow]) -> Deferred | None:
        """Sends what may go out now, in order; returns when to come back for the others, None when all is done."""
        for row in rows:
            if deferred := await self._attend(state, row):
                return deferred
        return None

    async def _attend(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """Does what one row needs. Returns Deferred when the rows behind it have to wait."""
        now = self._clock()
        if row.status is OutboxStatus.SENDING:
            return await self._begin_doubt(row) if await self._is_abandoned(row) else Deferred(OWNER_CHECK_SECONDS)
        if row.status is OutboxStatus.UNKNOWN:
            if row.due_at == FOR_A_PERSON:
                return None  # a person decides about it; the lane goes on
            if _is_of_the_future(row, now):
                await self._writer.settle(make_move(row, OutboxStatus.UNKNOWN, row.why, due_at=now + self._doubt))
                return Deferred(self._doubt.total_seconds())
            if row.due_at > now:
                return Deferred((row.due_at - now).total_seconds())
            return await self._end_doubt(state, row)
        if row.due_at > now and not _is_of_the_future(row, now):
            return Deferred((row.due_at - now).total_seconds())
        return await self._sender.send(state, row)

    async def _is_abandoned(self, row: OutboxRow) -> bool:
        """Whether nobody is sending this row any more."""
        if row.owner == self._lanes.owner:
            return row.outbox_id not in self._sender.under_way
        try:
            alive = await self._lanes.find_alive_owners()
        except RedisDown:
            return False
        return alive is not None and row.owner not in alive

    async def _begin_doubt(self, row: OutboxRow) -> Deferred:
        now = self._clock()
        due_at = min(row.marked_at or now, now) + self._doubt
        await self._writer.settle(make_move(row, OutboxStatus.UNKNOWN, Why(OutboxReason.SENDER_DIED), due_at=due_at))
        return Deferred(max(0.0, (due_at - self._clock()).total_seconds()))

    async def _end_doubt(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """Ends a doubt that has lasted long enough: the row is sent again, given up, or left to a person."""
        match end_doubt(row):
            case DoubtEnd.ASK_A_PERSON:
                asked = Why(OutboxReason.ASK_A_PERSON)
                await self._writer.settle(make_move(row, OutboxStatus.UNKNOWN, asked, due_at=FOR_A_PERSON))
                return None
            case DoubtEnd.GIVE_UP:
                await self._writer.settle(make_move(row, OutboxStatus.FAILED, Why(OutboxReason.DOUBTED_AGAIN)))
                return None
        if row.why.reason is not OutboxReason.SENDER_DIED:
            return await self._resend(state, row)
        if row.outbox_id in self._awaiting_slot:
            return Deferred(OWNER_CHECK_SECONDS)  # an earlier look at this lane, given back meanwhile, waits with it
        self._awaiting_slot.add(row.outbox_id)
        try:
            async with self._resend_slot():
                return await self._resend(state, row)
        finally:
            self._awaiting_slot.discard(row.outbox_id)

    @asynccontextmanager
    async def _resend_slot(self) -> AsyncIterator[None]:
        """Takes a slot; or none, when Meta takes so long over those that have one that nobody should wait for them."""
        try:
            async with asyncio.timeout(MAX_SLOT_WAIT_SECONDS):
                await self._resend_slots.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._resend_slots.release()

    async def _resend(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        if not await self._writer.settle(make_move(row, OutboxStatus.QUEUED, Why(OutboxReason.RESENT), resent=1)):
            return Deferred(LOOK_AGAIN_SECONDS)  # another process resolves it, or a status came after all
        log.warning("resent_in_doubt", outbox_id=row.outbox_id, reason=row.why.reason)
        self._metrics.count_resend(row.why.reason)
        return await self._sender.send(state, replace(row, status=OutboxStatus.QUEUED, resent=row.resent + 1))


def _is_of_the_future(row: OutboxRow, now: datetime) -> bool:
    """Whether the row was last touched at a time that is yet to come: the clock went back, and what the row waits for
    may be an hour too far away."""
    return row.status_at is not None and row.status_at > now + CLOCK_SLACK
