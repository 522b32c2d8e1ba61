"""Keeps the journal (table `item`): everything that arrived, one item for each thing, with exactly one visible fate.

Invariants
- received = done + ignored + dead + pending, always.
- A key is taken once, until retention deletes its item (`journal_retention.py`). What comes with a key that is taken
  raises the first item's `duplicates`, and has no effect.
- Every change of a fate is counted (`kept_counts.py`).
- Only a pending item is closed, and closing says how many it closed, so that two workers can't both have an effect.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from storage import kept_counts
from storage.kept_counts import DUPLICATES, Counted
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx, placeholders
from storage.sql.lock_waits import BEFORE_SKIP_LOCKED
from storage.statuses import Fate

STATUS_KIND = "status"  # the kind of items that have no turn: ItemKind.STATUS of bot/whatsapp/webhook/items.py
MAX_ATTEMPTS = 5
MAX_IDS_PER_STATEMENT = 5000  # each has up to five parameters, and a statement of SQLite takes 32,766
MAX_KEYS_PER_STATEMENT = 1000
MAX_ERROR_LENGTH = 4000  # characters: the end of a traceback
COLUMNS = (
    "id", "key", "kind", "customer_id", "address", "meta_at", "received_at", "payload", "fate", "reason", "attempts",
    "late", "duplicates", "closed_at",
)  # fmt: skip
FATE = COLUMNS.index("fate")
PENDING_COLUMNS = "id, `key`, kind, customer_id, address, meta_at, received_at, payload, attempts, late, reason"


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
    """An item that waits for its turn; its fields are PENDING_COLUMNS. `late`: something younger of the same customer
    has been handled already; `reason`: a PendingReason, or "" as a rule."""

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
    reason: str = ""


class KeyHolder(NamedTuple):
    """The item that has taken a key."""

    item_id: int
    payload: str


class WaitingItem(NamedTuple):
    """What of a waiting item decides its place in the order of its lane. `meta_at`: in milliseconds."""

    customer_id: int
    meta_at: int
    item_id: int


async def find_holders(tx: Tx, keys: Sequence[str]) -> dict[str, KeyHolder]:
    """Finds the holders of those of these keys that are taken."""
    found: dict[str, KeyHolder] = {}
    for start in range(0, len(keys), MAX_KEYS_PER_STATEMENT):
        some = keys[start : start + MAX_KEYS_PER_STATEMENT]
        rows = await tx.fetch(f"SELECT `key`, id, payload FROM item WHERE `key` IN ({placeholders(len(some))})", some)
        found |= {key: KeyHolder(item_id, payload) for key, item_id, payload in rows}
    return found


async def store(tx: Tx, items: Sequence[NewItem], holders: Mapping[str, KeyHolder] | None = None) -> int:
    """Inserts what is new and counts what is not; returns how many were duplicates. `holders`: what `find_holders` says
    of the items' keys in this transaction.

    Raises IntegrityError when another process took a key meanwhile: run the transaction again. An item that is found
    under its own id was stored by an earlier try whose commit had an unknown outcome; it is no duplicate.
    """
    if holders is None:
        holders = await find_holders(tx, [item.key for item in items])
    known = {key: holder.item_id for key, holder in holders.items()}
    rows = []
    repeated: Counter[str] = Counter()
    for item in items:
        holder_id = known.setdefault(item.key, -item.item_id)
        if holder_id == -item.item_id:
            rows.append(_to_row(item))
        elif holder_id != item.item_id:
            repeated[item.key] += 1
    if any(known[item.key] == item.item_id for item in items):
        return repeated.total()  # that earlier try has counted them too
    await tx.insert("item", COLUMNS, rows)
    kept_counts.add(tx, Counted.ITEM, [row[FATE] for row in rows])
    kept_counts.add(tx, Counted.ITEM, [DUPLICATES], repeated.total())
    for key, times in sorted(repeated.items()):
        await tx.execute("UPDATE item SET duplicates = duplicates + ? WHERE `key` = ?", [times, key])
    return repeated.total()


def _to_row(item: NewItem) -> Row:
    """Returns the values of COLUMNS."""
    received = to_millis(item.received_at)
    fate = Fate.IGNORED if item.reason else Fate.DONE if item.done else Fate.PENDING
    closed = None if fate is Fate.PENDING else received
    return (item.item_id, item.key, item.kind, item.customer_id, item.address, to_millis(item.meta_at), received,
            item.payload, fate, item.reason, 0, False, 0, closed)  # fmt: skip


async def load_pending(tx: Tx, customer_ids: Sequence[int], max_per_lane: int) -> list[PendingItem]:
    """Loads what waits in these lanes, in the order in which each lane handles it: Meta's timestamp, then arrival. Of
    each lane come at most so many statuses, and so many of all else, whose turns have one order."""
    rows = await tx.fetch(
        f"SELECT {PENDING_COLUMNS} FROM (SELECT {PENDING_COLUMNS}, ROW_NUMBER() OVER "
        "(PARTITION BY customer_id, kind = ? ORDER BY meta_at, id) AS place FROM item "
        f"WHERE customer_id IN ({placeholders(len(customer_ids))}) AND fate = ?) AS waiting "
        "WHERE place <= ? ORDER BY customer_id, meta_at, id",
        [STATUS_KIND, *customer_ids, Fate.PENDING, max_per_lane],
    )
    # By position, since names take a quarter more time: the fields stand in the order of PENDING_COLUMNS.
    return [
        PendingItem(
            item_id, key, kind, customer_id, address, from_millis(meta_at), from_millis(received_at), payload, attempts,
            bool(late), reason,
        )
        for item_id, key, kind, customer_id, address, meta_at, received_at, payload, attempts, late, reason in rows
    ]  # fmt: skip


async def list_waiting(tx: Tx, customer_ids: Sequence[int]) -> list[WaitingItem]:
    """Lists all that waits for a turn in these lanes, as it is now."""
    rows = await tx.fetch(
        "SELECT customer_id, meta_at, id FROM item "
        f"WHERE customer_id IN ({placeholders(len(customer_ids))}) AND fate = ? AND kind <> ?",
        [*customer_ids, Fate.PENDING, STATUS_KIND],
    )
    return list(map(WaitingItem._make, rows))


async def has_pending_statuses(tx: Tx, customer_id: int) -> bool:
    """Whether a status that has come for this customer is still to be applied."""
    rows = await tx.fetch(
        "SELECT 1 FROM item WHERE customer_id = ? AND fate = ? AND kind = ? LIMIT 1",
        [customer_id, Fate.PENDING, STATUS_KIND],
    )
    return bool(rows)


async def close(
    tx: Tx,
    item_ids: Sequence[int],
    fate: Fate,
    at: datetime,
    *,
    reason: str = "",
    effects: Mapping[int, str] | None = None,
) -> int:
    """Gives pending items their fate; returns how many were still pending. `effects`: what each caused, as JSON."""
    if len(item_ids) > MAX_IDS_PER_STATEMENT:
        parts = [
            item_ids[start : start + MAX_IDS_PER_STATEMENT] for start in range(0, len(item_ids), MAX_IDS_PER_STATEMENT)
        ]
        return sum([await close(tx, part, fate, at, reason=reason, effects=effects) for part in parts])
    if not item_ids:
        return 0
    written = {item_id: effects[item_id] for item_id in item_ids} if effects else {}
    when = f"effects = CASE id{' WHEN ? THEN ?' * len(written)} END, " if written else ""
    values = [value for pair in written.items() for value in pair]
    closed = await tx.execute(
        f"UPDATE item SET {when}fate = ?, reason = ?, closed_at = ? "
        f"WHERE id IN ({placeholders(len(item_ids))}) AND fate = ?",
        [*values, fate, reason, to_millis(at), *item_ids, Fate.PENDING],
    )
    return kept_counts.move(tx, Counted.ITEM, Fate.PENDING, fate, closed)


async def mark_late(tx: Tx, item_ids: Sequence[int]) -> None:
    """Notes that these came after something younger of the same customer had been handled."""
    if item_ids:
        await tx.execute(f"UPDATE item SET late = ? WHERE id IN ({placeholders(len(item_ids))})", [True, *item_ids])


async def add_attempt(tx: Tx, item_ids: Sequence[int], error: str) -> dict[int, int]:
    """Counts one more failed attempt of each pending item; returns how many each has had. An item that another session
    has locked is not waited for and counts none: whoever died with it was in a transaction, and not in its turn."""
    free: Sequence[int] = item_ids
    if tx.dialect != "sqlite":
        rows = await tx.fetch(
            f"{BEFORE_SKIP_LOCKED}SELECT id FROM item WHERE id IN ({placeholders(len(item_ids))}) "
            "ORDER BY id FOR UPDATE SKIP LOCKED",
            item_ids,
        )
        free = [row[0] for row in rows]
    if free:
        await tx.execute(
            f"UPDATE item SET attempts = attempts + 1, error = ? WHERE id IN ({placeholders(len(free))}) AND fate = ?",
            [error[:MAX_ERROR_LENGTH], *free, Fate.PENDING],
        )
    return await read_attempts(tx, item_ids)


async def read_attempts(tx: Tx, item_ids: Sequence[int]) -> dict[int, int]:
    """Reads how many failed attempts each item has had."""
    return dict(await tx.fetch(f"SELECT id, attempts FROM item WHERE id IN ({placeholders(len(item_ids))})", item_ids))


async def replay(tx: Tx, item_id: int) -> bool:
    """Sets a dead item pending again, without attempts, to be handled as late; returns False when it is not dead."""
    revived = await tx.execute(
        "UPDATE item SET fate = ?, reason = '', attempts = 0, late = ?, error = NULL, closed_at = NULL "
        "WHERE id = ? AND fate = ?",
        [Fate.PENDING, True, item_id, Fate.DEAD],
    )
    return bool(kept_counts.move(tx, Counted.ITEM, Fate.DEAD, Fate.PENDING, revived))


async def revive_statuses(tx: Tx, phone_number_id: str, wamid: str, *, reason: str) -> int:
    """Sets statuses about this message pending again that were ignored for `reason`; returns how many. (Nobody knew the
    message in time, and now it is known.)"""
    prefix = f"s:{phone_number_id}:{wamid}"
    revived = await tx.execute(
        "UPDATE item SET fate = ?, reason = '', closed_at = NULL "
        "WHERE `key` >= ? AND `key` < ? AND fate = ? AND reason = ?",
        [Fate.PENDING, f"{prefix}:", f"{prefix};", Fate.IGNORED, reason],
    )
    return kept_counts.move(tx, Counted.ITEM, Fate.IGNORED, Fate.PENDING, revived)


async def find_handled_messages(tx: Tx, phone_number_id: str, wamids: Sequence[str]) -> set[str]:
    """Finds those of these messages to or from our number that have come, and wait no more."""
    keys = {f"m:{phone_number_id}:{wamid}": wamid for wamid in wamids}
    if not keys:
        return set()
    rows = await tx.fetch(
        f"SELECT `key` FROM item WHERE `key` IN ({placeholders(len(keys))}) AND fate <> ?", [*keys, Fate.PENDING]
    )
    return {keys[row[0]] for row in rows}
