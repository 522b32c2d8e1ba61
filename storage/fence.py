"""Raises the fence: the version of a customer's lane state (table `conversation`), a fencing token in SQL.

The lease of a lane only saves work. What keeps two workers, or a worker and an agent, from both having an effect is
that of two who read the same version only one finds a row at it to raise.

Invariants
- Whoever changes what a flow may know about a customer raises that customer's version first, by the first statement of
  the transaction. The lock on the row is held until its end.
- A version only rises, by one for each transaction; by more where two customers become one.
- Who comes with a customer who was joined with another finds no row: nothing is ever done for somebody who is gone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from storage.sql.database import Tx, placeholders
from storage.sql.lock_waits import BEFORE_SKIP_LOCKED


@dataclass(frozen=True, slots=True)
class LaneStateUpdate:
    """A lane state that goes from `version` to the next, with the body that it then has, as JSON."""

    customer_id: int
    version: int
    body: str


class CustomerGone(Exception):
    """The customer has been joined with another (`customer_join.py`): whoever came with their id has to read anew."""


class StoredLaneState(NamedTuple):
    """A lane state as it is in SQL, which has the one that counts; the body is JSON."""

    version: int
    body: str


async def lock_free(tx: Tx, customer_ids: Iterable[int]) -> set[int]:
    """Locks the lane states of these customers, in the order of their ids, but for those that another session has
    locked: they are not waited for. Returns whose it has locked. SQLite has locked everything already, and returns all.
    """
    ids = sorted(customer_ids)
    if tx.dialect == "sqlite" or not ids:
        return set(ids)
    rows = await tx.fetch(
        f"{BEFORE_SKIP_LOCKED}SELECT customer_id FROM conversation WHERE customer_id IN ({placeholders(len(ids))}) "
        "ORDER BY customer_id FOR UPDATE SKIP LOCKED",
        ids,
    )
    return {row[0] for row in rows}


async def raise_versions(tx: Tx, updates: Sequence[LaneStateUpdate]) -> bool:
    """Raises every version by one, locking in the order of the ids; returns False when any of them is no longer at its
    version, and then the transaction has to be rolled back."""
    ordered = sorted(updates, key=lambda update: update.customer_id)
    when = " WHEN ? THEN ?" * len(ordered)
    ids = [update.customer_id for update in ordered]
    bodies = [value for update in ordered for value in (update.customer_id, update.body)]
    versions = [value for update in ordered for value in (update.customer_id, update.version)]
    order = "" if tx.dialect == "sqlite" else " ORDER BY customer_id"
    changed = await tx.execute(
        f"UPDATE conversation SET version = version + 1, body = CASE customer_id{when} END "
        f"WHERE customer_id IN ({placeholders(len(ids))}) AND version = CASE customer_id{when} END{order}",
        [*bodies, *ids, *versions],
    )
    return changed == len(ordered)


async def raise_version(tx: Tx, customer_id: int) -> StoredLaneState:
    """Raises the version of one customer, whatever it was; returns the lane state at the new version. Raises
    CustomerGone."""
    await tx.execute("UPDATE conversation SET version = version + 1 WHERE customer_id = ?", [customer_id])
    rows = await tx.fetch("SELECT version, body FROM conversation WHERE customer_id = ?", [customer_id])
    if not rows:
        raise CustomerGone
    return StoredLaneState(*rows[0])


async def write_body(tx: Tx, customer_id: int, body: str) -> None:
    """Replaces the body; only behind the fence, in the same transaction."""
    await tx.execute("UPDATE conversation SET body = ? WHERE customer_id = ?", [body, customer_id])


async def continue_at(tx: Tx, customer_id: int, version: int, body: str) -> None:
    """Has a customer go on at a higher version, with this body; only behind the fence, in the same transaction."""
    await tx.execute(
        "UPDATE conversation SET version = ?, body = ? WHERE customer_id = ? AND version <= ?",
        [version, body, customer_id, version],
    )


async def load_lane_states(tx: Tx, customer_ids: Iterable[int]) -> dict[int, StoredLaneState]:
    """Loads the lane state of each customer."""
    ids = list(customer_ids)
    if not ids:
        return {}
    rows = await tx.fetch(
        f"SELECT customer_id, version, body FROM conversation WHERE customer_id IN ({placeholders(len(ids))})", ids
    )
    return {customer_id: StoredLaneState(version, body) for customer_id, version, body in rows}


async def load_versions(tx: Tx, customer_ids: Iterable[int]) -> dict[int, int]:
    """Loads the version of each of these customers' lane states, without its body."""
    ids = list(customer_ids)
    if not ids:
        return {}
    rows = await tx.fetch(
        f"SELECT customer_id, version FROM conversation WHERE customer_id IN ({placeholders(len(ids))})", ids
    )
    return dict(rows)
