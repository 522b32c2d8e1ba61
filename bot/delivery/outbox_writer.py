"""Marks on outbox rows, many a commit.

Invariant: a row is `sending` in the database, under this process's name, before its request goes out; whoever does not
get the mark does not send. What a send came to is written until the database takes it: to forget an answer of Meta's
would put a message in doubt that is not.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.group_commit import GroupCommit
from bot.lane_state import LaneState
from bot.phases import phase
from bot.service_window import window_open, without_window
from bot.templates.choice import carried
from storage import customers, fence, journal, outbox
from storage.outbox import Move
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.sql.database import Database, DatabaseDown, Tx
from storage.statuses import OutboxStatus, Why

LEARNED_LATE = timedelta(seconds=10)
MOST_MARKS = 500
RETRY_SECONDS = 0.5
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sending:
    """A queued row, about to be sent by us."""

    outbox_id: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Meta took the message, which we had marked as being sent at `marked_at`."""

    outbox_id: int
    wamid: str
    marked_at: datetime


Mark = Sending | Taken | Move


class Marks:
    """Writes marks for one process."""

    def __init__(self, database: Database, lanes: Lanes, clock: Clock, phone_number_id: str) -> None:
        self._database = database
        self._lanes = lanes
        self._clock = clock
        self._phone_number_id = phone_number_id
        self._group: GroupCommit[Mark, datetime | None] = GroupCommit(self._write, MOST_MARKS)

    async def sending(self, outbox_id: int) -> datetime | None:
        """When the row was marked as being sent by us; None when somebody else has it. Raises DatabaseDown."""
        return await self._group.submit(Sending(outbox_id))

    async def settle(self, mark: Taken | Move) -> bool:
        """Writes what a send came to, however long that takes; False when the row had moved on meanwhile."""
        while True:
            try:
                return await asyncio.shield(self._group.submit(mark)) is not None  # written also when we are stopped
            except DatabaseDown as error:
                log.warning("mark_waits", outbox_id=mark.outbox_id, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def close_window(self, customer_id: int, sent_at: datetime) -> None:
        """Meta says that the window was closed for what was sent then: so says our record from now on."""

        async def work(tx: Tx) -> None:
            _, body = await fence.raise_version(tx, customer_id)
            state = LaneState.from_json(body)
            await fence.write_body(tx, customer_id, without_window(state, sent_at).to_json())

        await self._insist(work)
        await self._forget(customer_id)

    async def queued_if_open(self, step: Move, customer_id: int, waits_for: Mapping[str, object] | None = None) -> bool:
        """Makes the step because the window is closed, or queues the row where it is not any more, or where a template
        carries by now the message that `waits_for` one; whether that was so. Behind the fence: whoever hears from the
        customer after this finds the row where it is then, and so does who approves a template, but for the few
        milliseconds in which on MySQL neither sees the other."""
        opened = False

        async def work(tx: Tx) -> None:
            nonlocal opened
            _, body = await fence.raise_version(tx, customer_id)
            now = self._clock()
            opened = window_open(LaneState.from_json(body).last_inbound_at, now)
            if not opened and waits_for is not None:
                opened = not isinstance(await carried(tx, waits_for), Why)
            await outbox.move(tx, replace(step, status=OutboxStatus.QUEUED) if opened else step, now)

        await self._insist(work)
        await self._forget(customer_id)
        return opened

    async def _forget(self, customer_id: int) -> None:
        """The version has moved on."""
        with contextlib.suppress(RedisDown):
            await self._lanes.ring({}, forget=[customer_id])

    async def unreachable(self, customer_id: int, reason: str) -> None:
        """Nothing gets through to this customer."""
        await self._insist(lambda tx: customers.mark_unreachable(tx, {customer_id: reason}, self._clock()))

    async def _insist(self, work: Callable[[Tx], Awaitable[None]]) -> None:
        while True:
            try:
                return await self._database.run(work)
            except DatabaseDown as error:
                log.warning("mark_waits", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, marks: Sequence[Mark]) -> Sequence[datetime | None]:
        now = self._clock()
        starting = sorted(mark.outbox_id for mark in marks if isinstance(mark, Sending))
        taken = [mark for mark in marks if isinstance(mark, Taken)]
        made: set[int] = set()

        async def work(tx: Tx) -> None:
            made.clear()
            if starting:
                made.update(await outbox.mark_sending(tx, starting, self._lanes.owner, now))
            if taken:
                await outbox.mark_accepted(tx, {mark.outbox_id: mark.wamid for mark in taken}, now)
                made.update(mark.outbox_id for mark in taken)
            for mark in marks:
                if isinstance(mark, Move) and await outbox.move(tx, mark, now):
                    made.add(mark.outbox_id)
            for mark in taken:
                if now - mark.marked_at > LEARNED_LATE:
                    await journal.revive_statuses(tx, self._phone_number_id, mark.wamid)

        with phase("marking", len(marks)):
            await self._database.run(work)
        return [now if mark.outbox_id in made else None for mark in marks]
