"""Releases what is held in the outbox, once its customer has written again or a template can carry it.

Invariants
- Nothing that is held is forgotten, however much of it there is.
- A notice goes out only while it is true: one that a later notice about the same ticket has overtaken never does.
- What was held keeps its place in the order of sending.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from storage import kept_counts
from storage.kept_counts import Counted
from storage.outbox import LOCKED_COLUMNS, LockedRow, make_locked_row
from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import Origin, OutboxReason, OutboxStatus

MAX_IDS_PER_STATEMENT = 1000


class _HeldRows(NamedTuple):
    """Held rows: those that may go out, and notices that a later one has overtaken."""

    fresh: list[LockedRow]
    overtaken: list[LockedRow]


async def release(tx: Tx, customer_ids: Sequence[int], at: datetime) -> list[LockedRow]:
    """Queues all that is held for these customers, who wrote again, but for what has been overtaken; returns that."""
    held = await _find_held(tx, f"customer_id IN ({placeholders(len(customer_ids))})", customer_ids)
    await _move(tx, held.overtaken, OutboxStatus.FAILED, OutboxReason.SUPERSEDED, at)
    await _move(tx, held.fresh, OutboxStatus.QUEUED, OutboxReason.NONE, at)
    return held.overtaken


async def release_carried(tx: Tx, kind: str, at: datetime, since: datetime, max_refusals: int) -> int:
    """Queues what is held for want of a template that carries this kind of notice, since one does now; but not what is
    older than `since`, was refused `max_refusals` times, or has been overtaken. Returns how many rows."""
    held = await _find_held(
        tx,
        "payload LIKE ? AND created_at >= ? AND refusals < ?",
        [f'%"notice":{{"kind":"{kind}"%', to_millis(since), max_refusals],
    )
    await _move(tx, held.fresh, OutboxStatus.QUEUED, OutboxReason.NONE, at)
    return len(held.fresh)


async def _find_held(tx: Tx, condition: str, values: Sequence[object]) -> _HeldRows:
    locking = "" if tx.dialect == "sqlite" else " FOR UPDATE"
    rows = await tx.fetch(
        f"SELECT version, origin, {LOCKED_COLUMNS} FROM outbox WHERE status = ? AND {condition} ORDER BY id{locking}",
        [OutboxStatus.HELD, *values],
    )
    locked = [(version, origin, make_locked_row(*row)) for version, origin, *row in rows]
    noticed = sorted({row.customer_id for _, origin, row in locked if origin == Origin.NOTICE})
    newest = await _find_newest_notices(tx, noticed)
    held = _HeldRows([], [])
    for version, origin, row in locked:
        is_overtaken = origin == Origin.NOTICE and version < newest.get((row.customer_id, row.ticket_id), version)
        (held.overtaken if is_overtaken else held.fresh).append(row)
    return held


async def _find_newest_notices(tx: Tx, customer_ids: Sequence[int]) -> dict[tuple[int, int | None], int]:
    """Finds the version of the newest notice about each customer's ticket, whatever became of it."""
    newest: dict[tuple[int, int | None], int] = {}
    for some in _split(customer_ids):
        found = await tx.fetch(
            "SELECT customer_id, ticket_id, MAX(version) FROM outbox "
            f"WHERE customer_id IN ({placeholders(len(some))}) AND origin = ? GROUP BY customer_id, ticket_id",
            [*some, Origin.NOTICE],
        )
        newest |= {
            (customer_id, ticket_id): version for customer_id, ticket_id, version in found if ticket_id is not None
        }
    return newest


async def _move(tx: Tx, rows: Sequence[LockedRow], status: OutboxStatus, reason: OutboxReason, at: datetime) -> None:
    """Moves rows that are held and locked."""
    for some in _split([row.outbox_id for row in rows]):
        await tx.execute(
            "UPDATE outbox SET status = ?, reason = ?, detail = '', status_at = ?, due_at = ? "
            f"WHERE id IN ({placeholders(len(some))})",
            [status, reason, to_millis(at), to_millis(at), *some],
        )
    kept_counts.move(tx, Counted.OUTBOX, OutboxStatus.HELD, status, len(rows))


def _split(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), MAX_IDS_PER_STATEMENT):
        yield ids[start : start + MAX_IDS_PER_STATEMENT]
