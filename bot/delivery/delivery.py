"""Delivers a lane: its rows go out one after the other, each at most once as far as anybody can know.

Invariants
- A later row never overtakes an earlier one of its customer.
- A row in doubt (nobody knows whether Meta took it) is not sent again before a status has had doubt_seconds to settle
  it. What becomes of it then is decided in doubt.py.
- A row that was marked by a process that died, and that had surely not begun to leave, is sent at once.
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
from bot.delivery.departures import Departures
from bot.delivery.doubt import DoubtEnd, end_doubt
from bot.delivery.doubt_clock import DoubtClock
from bot.delivery.outbox_writer import OutboxWriter, make_move
from bot.delivery.row_moves import Deferred
from bot.delivery.sender import LOOK_AGAIN_SECONDS, RETRY_SECONDS, Sender
from bot.heartbeat import Heartbeat
from bot.lane_state import LaneState
from bot.metrics import Metrics
from storage.outbox import FOR_A_PERSON, OutboxRow
from storage.sql.database import DatabaseDown
from storage.statuses import OutboxReason, OutboxStatus, Why

MAX_RESENDS_AT_ONCE = 2  # what a dead process was sending comes due at once, and a second death must not meet all of it
MAX_SLOT_WAIT_SECONDS = 2.0
MAX_UNSENT_MARKS = 5  # what was marked more often may be what kills its senders, and is sent as if it were in doubt
MAX_MARK_AGE = timedelta(seconds=60)  # of a mark that a dead process left: it is found within seconds
NEVER_LEFT = Why(OutboxReason.NOT_SENT, "Tick stopped just before it was sent. It goes out by itself.")
CLOCK_SLACK = timedelta(seconds=5)
NEWS_CHECK_SECONDS = 0.5  # until the next look at whether news could have come; who answers says so twice a second
OWNER_CHECK_SECONDS = 1.0  # until the next look at a row that another process is sending
log = structlog.get_logger(__name__)


class Delivery:
    """Delivers the lanes of one process."""

    def __init__(
        self,
        *,
        writer: OutboxWriter,
        sender: Sender,
        heartbeat: Heartbeat,
        departures: Departures,
        doubt_clock: DoubtClock,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._writer = writer
        self._sender = sender
        self._heartbeat = heartbeat
        self._clock = clock
        self._metrics = metrics
        self._departures = departures
        self._doubt_clock = doubt_clock
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
            return await self._attend_marked(state, row)
        if row.status is OutboxStatus.UNKNOWN:
            if row.due_at == FOR_A_PERSON:
                return None  # a person decides about it; the lane goes on
            if _is_of_the_future(row, now):
                await self._writer.settle(
                    make_move(row, OutboxStatus.UNKNOWN, row.why, due_at=now + self._doubt_clock.doubt)
                )
                return Deferred(self._doubt_clock.doubt.total_seconds())
            if row.due_at > now:
                return Deferred((row.due_at - now).total_seconds())
            return await self._wait_for_news(row) or await self._end_doubt(state, row)
        if row.due_at > now and not _is_of_the_future(row, now):
            return Deferred((row.due_at - now).total_seconds())
        return await self._sender.send(state, row)

    async def _attend_marked(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """Does what a row needs that is marked as being sent: nothing, as long as somebody is at it."""
        if row.owner == self._heartbeat.owner:
            if self._sender.is_busy_with(row.outbox_id):
                return Deferred(OWNER_CHECK_SECONDS)
            has_left = self._departures.has_begun(row.outbox_id)
        else:
            departed = await asyncio.to_thread(self._departures.find_departed, row.owner)
            if departed is None and not await self._is_known_as_dead(row.owner):
                return Deferred(OWNER_CHECK_SECONDS)
            has_left = departed is None or row.outbox_id in departed
        if has_left or row.attempts > MAX_UNSENT_MARKS or not self._is_fresh(row):
            return await self._begin_doubt(row)
        if not await self._writer.settle(make_move(row, OutboxStatus.QUEUED, NEVER_LEFT)):
            return Deferred(LOOK_AGAIN_SECONDS)
        log.info("marked_and_never_left", outbox_id=row.outbox_id)
        return await self._sender.send(state, replace(row, status=OutboxStatus.QUEUED))

    async def _is_known_as_dead(self, owner: str) -> bool:
        try:
            alive = await self._heartbeat.find_alive_owners()
        except DatabaseDown:
            return False
        return alive is not None and owner not in alive

    def _is_fresh(self, row: OutboxRow) -> bool:
        """Whether the row was marked a moment ago; if not, the database may be one that was restored since."""
        return row.marked_at is not None and abs(self._clock() - row.marked_at) < MAX_MARK_AGE

    async def _begin_doubt(self, row: OutboxRow) -> Deferred:
        now = self._clock()
        due_at = min(row.marked_at or now, now) + self._doubt_clock.doubt
        await self._writer.settle(make_move(row, OutboxStatus.UNKNOWN, Why(OutboxReason.SENDER_DIED), due_at=due_at))
        if row.owner == self._heartbeat.owner:
            self._departures.end(row.outbox_id)
        return Deferred(max(0.0, (due_at - self._clock()).total_seconds()))

    async def _wait_for_news(self, row: OutboxRow) -> Deferred | None:
        """Returns Deferred while the doubt of a row that is due goes on, since no news could come for a while."""
        try:
            ends_at = await self._doubt_clock.find_end(row)
        except DatabaseDown:
            return Deferred(RETRY_SECONDS)
        if ends_at is None:
            return None
        if ends_at < row.due_at:
            await self._writer.settle(make_move(row, OutboxStatus.UNKNOWN, row.why, due_at=ends_at))
        return Deferred(max(NEWS_CHECK_SECONDS, (ends_at - self._clock()).total_seconds()))

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
