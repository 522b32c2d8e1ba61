"""The fence, and the newest conversation behind it.

Invariant: whoever changes what a flow may know about a customer first raises that customer's version here, as the first
statement of the transaction. The lease of a lane only saves work; two workers, or a worker and an agent, who read the
same version can't both commit, because the second finds no row left at it. The lock on the row is held until the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from storage.sql.database import Tx, placeholders


@dataclass(frozen=True, slots=True)
class Move:
    """A lane's step from `version` to the next, with the body that the conversation then has."""

    customer_id: int
    version: int
    body: str


async def raise_versions(tx: Tx, moves: Sequence[Move]) -> bool:
    """Raises every version by one, locking in the order of the ids; False when any of them had moved: roll back."""
    ordered = sorted(moves, key=lambda move: move.customer_id)
    when = " WHEN ? THEN ?" * len(ordered)
    ids = [move.customer_id for move in ordered]
    bodies = [value for move in ordered for value in (move.customer_id, move.body)]
    versions = [value for move in ordered for value in (move.customer_id, move.version)]
    order = "" if tx.dialect == "sqlite" else " ORDER BY customer_id"
    changed = await tx.execute(
        f"UPDATE conversation SET version = version + 1, body = CASE customer_id{when} END "
        f"WHERE customer_id IN ({placeholders(len(ids))}) AND version = CASE customer_id{when} END{order}",
        [*bodies, *ids, *versions],
    )
    return changed == len(ordered)


async def raise_version(tx: Tx, customer_id: int) -> tuple[int, str]:
    """The fence of one customer, whatever the version was: returns the new version and the body."""
    await tx.execute("UPDATE conversation SET version = version + 1 WHERE customer_id = ?", [customer_id])
    rows = await tx.fetch("SELECT version, body FROM conversation WHERE customer_id = ?", [customer_id])
    return int(rows[0][0]), str(rows[0][1])


async def write_body(tx: Tx, customer_id: int, body: str) -> None:
    """Replaces the body; only behind the fence, in the same transaction."""
    await tx.execute("UPDATE conversation SET body = ? WHERE customer_id = ?", [body, customer_id])


async def load(tx: Tx, customer_ids: Iterable[int]) -> Mapping[int, tuple[int, str]]:
    """Version and body of each customer."""
    ids = list(customer_ids)
    if not ids:
        return {}
    rows = await tx.fetch(
        f"SELECT customer_id, version, body FROM conversation WHERE customer_id IN ({placeholders(len(ids))})", ids
    )
    return {row[0]: (row[1], row[2]) for row in rows}
