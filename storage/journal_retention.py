"""Deletes what is old from the journal, and keeps how much of it there was in a day (table `daily_total`).

Invariants
- What is deleted is added to the totals of its day in the same transaction. It stays in the kept counts, which never
  shrink.
- Pending and dead items stay for ever.
"""

from collections import Counter
from datetime import datetime, timedelta

from storage.kept_counts import DUPLICATES
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import DatabaseDown, Tx, placeholders
from storage.statuses import Fate

EMPTIED_AFTER = timedelta(days=30)
DELETED_AFTER = timedelta(days=90)


async def apply_retention(tx: Tx, now: datetime, limit: int) -> int:
    """Empties old payloads and deletes what is older still, at most `limit` rows each; returns how many it touched."""
    return await _delete_old(tx, now, limit) + await _empty_old(tx, now, limit)


async def _delete_old(tx: Tx, now: datetime, limit: int) -> int:
    old = await tx.fetch(
        "SELECT id, fate, received_at, duplicates FROM item WHERE fate IN (?, ?) AND received_at < ? LIMIT ?",
        [Fate.DONE, Fate.IGNORED, to_millis(now - DELETED_AFTER), limit],
    )
    if not old:
        return 0
    totals: Counter[tuple[str, str]] = Counter()
    for _, fate, received_at, duplicates in old:
        day = from_millis(received_at).date().isoformat()
        totals[day, fate] += 1
        totals[day, DUPLICATES] += duplicates
    deleted = await tx.execute(f"DELETE FROM item WHERE id IN ({placeholders(len(old))})", [row[0] for row in old])
    if deleted != len(old):
        raise DatabaseDown("another process is deleting the same items")  # and has counted them
    for (day, fate), total in sorted((+totals).items()):  # MySQL reports a row to which nothing is added as unchanged
        key = f"{day}:{fate}"
        if not await tx.execute("UPDATE daily_total SET total = total + ? WHERE id = ?", [total, key]):
            await tx.insert("daily_total", ("id", "fate", "total"), [(key, fate, total)])
    return len(old)


async def _empty_old(tx: Tx, now: datetime, limit: int) -> int:
    full = await tx.fetch(
        "SELECT id FROM item WHERE fate IN (?, ?) AND received_at < ? AND payload <> '' LIMIT ?",
        [Fate.DONE, Fate.IGNORED, to_millis(now - EMPTIED_AFTER), limit],
    )
    if full:
        await tx.execute(
            f"UPDATE item SET payload = '', effects = NULL WHERE id IN ({placeholders(len(full))})",
            [row[0] for row in full],
        )
    return len(full)
