"""What is held: it waits for its customer to write again, or for a template that can carry it.

Invariants: nothing that is held is forgotten, however much of it there is; a notice goes out only while it is true, so
one that a later one about the same ticket has overtaken never does; what was held keeps its place in the order of
sending.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import Origin, OutboxReason, OutboxStatus

MOST_AT_ONCE = 1000  # rows or customers that one statement names


async def release(tx: Tx, customer_ids: Sequence[int], at: datetime) -> None:
    """These customers wrote again: all that was held for them may go out, but for what has been overtaken."""
    fresh, overtaken = await _held(tx, f"customer_id IN ({placeholders(len(customer_ids))})", customer_ids)
    await _let_go(tx, overtaken, OutboxStatus.FAILED, OutboxReason.SUPERSEDED, at)
    await _let_go(tx, fresh, OutboxStatus.QUEUED, OutboxReason.NONE, at)


async def release_carried(tx: Tx, kind: str, at: datetime, since: datetime, most_refusals: int) -> int:
    """A template carries this kind of notice now: what was held for want of one may go out, but for what is older than
    `since`, was refused so often, or has been overtaken. Returns how many rows."""
    fresh, _ = await _held(
        tx,
        "payload LIKE ? AND created_at >= ? AND refusals < ?",
        [f'%"notice":{{"kind":"{kind}"%', to_millis(since), most_refusals],
    )
    await _let_go(tx, fresh, OutboxStatus.QUEUED, OutboxReason.NONE, at)
    return len(fresh)


async def _held(tx: Tx, which: str, values: Sequence[object]) -> tuple[list[int], list[int]]:
    """The rows that may go out, and the notices that a later one about the same ticket has overtaken."""
    rows = await tx.fetch(
        f"SELECT id, customer_id, ticket_id, version, origin FROM outbox WHERE status = ? AND {which} ORDER BY id",
        [OutboxStatus.HELD, *values],
    )
    noticed = sorted({row[1] for row in rows if row[4] == Origin.NOTICE})
    newest: dict[tuple[int, int], int] = {}
    for some in _parts(noticed):
        found = await tx.fetch(
            "SELECT customer_id, ticket_id, MAX(version) FROM outbox "
            f"WHERE customer_id IN ({placeholders(len(some))}) AND origin = ? GROUP BY customer_id, ticket_id",
            [*some, Origin.NOTICE],
        )
        newest |= {
            (customer_id, ticket_id): version for customer_id, ticket_id, version in found if ticket_id is not None
        }
    fresh: list[int] = []
    overtaken: list[int] = []
    for outbox_id, customer_id, ticket_id, version, origin in rows:
        late = origin == Origin.NOTICE and version < newest.get((customer_id, ticket_id), version)
        (overtaken if late else fresh).append(outbox_id)
    return fresh, overtaken


async def _let_go(tx: Tx, outbox_ids: Sequence[int], status: OutboxStatus, reason: OutboxReason, at: datetime) -> None:
    """Where nobody else has done it meanwhile."""
    for some in _parts(outbox_ids):
        await tx.execute(
            "UPDATE outbox SET status = ?, reason = ?, detail = '', status_at = ?, due_at = ? "
            f"WHERE id IN ({placeholders(len(some))}) AND status = ?",
            [status, reason, to_millis(at), to_millis(at), *some, OutboxStatus.HELD],
        )


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), MOST_AT_ONCE):
        yield ids[start : start + MOST_AT_ONCE]
