"""The journal: everything that arrived, each with exactly one visible fate.

Invariants: received = done + ignored + dead + pending, always; a key is taken once, for ever (until retention adds it
to the daily totals), and what comes with a key that is taken raises the first item's `duplicates` and has no effect.
Only a pending item is closed, and closing says how many it closed, so that two workers can't both have an effect.
"""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import DatabaseDown, Tx, marks
from storage.statuses import Fate

UNKNOWN_MESSAGE = "unknown_message"
MOST_ATTEMPTS = 5
COLUMNS = (
    "id", "key", "kind", "customer_id", "address", "meta_at", "received_at", "payload", "fate", "reason", "attempts",
    "late", "duplicates", "closed_at",
)  # fmt: skip
AT_ONCE = 5000  # a statement of SQLite takes 32,766 parameters
EMPTIED_AFTER = timedelta(days=30)
DELETED_AFTER = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item on its way into the journal; `reason` is set when it is ignored at the edge, `done` when all that it says
    is written in the same transaction."""

    item_id: int
    key: str
    kind: str
    customer_id: int | None
    address: str
    meta_at: datetime
    received_at: datetime
    payload: str
    reason: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class PendingItem:
    """An item that waits for its turn."""

    item_id: int
    key: str
    kind: str
    customer_id: int
    address: str
    meta_at: datetime
    received_at: datetime
    payload: str
    attempts: int
    late: bool


async def holders(tx: Tx, keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """(item, payload) of those of these keys that are taken."""
    found: dict[str, tuple[int, str]] = {}
    for start in range(0, len(keys), 1000):
        some = keys[start : start + 1000]
        rows = await tx.fetch(f"SELECT `key`, id, payload FROM item WHERE `key` IN ({marks(len(some))})", some)
        found |= {key: (item_id, payload) for key, item_id, payload in rows}
    return found


async def store(tx: Tx, items: Sequence[NewItem], held: Mapping[str, tuple[int, str]] | None = None) -> int:
    """Inserts what is new and counts what is not; returns how many were duplicates. `held`: what `holders` says of the
    items' keys in this transaction.

    Raises IntegrityError when another process took a key meanwhile: run the transaction again. An item that is found
    under its own id was stored by an earlier try whose commit had an unknown outcome; it is no duplicate.
    """
    if held is None:
        held = await holders(tx, [item.key for item in items])
    known = {key: item_id for key, (item_id, _) in held.items()}
    rows = []
    repeated: Tally[str] = Tally()
    for item in items:
        holder = known.setdefault(item.key, -item.item_id)
        if holder == -item.item_id:
            rows.append(_row(item))
        elif holder != item.item_id:
            repeated[item.key] += 1
    if any(known[item.key] == item.item_id for item in items):
        return repeated.total()  # that earlier try has counted them too
    await tx.insert("item", COLUMNS, rows)
    for key, times in sorted(repeated.items()):
        await tx.execute("UPDATE item SET duplicates = duplicates + ? WHERE `key` = ?", [times, key])
    return repeated.total()


def _row(item: NewItem) -> tuple[object, ...]:
    received = to_millis(item.received_at)
    fate = Fate.IGNORED if item.reason else Fate.DONE if item.done else Fate.PENDING
    closed = None if fate is Fate.PENDING else received
    return (item.item_id, item.key, item.kind, item.customer_id, item.address, to_millis(item.meta_at), received,
            item.payload, fate, item.reason, 0, False, 0, closed)  # fmt: skip


PENDING = "id, `key`, kind, customer_id, address, meta_at, received_at, payload, attempts, late"


async def pending(tx: Tx, customer_ids: Sequence[int], most_per_lane: int) -> list[PendingItem]:
    """What waits in these lanes, in the order in which each lane handles it: Meta's timestamp, then arrival. Of each
    lane at most so many statuses, and so many of all else, whose turns have one order."""
    rows = await tx.fetch(
        f"SELECT {PENDING} FROM (SELECT {PENDING}, ROW_NUMBER() OVER "
        "(PARTITION BY customer_id, kind = 'status' ORDER BY meta_at, id) AS place FROM item "
        f"WHERE customer_id IN ({marks(len(customer_ids))}) AND fate = ?) AS waiting "
        "WHERE place <= ? ORDER BY customer_id, meta_at, id",
        [*customer_ids, Fate.PENDING, most_per_lane],
    )
    return [_pending_item(*row) for row in rows]


def _pending_item(*row: Any) -> PendingItem:
    item_id, key, kind, customer_id, address, meta_at, received_at, payload, attempts, late = row
    return PendingItem(
        item_id, key, kind, customer_id, address, from_millis(meta_at), from_millis(received_at), payload, attempts,
        bool(late),
    )  # fmt: skip


async def waiting(tx: Tx, customer_ids: Sequence[int]) -> Sequence[tuple[int, int, int]]:
    """(customer, meta_at in milliseconds, item) of all that waits for a turn in these lanes, as it is now."""
    rows = await tx.fetch(
        "SELECT customer_id, meta_at, id FROM item "
        f"WHERE customer_id IN ({marks(len(customer_ids))}) AND fate = ? AND kind <> 'status'",
        [*customer_ids, Fate.PENDING],
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def close(
    tx: Tx,
    item_ids: Sequence[int],
    fate: Fate,
    at: datetime,
    *,
    reason: str = "",
    effects: Mapping[int, str] | None = None,
) -> int:
    """Gives pending items their fate; returns how many were still pending."""
    if len(item_ids) > AT_ONCE:
        parts = [item_ids[start : start + AT_ONCE] for start in range(0, len(item_ids), AT_ONCE)]
        return sum([await close(tx, part, fate, at, reason=reason, effects=effects) for part in parts])
    if not item_ids:
        return 0
    written = {item_id: effects[item_id] for item_id in item_ids} if effects else {}
    when = f"effects = CASE id{' WHEN ? THEN ?' * len(written)} END, " if written else ""
    return await tx.execute(
        f"UPDATE item SET {when}fate = ?, reason = ?, closed_at = ? WHERE id IN ({marks(len(item_ids))}) AND fate = ?",
        [*(value for pair in written.items() for value in pair), fate, reason, to_millis(at), *item_ids, Fate.PENDING],
    )


async def mark_late(tx: Tx, item_ids: Sequence[int]) -> None:
    """These came after something younger of the same customer had been handled."""
    if item_ids:
        await tx.execute(f"UPDATE item SET late = ? WHERE id IN ({marks(len(item_ids))})", [True, *item_ids])


async def count_attempts(tx: Tx, item_ids: Sequence[int], error: str) -> dict[int, int]:
    """One more failed attempt of each pending item; returns how many each has had."""
    chosen = marks(len(item_ids))
    await tx.execute(
        f"UPDATE item SET attempts = attempts + 1, error = ? WHERE id IN ({chosen}) AND fate = ?",
        [error[:4000], *item_ids, Fate.PENDING],
    )
    return await attempts_of(tx, item_ids)


async def attempts_of(tx: Tx, item_ids: Sequence[int]) -> dict[int, int]:
    """How many failed attempts each item has had."""
    return dict(await tx.fetch(f"SELECT id, attempts FROM item WHERE id IN ({marks(len(item_ids))})", item_ids))


async def replay(tx: Tx, item_id: int) -> bool:
    """Sets a dead item pending again, without attempts, to run marked late; False when it is not dead."""
    return bool(
        await tx.execute(
            "UPDATE item SET fate = ?, reason = '', attempts = 0, late = ?, error = NULL, closed_at = NULL "
            "WHERE id = ? AND fate = ?",
            [Fate.PENDING, True, item_id, Fate.DEAD],
        )
    )


async def revive_statuses(tx: Tx, phone_number_id: str, wamid: str) -> int:
    """Statuses that nobody knew in time are applied after all, now that `wamid` is known."""
    prefix = f"s:{phone_number_id}:{wamid}"
    return await tx.execute(
        "UPDATE item SET fate = ?, reason = '', closed_at = NULL "
        "WHERE `key` >= ? AND `key` < ? AND fate = ? AND reason = ?",
        [Fate.PENDING, f"{prefix}:", f"{prefix};", Fate.IGNORED, UNKNOWN_MESSAGE],
    )


async def handled_messages(tx: Tx, phone_number_id: str, wamids: Sequence[str]) -> set[str]:
    """Those of these messages to or from our number that have come, and wait no more."""
    keys = {f"m:{phone_number_id}:{wamid}": wamid for wamid in wamids}
    if not keys:
        return set()
    rows = await tx.fetch(
        f"SELECT `key` FROM item WHERE `key` IN ({marks(len(keys))}) AND fate <> ?", [*keys, Fate.PENDING]
    )
    return {keys[row[0]] for row in rows}


async def overdue(tx: Tx, before: datetime, most: int) -> Sequence[int]:
    """Customers with something that has waited since `before`, the longest waiting first."""
    rows = await tx.fetch(
        "SELECT customer_id, MIN(received_at) AS oldest FROM item WHERE fate = ? AND received_at < ? "
        "AND customer_id IS NOT NULL GROUP BY customer_id ORDER BY oldest LIMIT ?",
        [Fate.PENDING, to_millis(before), most],
    )
    return [row[0] for row in rows]


async def counts(tx: Tx) -> dict[str, int]:
    """received, done, ignored, dead, pending and duplicates, with what retention has deleted."""
    totals: dict[str, int] = dict.fromkeys((*Fate, "duplicates"), 0)
    for fate, count, duplicates in await tx.fetch("SELECT fate, COUNT(*), SUM(duplicates) FROM item GROUP BY fate"):
        totals[fate] += int(count)
        totals["duplicates"] += int(duplicates)
    for fate, total in await tx.fetch("SELECT fate, SUM(total) FROM daily_total GROUP BY fate"):
        totals[fate] += int(total)
    return {"received": sum(totals[fate] for fate in Fate), **totals}


async def retain(tx: Tx, now: datetime, most: int) -> int:
    """Empties old payloads and deletes what is older still, at most `most` rows each; returns how many it touched.

    Pending and dead items stay for ever. Deleted ones are added to the totals of their day in the same transaction.
    """
    old = await tx.fetch(
        "SELECT id, fate, received_at, duplicates FROM item WHERE fate IN (?, ?) AND received_at < ? LIMIT ?",
        [Fate.DONE, Fate.IGNORED, to_millis(now - DELETED_AFTER), most],
    )
    totals: Tally[tuple[str, str]] = Tally()
    for _, fate, received_at, duplicates in old:
        day = from_millis(received_at).date().isoformat()
        totals[day, fate] += 1
        totals[day, "duplicates"] += duplicates
    if old:
        deleted = await tx.execute(f"DELETE FROM item WHERE id IN ({marks(len(old))})", [row[0] for row in old])
        if deleted != len(old):
            raise DatabaseDown("another process is deleting the same items")  # and has counted them
    for (day, fate), total in sorted((+totals).items()):  # MySQL reports a row to which nothing is added as unchanged
        key = f"{day}:{fate}"
        if not await tx.execute("UPDATE daily_total SET total = total + ? WHERE id = ?", [total, key]):
            await tx.insert("daily_total", ("id", "fate", "total"), [(key, fate, total)])
    full = await tx.fetch(
        "SELECT id FROM item WHERE fate IN (?, ?) AND received_at < ? AND payload <> '' LIMIT ?",
        [Fate.DONE, Fate.IGNORED, to_millis(now - EMPTIED_AFTER), most],
    )
    if full:
        await tx.execute(
            f"UPDATE item SET payload = '', effects = NULL WHERE id IN ({marks(len(full))})", [row[0] for row in full]
        )
    return len(old) + len(full)
