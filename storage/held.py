"""What is held: it waits for its customer to write again, or for a template that can carry it.

Invariants: nothing that is held is forgotten, however much of it there is; a notice goes out only while it is true, so
one that a later one about the same ticket has overtaken never does; what was held keeps its place in the order of
sending.
"""

from collections.abc import Sequence
from datetime import datetime

from storage.database import Tx, marks
from storage.fields import to_millis

MOST_AT_ONCE = 1000  # rows that one statement names
_OVERTAKEN = (
    "held.origin = 'notice' AND EXISTS (SELECT 1 FROM outbox AS later WHERE later.customer_id = held.customer_id "
    "AND later.ticket_id = held.ticket_id AND later.origin = 'notice' AND later.version > held.version)"
)


async def release(tx: Tx, customer_ids: Sequence[int], at: datetime) -> None:
    """These customers wrote again: all that was held for them may go out, but for what has been overtaken."""
    theirs = f"held.customer_id IN ({marks(len(customer_ids))})"
    await _let_go(tx, await _held(tx, f"{theirs} AND {_OVERTAKEN}", customer_ids), "failed", "superseded", at)
    await _let_go(tx, await _held(tx, theirs, customer_ids), "queued", "", at)


async def release_carried(tx: Tx, kind: str, at: datetime, since: datetime, most_refusals: int) -> int:
    """A template carries this kind of notice now: what was held for want of one may go out, but for what is older than
    `since`, was refused so often, or has been overtaken. Returns how many rows."""
    found = await _held(
        tx,
        f"held.payload LIKE ? AND held.created_at >= ? AND held.refusals < ? AND NOT ({_OVERTAKEN})",
        [f'%"notice":{{"kind":"{kind}"%', to_millis(since), most_refusals],
    )
    await _let_go(tx, found, "queued", "", at)
    return len(found)


async def _held(tx: Tx, which: str, values: Sequence[object]) -> list[int]:
    rows = await tx.fetch(f"SELECT held.id FROM outbox AS held WHERE held.status = 'held' AND {which}", values)
    return sorted(row[0] for row in rows)


async def _let_go(tx: Tx, outbox_ids: Sequence[int], status: str, reason: str, at: datetime) -> None:
    """Where nobody else has done it meanwhile."""
    for start in range(0, len(outbox_ids), MOST_AT_ONCE):
        some = outbox_ids[start : start + MOST_AT_ONCE]
        await tx.execute(
            "UPDATE outbox SET status = ?, reason = ?, status_at = ?, due_at = ? "
            f"WHERE id IN ({marks(len(some))}) AND status = 'held'",
            [status, reason, to_millis(at), to_millis(at), *some],
        )
