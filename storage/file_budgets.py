"""Keeps what one customer may have stored in a day (table `file_budget`, and what the rows of `file` add up to).

Invariants
- Who reserves holds the lock of the customer's row, so that files that are fetched at the same time, by any processes,
  don't take the same room.
- What a dead process had reserved counts until its file is taken over, and no longer.
- A file that an agent wants takes nothing of it.
"""

from datetime import datetime

from storage.files import FileRow
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import FileState


async def reserve(tx: Tx, row: FileRow, size: int, *, limit_bytes: int, since: datetime) -> bool:
    """Reserves room for a file, as it was claimed, in its customer's budget since `since`; returns whether there is
    any. Safe to run again."""
    clash = "CONFLICT (customer_id) DO NOTHING" if tx.dialect == "sqlite" else "DUPLICATE KEY UPDATE told_at = told_at"
    await tx.execute(f"INSERT INTO file_budget (customer_id) VALUES (?) ON {clash}", [row.customer_id])
    if await _sum_taken(tx, row, since) + size > limit_bytes:
        return False
    await tx.execute(
        "UPDATE file SET reserved_bytes = ? WHERE id = ? AND state = ? AND owner = ? AND attempts = ?",
        [size, row.file_id, FileState.FETCHING, row.owner, row.attempts],
    )
    return True


async def _sum_taken(tx: Tx, row: FileRow, since: datetime) -> int:
    """Sums up the customer's other files: those stored since then, and those on their way."""
    rows = await tx.fetch(
        "SELECT COALESCE(SUM(bytes), 0) FROM ("
        "SELECT size AS bytes FROM file "
        "WHERE customer_id = ? AND stored_at >= ? AND direction = 'in' AND wanted_at IS NULL AND id <> ? "
        "UNION ALL SELECT reserved_bytes FROM file "
        "WHERE state = ? AND customer_id = ? AND direction = 'in' AND wanted_at IS NULL AND id <> ?) AS taken",
        [row.customer_id, to_millis(since), row.file_id, FileState.FETCHING, row.customer_id, row.file_id],
    )
    return int(rows[0][0])


async def was_told_since(tx: Tx, customer_id: int, since: datetime) -> bool:
    """Whether the customer was told since then that their files wait."""
    rows = await tx.fetch(
        "SELECT 1 FROM file_budget WHERE customer_id = ? AND told_at >= ?", [customer_id, to_millis(since)]
    )
    return bool(rows)


async def mark_told(tx: Tx, customer_id: int, at: datetime) -> None:
    """Notes that the customer is told now."""
    await tx.execute("UPDATE file_budget SET told_at = ? WHERE customer_id = ?", [to_millis(at), customer_id])
