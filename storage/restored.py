"""Settles a database that went back to an earlier state, so that nothing which was done since is done a second time.

It goes back when it is restored from a backup, or when a server takes over that lost commits. What was done since is
not in it: a message that it takes for queued may have gone out, and a number that it takes for free may be a ticket's.

Invariants, once this is committed
- Nothing goes out by itself that was to go out before. What agents wrote waits for a person; the bot's own has failed,
  and says why. A status that comes after all settles it, as it settles any send in doubt.
- What a customer wrote before, and no turn had seen, has its turn, but is not answered: it may have been.
- No copy of a lane state in Redis is at a version that a state can come to have here.
- No number that a ticket got since is given to another, unless there were more than SKIPPED_NUMBERS.
- Nobody is signed in: a session that was ended since would be open again.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from storage import agents, kept_counts, ticket_numbers
from storage.kept_counts import Counted
from storage.outbox import FOR_A_PERSON, MOVES
from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import Fate, Origin, OutboxReason, OutboxStatus, PendingReason

SUBJECT = "database:went_back"  # of the alert
SKIPPED_NUMBERS = 1000  # tickets are few, and their numbers stay short
SKIPPED_VERSIONS = 1_000_000  # no customer is written to as often between a backup and its restoring
MAX_IDS_PER_STATEMENT = 1000
OPEN = (OutboxStatus.QUEUED, OutboxStatus.SENDING, OutboxStatus.UNKNOWN, OutboxStatus.HELD)


class OpenRow(NamedTuple):
    """A row of the outbox that might have gone out since."""

    outbox_id: int
    customer_id: int
    ticket_id: int | None
    status: OutboxStatus
    origin: Origin

    @property
    def target(self) -> OutboxStatus:
        """What becomes of it."""
        return OutboxStatus.UNKNOWN if self.origin is Origin.AGENT else OutboxStatus.FAILED


async def lock_open_rows(tx: Tx) -> list[OpenRow]:
    """Locks all rows that would go out by themselves, once something happens; those that wait for a person do not."""
    locking = "" if tx.dialect == "sqlite" else " FOR UPDATE"
    rows = await tx.fetch(
        f"SELECT id, customer_id, ticket_id, status, origin FROM outbox WHERE status IN ({placeholders(len(OPEN))}) "
        f"AND NOT (status = ? AND due_at = ?) ORDER BY id{locking}",
        [*OPEN, OutboxStatus.UNKNOWN, to_millis(FOR_A_PERSON)],
    )
    return [
        OpenRow(outbox_id, customer_id, ticket_id, OutboxStatus(status), Origin(origin))
        for outbox_id, customer_id, ticket_id, status, origin in rows
    ]


async def doubt_rows(tx: Tx, rows: Sequence[OpenRow], at: datetime) -> None:
    """Puts rows, which are locked, in doubt: each moves to its target, and says why."""
    for (source, target), group in groupby(sorted(rows, key=_get_move), key=_get_move):
        if source not in MOVES[target]:
            raise ValueError(f"a row never goes from {source} to {target}")
        ids = [row.outbox_id for row in group]
        due_at = FOR_A_PERSON if target is OutboxStatus.UNKNOWN else at
        for start in range(0, len(ids), MAX_IDS_PER_STATEMENT):
            some = ids[start : start + MAX_IDS_PER_STATEMENT]
            await tx.execute(
                "UPDATE outbox SET status = ?, reason = ?, detail = '', status_at = ?, due_at = ? "
                f"WHERE id IN ({placeholders(len(some))})",
                [target, OutboxReason.WENT_BACK, to_millis(at), to_millis(due_at), *some],
            )
        kept_counts.move(tx, Counted.OUTBOX, source, target, len(ids))


def _get_move(row: OpenRow) -> tuple[OutboxStatus, OutboxStatus]:
    return row.status, row.target


async def silence_pending(tx: Tx) -> int:
    """Marks what waits for its turn as not to be answered; returns how much that is."""
    return await tx.execute(
        "UPDATE item SET reason = ? WHERE fate = ? AND reason = ''", [PendingReason.WENT_BACK, Fate.PENDING]
    )


async def skip_ahead(tx: Tx) -> None:
    """Has versions and ticket numbers go on beyond all that were given since, and ends all sign-ins."""
    await tx.execute("UPDATE conversation SET version = version + ?", [SKIPPED_VERSIONS])
    await ticket_numbers.reserve(tx, SKIPPED_NUMBERS)
    await agents.end_every_session(tx)
