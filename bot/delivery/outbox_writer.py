"""Writes what sending does to outbox rows: everything that waits shares the next commit.

Invariants
- A row is `sending` in the database, under this process's name, before its request goes out. Who does not get the row
  does not send it.
- Nothing is marked for an address that is no longer its customer's: that is looked at in the same transaction.
- What a send came to is written until the database takes it: to forget an answer of Meta's would put a message in doubt
  that is not.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

import structlog

from bot.clock import Clock
from bot.delivery.addresses import StartedSend, find_address, find_lost
from bot.delivery.ticket_events import is_event, make_delivery_event
from bot.group_commit import GroupCommit
from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.phases import log_phase
from bot.service_window import close_window, is_window_open
from bot.templates.choice import convert_to_template
from bot.whatsapp.webhook.items import IgnoredReason
from storage import customers, event_log, fence, journal, outbox
from storage.event_log import TicketEvent
from storage.fence import CustomerGone
from storage.outbox import Move, OutboxRow
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.sql.database import Database, DatabaseDown, Tx
from storage.sql.held_rows import HeldFor
from storage.sql.lock_waits import LockWait
from storage.statuses import OutboxStatus, Why

LATE_ANSWER = timedelta(seconds=10)  # statuses that came before such an answer may have been given up by then
MAX_WRITES_PER_COMMIT = 500
RETRY_SECONDS = 0.5
log = structlog.get_logger(__name__)


class StartRefused(Enum):
    """Why a row may not be sent."""

    NOT_QUEUED = "not_queued"  # somebody else has it, or a status has settled it
    NOT_THEIR_ADDRESS = "not_their_address"  # a number that was the customer's, and is so no more


@dataclass(frozen=True, slots=True)
class AcceptedSend:
    """Meta took the message, and named it `wamid`; its row was marked as `sending` at `marked_at`."""

    outbox_id: int
    wamid: str
    marked_at: datetime


def make_move(
    row: OutboxRow,
    status: OutboxStatus,
    why: Why,
    *,
    due_at: datetime | None = None,
    resent: int = 0,
    refusals: int = 0,
) -> Move:
    """Makes the row's move from where it was seen; `due_at` None: it is due at once."""
    return Move(
        outbox_id=row.outbox_id,
        source=row.status,
        attempts=row.attempts,
        status=status,
        why=why,
        due_at=due_at,
        resent=resent,
        refusals=refusals,
        customer_id=row.customer_id,
        ticket_id=row.ticket_id,
    )


RowWrite = StartedSend | AcceptedSend | Move


