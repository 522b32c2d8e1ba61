"""Marks on outbox rows, many a commit.

Invariant: a row is `sending` in the database, under this process's name, before its request goes out; whoever does not
get the mark does not send. What a send came to is written until the database takes it: to forget an answer of Meta's
would put a message in doubt that is not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.group import GroupCommit
from bot.phases import phase
from storage import journal, outbox
from storage.database import Database, DatabaseDown, Tx

LEARNED_LATE = timedelta(seconds=10)
MOST_MARKS = 500
RETRY_SECONDS = 0.5
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """`status`: where the row goes. `wamid`: with `accepted`. The rest: see `outbox.move`."""

    outbox_id: int
    status: str
    wamid: str = ""
    reason: str = ""
    due_at: datetime | None = None
    resent: int = 0
    marked_at: datetime | None = None


class Marks:
    """Writes marks for one process."""

    def __init__(self, database: Database, owner: str, clock: Clock, phone_number_id: str) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock
        self._phone_number_id = phone_number_id
        self._group: GroupCommit[Mark, datetime | None] = GroupCommit(self._write, MOST_MARKS)

    async def sending(self, outbox_id: int) -> datetime | None:
        """When the row was marked as being sent by us; None when somebody else has it. Raises DatabaseDown."""
        return await self._group.submit(Mark(outbox_id, "sending"))

    async def settle(self, mark: Mark) -> None:
        """Writes what a send came to, however long that takes."""
        while True:
            try:
                await self._group.submit(mark)
                return
            except DatabaseDown as error:
                log.warning("mark_waits", outbox_id=mark.outbox_id, status=mark.status, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, marks: Sequence[Mark]) -> Sequence[datetime | None]:
        now = self._clock()
        got: set[int] = set()

        async def work(tx: Tx) -> None:
            got.clear()
            if starting := sorted(mark.outbox_id for mark in marks if mark.status == "sending"):
                got.update(await outbox.mark_sending(tx, starting, self._owner, now))
            accepted = {mark.outbox_id: mark.wamid for mark in marks if mark.status == "accepted"}
            if accepted:
                await outbox.mark_accepted(tx, accepted, now)
            for mark in marks:
                if mark.status not in ("sending", "accepted"):
                    await outbox.move(
                        tx, mark.outbox_id, mark.status, now, reason=mark.reason, due_at=mark.due_at, resent=mark.resent
                    )
                elif mark.wamid and mark.marked_at and now - mark.marked_at > LEARNED_LATE:
                    await journal.revive_statuses(tx, self._phone_number_id, mark.wamid)

        with phase("marking", len(marks)):
            await self._database.run(work)
        return [now if mark.outbox_id in got else None for mark in marks]
