"""Deletes what is old from the journal, and keeps how much of it there was in a day (table `daily_total`).

Invariants
- What is deleted is added to the totals of its day in the same transaction. It stays in the kept counts, which never
  shrink.
- Pending and dead items stay for ever. A dead one that is replayed after its payload would have been emptied keeps it
  until it is deleted.
- A run looks at a bounded number of rows, however many there are.
"""

from collections import Counter
from datetime import datetime, timedelta

from storage.kept_counts import DUPLICATES
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import DatabaseDown, Tx, placeholders
from storage.statuses import Fate

EMPTIED_AFTER = timedelta(days=30)
DELETED_AFTER = timedelta(days=90)
MIN_LOOKED_AT = 5000  # items: more than ever came in one millisecond
EMPTIED = "emptied"  # and a fate: the counter of when the last item came whose payload is emptied


async def apply_retention(tx: Tx, now: datetime, limit: int) -> int:
    """Empties old payloads and deletes what is older still, at most `limit` rows each; returns how many it touched, at
    least `limit` while there is more to look at."""
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
    """Goes on where the last run ended: to look for payloads among all that have none would take longer each day."""
    oldest = await tx.fetch("SELECT received_at FROM item WHERE fate = ? ORDER BY received_at LIMIT 1", [Fate.PENDING])
    # what is closed late has its turn yet
    until = min([to_millis(now - EMPTIED_AFTER), *(received_at for (received_at,) in oldest)])
    return sum([await _empty_fate(tx, fate, until, limit) for fate in (Fate.DONE, Fate.IGNORED)])


async def _empty_fate(tx: Tx, fate: Fate, until: int, limit: int) -> int:
    name = f"{EMPTIED}:{fate}"
    rows = await tx.fetch("SELECT value FROM counter WHERE name = ?", [name])
    since = int(rows[0][0]) if rows else 0
    seen = await tx.fetch(
        "SELECT id, received_at, payload <> '' FROM item WHERE fate = ? AND received_at >= ? AND received_at < ? "
        "ORDER BY received_at LIMIT ?",
        [fate, since, until, MIN_LOOKED_AT + limit],
    )
    if full := [item_id for item_id, _, is_full in seen if is_full][:limit]:
        await tx.execute(f"UPDATE item SET payload = '', effects = NULL WHERE id IN ({placeholders(len(full))})", full)
    # what is still full has its turn next; what came in the same millisecond as the last one is looked at once more
    left = [received_at for _, received_at, is_full in seen if is_full][limit:]
    reached = left[0] if left else seen[-1][1] if len(seen) == MIN_LOOKED_AT + limit else max(since, until)
    if not rows:
        await tx.insert("counter", ("name", "value"), [(name, reached)])
    elif reached > since:
        await tx.execute("UPDATE counter SET value = ? WHERE name = ?", [reached, name])
    return len(full) if reached >= until else max(len(full), limit)
