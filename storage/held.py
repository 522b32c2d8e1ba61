"""Releases what is held in the outbox, once its customer has written again or a template can carry it.

Invariants
- Nothing that is held is forgotten, however much of it there is.
- A notice goes out only while it is true: one that a later notice about the same ticket has overtaken never does.
- What was held keeps its place in the order of sending.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from storage.outbox import LockedRow
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
        "SELECT id, customer_id, ticket_id, version, origin FROM outbox "
        f"WHERE status = ? AND {condition} ORDER BY id{locking}",
        [OutboxStatus.HELD, *values],
    )
    newest = await _find_newest_notices(tx, sorted({row[1] for row in rows if row[4] == Origin.NOTICE}))
    held = _HeldRows([], [])
    for outbox_id, customer_id, ticket_id, version, origin in rows:
        is_overtaken = origin == Origin.NOTICE and version < newest.get((customer_id, ticket_id), version)
        row = LockedRow(outbox_id, customer_id, ticket_id, OutboxStatus.HELD)
        (held.overtaken if is_overtaken else held.fresh).append(row)
    return held


async def _find_newest_notices(tx: Tx, customer_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """Finds the version of the newest notice about each customer's ticket, whatever became of it."""
    newest: dict[tuple[int, int], int] = {}
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


def _split(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), MAX_IDS_PER_STATEMENT):
        yield ids[start : start + MAX_IDS_PER_STATEMENT]
