"""Finds the customers of whom items of the journal have waited for longer than a round takes: nobody rang for them, or
there is a backlog.

Invariants
- Who wrote lately is found however long the line of those is who wrote before.
- What came at an instant that is yet to come waits as well: a clock was wrong.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx
from storage.statuses import Fate

CLOCK_SLACK = timedelta(seconds=5)  # by which the clocks of two machines may differ


async def find_overdue_customers(
    tx: Tx, now: datetime, least_wait: timedelta, limit: int, *, fresh_for: timedelta
) -> dict[int, datetime]:
    """Finds customers with something that has waited for `least_wait`, and since when each does. One half at most are
    those whose wait began last, within `fresh_for`; the others have waited longest."""
    before = now - least_wait
    fresh = await _find_waiting(
        tx, "received_at < ? AND received_at >= ?", [before, now - fresh_for], "DESC", limit // 2
    )
    wrong = await _find_waiting(tx, "received_at > ?", [now + CLOCK_SLACK], "ASC", limit // 4)
    left = limit - len(fresh) - len(wrong)
    return wrong | fresh | await _find_waiting(tx, "received_at < ?", [before], "ASC", left)


async def _find_waiting(
    tx: Tx, which: str, instants: Sequence[datetime], order: Literal["ASC", "DESC"], limit: int
) -> dict[int, datetime]:
    rows = await tx.fetch(
        f"SELECT customer_id, MIN(received_at) AS oldest FROM item WHERE fate = ? AND {which} "
        f"AND customer_id IS NOT NULL GROUP BY +customer_id ORDER BY oldest {order} LIMIT ?",  # +: in no index's order
        [Fate.PENDING, *map(to_millis, instants), limit],
    )
    return {customer_id: from_millis(oldest) for customer_id, oldest in rows}
