"""What an agent's change sends to its customer: one message, in as many rows of the outbox as its length needs.

Invariant: the rows are written in the change's own transaction, in the order of their ids, which is the order in which
they go out; with the window closed, what no template could carry is held.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.templates.choice import carried
from storage import outbox
from storage.outbox import OutboxRow
from storage.replies import least
from storage.sql.database import Tx
from storage.statuses import NO_REASON, Origin, OutboxStatus, Why

Message = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Behind:
    """A customer behind their fence."""

    customer_id: int
    version: int
    window_open: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """`origin` as in the outbox; `pieces`: the ids of the rows, and messages that fit."""

    origin: Origin
    pieces: Sequence[tuple[int, Message]]
    ticket_id: int | None

    @property
    def outbox_ids(self) -> list[int]:
        """The rows, in the order of sending."""
        return [outbox_id for outbox_id, _ in self.pieces]


async def post(tx: Tx, behind: Behind | None, letter: Letter, now: datetime) -> OutboxStatus | None:
    """Writes the letter's rows and returns the status of the least advanced; None when there is nobody to send them
    to. What the window is by then, and what a template carries, is looked at again when they are sent."""
    if behind is None:
        return None
    rows = []
    for outbox_id, message in letter.pieces:
        goes = None if behind.window_open else await carried(tx, message)
        why_held = goes if isinstance(goes, Why) else None
        row = OutboxRow(
            outbox_id,
            behind.customer_id,
            behind.version,
            letter.origin,
            json.dumps(message, ensure_ascii=False, separators=(",", ":")),
            now,
            ticket_id=letter.ticket_id,
            status=OutboxStatus.HELD if why_held else OutboxStatus.QUEUED,
            why=why_held or NO_REASON,
        )
        rows.append(row)
    await outbox.insert(tx, rows)
    return least([row.status for row in rows])


async def delivery(tx: Tx, letter: Letter) -> OutboxStatus | None:
    """Where a letter stands that an earlier try has written."""
    return least([row.status for row in await outbox.find(tx, "id", letter.outbox_ids)])
