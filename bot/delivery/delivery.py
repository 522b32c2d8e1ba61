"""Delivery: a lane's rows go out one after the other, each at most once as far as anybody can know.

Invariants: a later row never overtakes an earlier one of its customer; a row whose outcome is in doubt is not sent
again before a status has had doubt_seconds to settle it, and then once (more often only while it is our own processes
that die), and an agent's words only by a person; a back-off is never slept on, the lane is given back until then; the
window is judged at the moment of sending, by Meta's timestamps.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.delivery.decision import Deferred
from bot.delivery.outbox_writer import OutboxWriter, move
from bot.delivery.sender import LOOK_AGAIN_SECONDS, Sender
from bot.lane_state import LaneState
from storage.outbox import FOR_A_PERSON, OutboxRow
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

MOST_RESENDS_AFTER_DEATHS = 3
MOST_AT_ONCE = 2
LONGEST_LINE_SECONDS = 2.0
CLOCK_SLACK = timedelta(seconds=5)
OWNER_CHECK_SECONDS = 1.0
log = structlog.get_logger(__name__)


class Delivery:
    """Sends for one process."""

    def __init__(self, writer: OutboxWriter, sender: Sender, lanes: Lanes, clock: Clock, doubt_seconds: float) -> None:
        self._writer = writer
        self._sender = sender
        self._lanes = lanes
        self._clock = clock
        self._doubt = timedelta(seconds=doubt_seconds)
        # what one process had marked in one commit comes due at once, and a second death must not meet all of it
        self._left_behind = asyncio.Semaphore(MOST_AT_ONCE)
        self._in_line: set[int] = set()  # rows that wait for that

    async def deliver(self, state: LaneState, rows: Sequence[OutboxRow]) -> Deferred | None:
        """Sends what may go out now, in order; returns when to come back for the others, None when all is done."""
        for row in rows:
            if deferred := await self._attend(state, row):
                return deferred
        return None

    async def _attend(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """Does what one row needs; a Deferred means that the rows behind it have to wait."""
        now = self._clock()
        if row.status is OutboxStatus.SENDING:
            return await self._in_doubt(row) if await self._abandoned(row) else Deferred(OWNER_CHECK_SECONDS)
        if row.status is OutboxStatus.UNKNOWN:
            if row.due_at == FOR_A_PERSON:
                return None  # a person decides about it; the lane goes on
            if _clock_went_back(row, now):
                await self._writer.settle(move(row, OutboxStatus.UNKNOWN, row.why, due_at=now + self._doubt))
                return Deferred(self._doubt.total_seconds())
            if row.due_at > now:
                return Deferred((row.due_at - now).total_seconds())
            return await self._resolve(state, row)
        if row.due_at > now and not _clock_went_back(row, now):
            return Deferred((row.due_at - now).total_seconds())
        return await self._sender.send(state, row)

    async def _abandoned(self, row: OutboxRow) -> bool:
        """Whether nobody is sending this row any more."""
        if row.owner == self._lanes.owner:
            return row.outbox_id not in self._sender.under_way
        try:
            alive = await self._lanes.find_alive_owners()
        except RedisDown:
            return False
        return alive is not None and row.owner not in alive

    async def _in_doubt(self, row: OutboxRow) -> Deferred:
        due_at = (row.marked_at or self._clock()) + self._doubt
        await self._writer.settle(move(row, OutboxStatus.UNKNOWN, Why(OutboxReason.SENDER_DIED), due_at=due_at))
        return Deferred(max(0.0, (due_at - self._clock()).total_seconds()))

    async def _resolve(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """The doubt has lasted long enough."""
        if row.origin is Origin.AGENT:
            asked = Why(OutboxReason.ASK_A_PERSON)
            await self._writer.settle(move(row, OutboxStatus.UNKNOWN, asked, due_at=FOR_A_PERSON))
            return None
        died = row.why.reason is OutboxReason.SENDER_DIED
        if row.resent >= (MOST_RESENDS_AFTER_DEATHS if died else 1):
            await self._writer.settle(move(row, OutboxStatus.FAILED, Why(OutboxReason.DOUBTED_AGAIN)))
            return None
        if not died:
            return await self._resend(state, row)
        if row.outbox_id in self._in_line:
            return Deferred(OWNER_CHECK_SECONDS)  # an earlier look at this lane, given back meanwhile, waits with it
        self._in_line.add(row.outbox_id)
        try:
            async with self._a_place():
                return await self._resend(state, row)
        finally:
            self._in_line.discard(row.outbox_id)

    @asynccontextmanager
    async def _a_place(self) -> AsyncIterator[None]:
        """One of the few; or none, when Meta takes so long over those that nobody should wait for them."""
        try:
            async with asyncio.timeout(LONGEST_LINE_SECONDS):
                await self._left_behind.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._left_behind.release()

    async def _resend(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        if not await self._writer.settle(move(row, OutboxStatus.QUEUED, Why(OutboxReason.RESENT), resent=1)):
            return Deferred(LOOK_AGAIN_SECONDS)  # another process resolves it, or a status came after all
        log.warning("resent_in_doubt", outbox_id=row.outbox_id)
        return await self._sender.send(state, replace(row, status=OutboxStatus.QUEUED, resent=1))


def _clock_went_back(row: OutboxRow, now: datetime) -> bool:
    """Whether the row was last touched at a time that is yet to come: what it waits for may be an hour too far away."""
    return row.status_at is not None and row.status_at > now + CLOCK_SLACK