class OutboxWriter:
    """Writes to the outbox for the sender of one process."""

    def __init__(self, *, database: Database, lanes: Lanes, ids: IdMaker, clock: Clock, phone_number_id: str) -> None:
        self._database = database
        self._ids = ids
        self._lanes = lanes
        self._clock = clock
        self._phone_number_id = phone_number_id
        self._group: GroupCommit[RowWrite, datetime | StartRefused] = GroupCommit(
            self._commit,
            MAX_WRITES_PER_COMMIT,
            read_keys=lambda write: (write.outbox_id,),
            held=database.held[HeldFor.SENDING],
        )

    async def mark_sending(self, send: StartedSend) -> datetime | StartRefused:
        """Marks a queued row as being sent by this process. Returns when, or why not. Raises DatabaseDown."""
        return await self._group.submit(send)

    async def find_address(self, customer_id: int) -> str:
        """Finds an address of the customer's; "" when there is none. Raises DatabaseDown."""
        async with self._database.reading() as tx:
            return await find_address(tx, customer_id)

    async def settle(self, write: AcceptedSend | Move) -> bool:
        """Writes what a send came to, however long that takes; returns False when the row had moved on meanwhile."""
        while True:
            try:
                made = await asyncio.shield(self._group.submit(write))  # written also when we are stopped
                return made is not StartRefused.NOT_QUEUED
            except DatabaseDown as error:
                log.warning("mark_waits", outbox_id=write.outbox_id, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def close_window(self, customer_id: int, sent_at: datetime) -> None:
        """Closes the window in the lane's state: Meta says that it was closed for what was sent at `sent_at`."""

        async def work(tx: Tx) -> None:
            try:
                _, body = await fence.raise_version(tx, customer_id)
            except CustomerGone:
                return  # the customer whom they have become wrote since: that window is another
            state = LaneState.from_json(body)
            await fence.write_body(tx, customer_id, close_window(state, sent_at).to_json())

        await self._run_until_done(work)
        await self._forget_copy(customer_id)

    async def move_unless_open(
        self, move: Move, customer_id: int, waits_for: Mapping[str, object] | None = None
    ) -> bool:
        """Makes a move that is due to the closed window; returns True when the row was queued instead.

        It is queued where the window is open by now, and where a template carries by now the message in `waits_for`.
        This happens behind the fence: whoever hears from the customer afterwards finds the row where it is then, and so
        does who approves a template, but for the few milliseconds in which on MySQL neither sees the other.
        """
        opened = False

        async def work(tx: Tx) -> None:
            nonlocal opened
            try:
                _, body = await fence.raise_version(tx, customer_id)
            except CustomerGone:
                opened = await outbox.move(tx, replace(move, status=OutboxStatus.QUEUED), self._clock())
                return  # who they have become looks at it anew
            now = self._clock()
            opened = is_window_open(LaneState.from_json(body).last_inbound_at, now)
            if not opened and waits_for is not None:
                opened = not isinstance(await convert_to_template(tx, waits_for), Why)
            made = replace(move, status=OutboxStatus.QUEUED) if opened else move
            if await outbox.move(tx, made, now):
                await event_log.write(tx, self._make_events([made], now))

        await self._run_until_done(work)
        await self._forget_copy(customer_id)
        return opened

    async def fail_without_address(self, move: Move, customer_id: int) -> None:
        """Makes a move that is due to the customer having no address, unless they have one by now, or have become
        another customer, who may have one. This happens behind the fence: the row is still theirs."""

        async def work(tx: Tx) -> None:
            try:
                await fence.raise_version(tx, customer_id)
            except CustomerGone:
                return
            now = self._clock()
            if not await find_address(tx, customer_id) and await outbox.move(tx, move, now):
                await event_log.write(tx, self._make_events([move], now))

        await self._run_until_done(work)
        await self._forget_copy(customer_id)

    async def _forget_copy(self, customer_id: int) -> None:
        """Has Redis forget its copy of the lane's state, whose version has moved on."""
        with contextlib.suppress(RedisDown):
            await self._lanes.ring({}, forget=[customer_id])

    async def mark_unreachable(self, customer_id: int, reason: str) -> None:
        """Notes that nothing gets through to this customer, and why."""
        await self._run_until_done(lambda tx: customers.mark_unreachable(tx, {customer_id: reason}, self._clock()))

    async def _run_until_done(self, work: Callable[[Tx], Awaitable[None]]) -> None:
        """Runs this transaction, again and again until the database takes it."""
        while True:
            try:
                return await self._database.run(work)
            except DatabaseDown as error:
                log.warning("mark_waits", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _commit(self, writes: Sequence[RowWrite], lock_wait: LockWait) -> Sequence[datetime | StartRefused]:
        """Returns for each write when it was made, or why not."""
        now = self._clock()
        sends = [write for write in writes if isinstance(write, StartedSend)]
        accepted = [write for write in writes if isinstance(write, AcceptedSend)]
        made: set[int] = set()
        lost: set[int] = set()

        async def work(tx: Tx) -> None:
            made.clear()
            lost.clear()
            lost.update(await find_lost(tx, sends))
            if started := sorted({send.outbox_id for send in sends} - lost):
                made.update(await outbox.mark_sending(tx, started, self._lanes.owner, now))
            if accepted:
                await outbox.mark_accepted(tx, {write.outbox_id: write.wamid for write in accepted}, now)
                made.update(write.outbox_id for write in accepted)
            moved = [write for write in writes if isinstance(write, Move) and await outbox.move(tx, write, now)]
            made.update(write.outbox_id for write in moved)
            await event_log.write(tx, self._make_events(moved, now))
            for write in accepted:
                if now - write.marked_at > LATE_ANSWER:
                    await journal.revive_statuses(
                        tx, self._phone_number_id, write.wamid, reason=IgnoredReason.UNKNOWN_MESSAGE
                    )

        with log_phase("marking", len(writes)):
            await self._database.run(work, lock_wait=lock_wait)
        refused = [
            StartRefused.NOT_THEIR_ADDRESS if write.outbox_id in lost else StartRefused.NOT_QUEUED for write in writes
        ]
        return [now if write.outbox_id in made else why for write, why in zip(writes, refused, strict=True)]

    def _make_events(self, moves: Sequence[Move], at: datetime) -> list[TicketEvent]:
        """Makes the events of those of these moves that are one. A move is made once, whatever becomes of its commit,
        so an id that is made within the transaction can't be the second of its event."""
        return [
            make_delivery_event(self._ids.next(), move, move.source, move.status, at, move.why)
            for move in moves
            if is_event(move, move.status, move.why)
        ]
