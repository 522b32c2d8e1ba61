"""Bounds what one customer may have stored in a day: a file beyond it waits at Meta until an agent asks for it.

Invariants
- The customer is told once in 24 hours, and not while a person answers them in the Business app.
- The day is the last 24 hours, so a midnight doubles nothing.
"""

import json
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.ids import IdMaker
from bot.lane_ring import ring_soon
from bot.lane_state import LaneState
from bot.whatsapp.messages.build import effect_to_message
from flows import FILES_WAIT, Say
from storage import fence, file_budgets, file_fetches, outbox
from storage.file_fetches import FetchOutcome
from storage.files import FileRow
from storage.outbox import OutboxRow
from storage.redis.lanes import Lanes
from storage.sql.database import Database, Tx
from storage.statuses import FileState, Origin

DAY = timedelta(hours=24)
MEGABYTE = 1024 * 1024


class FileBudget:
    """Keeps to the budgets in one process."""

    def __init__(
        self, *, database: Database, lanes: Lanes, ids: IdMaker, clock: Clock, megabytes_per_day: float
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._ids = ids
        self._clock = clock
        self._megabytes = megabytes_per_day

    async def reserve(self, row: FileRow, size: int) -> bool:
        """Reserves room for a file that is about to be fetched; returns whether there is any. Raises DatabaseDown."""
        if row.wanted_at is not None or row.customer_id is None:  # an agent wants it, or it is nobody's
            return True
        limit_bytes, since = int(self._megabytes * MEGABYTE), self._clock() - DAY
        return await self._database.run(
            lambda tx: file_budgets.reserve(tx, row, size, limit_bytes=limit_bytes, since=since)
        )

    def make_outcome(self, row: FileRow, size: int | None) -> FetchOutcome:
        """Makes the outcome of a fetch for which there was no room."""
        reason = f"The customer has sent more than {self._megabytes:g} MB within a day."
        return FetchOutcome(row, FileState.DEFERRED, reason, size=size, is_attempt=False)

    async def defer(self, outcome: FetchOutcome, at: datetime) -> bool:
        """Notes that a file waits, and tells its customer; returns False when another process has taken the file over.
        Raises DatabaseDown."""
        customer_id, outbox_id = outcome.row.customer_id, self._ids.next()
        if customer_id is None or await self._was_told(customer_id, at):
            return await self._database.run(lambda tx: file_fetches.finish(tx, outcome, at))

        async def work(tx: Tx) -> bool:
            version, body = await fence.raise_version(tx, customer_id)
            settled = await file_fetches.finish(tx, outcome, at)
            if settled and not _is_quiet(body, at) and not await file_budgets.was_told_since(tx, customer_id, at - DAY):
                await file_budgets.mark_told(tx, customer_id, at)
                await outbox.insert(tx, [_make_row(outbox_id, customer_id, version, at)])
            return settled

        settled = await self._database.run(work)
        await ring_soon(self._lanes, {customer_id: 0.0}, forget=[customer_id])
        return settled

    async def _was_told(self, customer_id: int, at: datetime) -> bool:
        async with self._database.reading() as tx:
            return await file_budgets.was_told_since(tx, customer_id, at - DAY)


def _is_quiet(body: str, at: datetime) -> bool:
    quiet_until = LaneState.from_json(body).quiet_until
    return quiet_until is not None and at < quiet_until


def _make_row(outbox_id: int, customer_id: int, version: int, at: datetime) -> OutboxRow:
    return OutboxRow(
        outbox_id=outbox_id,
        customer_id=customer_id,
        version=version,
        origin=Origin.PROMPT,
        payload=json.dumps(effect_to_message(Say(FILES_WAIT)), ensure_ascii=False, separators=(",", ":")),
        due_at=at,
    )
