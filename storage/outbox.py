"""Writes the outbox: each message to a customer is a row, in the transaction that caused it (transactional outbox).

Rows are read by `outbox_reads.py`; those that are held are released by `held.py`.

Invariants
- A row's status only moves forward, and MOVES is the one table of how.
- A row is marked `sending`, with its sender's name, before its request goes out, and only a `queued` row can be: no two
  senders ever have the same one.
- Every change of a status is counted (`kept_counts.py`).
- Rows of a customer go out in the order of (version, id), which is the order of the commits that wrote them.
- No id that Meta gave to a row is forgotten: the table `outbox_wamid` has those of rows that had more than one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from storage import kept_counts
from storage.kept_counts import Counted
from storage.sql.columns import to_millis
from storage.sql.database import Row, Tx, placeholders
from storage.statuses import NO_REASON, Origin, OutboxStatus, Why

_S = OutboxStatus
# For each status, those from which a row may come into it. `unknown` may be queued again: that is the one resend of a
# send in doubt. So may what Meta took and then refused because the window was closed: it takes another way. What is
# `queued` or `held` becomes `unknown` where the database went back to an earlier state (`restored.py`).
MOVES: Mapping[OutboxStatus, frozenset[OutboxStatus]] = {
    _S.QUEUED: frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD, _S.ACCEPTED, _S.SENT}),  # the first: for later
    _S.SENDING: frozenset({_S.QUEUED}),
    # from `unknown`: from waiting for a status to waiting for a person
    _S.UNKNOWN: frozenset({_S.SENDING, _S.UNKNOWN, _S.QUEUED, _S.HELD}),
    _S.HELD: frozenset({_S.QUEUED, _S.SENDING, _S.ACCEPTED, _S.SENT}),  # and out of it when the customer writes
    _S.ACCEPTED: frozenset({_S.SENDING, _S.UNKNOWN}),
    _S.SENT: frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD, _S.ACCEPTED}),
    _S.DELIVERED: frozenset(_S) - {_S.DELIVERED, _S.READ},
    _S.READ: frozenset(_S) - {_S.READ},
    _S.FAILED: frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD, _S.ACCEPTED, _S.SENT}),
}
Way = Literal[OutboxStatus.QUEUED, OutboxStatus.HELD]
MAX_DETAIL_LENGTH = 300  # characters: the width of the column
FOR_A_PERSON = datetime(2200, 1, 1, tzinfo=UTC)  # when a row in doubt is due that only a person may send again
COLUMNS = (
    "id", "customer_id", "version", "item_id", "ticket_id", "origin", "payload", "status", "reason", "detail", "owner",
    "attempts", "resent", "due_at", "created_at", "status_at",
)  # fmt: skip
LOCKED_COLUMNS = "id, customer_id, ticket_id, status, wamid, attempts"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message to send, as JSON in `payload`. It is not sent before `due_at`. `version` is the customer's, as the
    fence of its transaction raised it; `owner`: the process that sends it or did so last."""

    outbox_id: int
    customer_id: int
    version: int
    origin: Origin
    payload: str
    due_at: datetime
    item_id: int | None = None
    ticket_id: int | None = None
    status: OutboxStatus = OutboxStatus.QUEUED
    why: Why = NO_REASON
    owner: str = ""
    attempts: int = 0  # requests, whatever became of them
    refusals: int = 0  # how often Meta refused it for a reason that may pass
    resent: int = 0
    marked_at: datetime | None = None
    status_at: datetime | None = None


async def insert(tx: Tx, rows: Sequence[OutboxRow]) -> None:
    """Inserts new rows, each with the status that it carries."""
    if rows:
        await tx.insert("outbox", COLUMNS, [_to_row(row) for row in rows])
        kept_counts.add(tx, Counted.OUTBOX, [row.status for row in rows])


def _to_row(row: OutboxRow) -> Row:
    """Returns the values of COLUMNS."""
    at = to_millis(row.due_at)
    reason, detail = row.why.reason, row.why.detail[:MAX_DETAIL_LENGTH]
    return (row.outbox_id, row.customer_id, row.version, row.item_id, row.ticket_id, row.origin, row.payload,
            row.status, reason, detail, row.owner, row.attempts, row.resent, at, at, at)  # fmt: skip


async def mark_sending(tx: Tx, outbox_ids: Sequence[int], owner: str, at: datetime) -> set[int]:
    """Marks queued rows as being sent by `owner`; returns the ids of those that were still queued."""
    changed = await tx.execute(
        "UPDATE outbox SET status = ?, owner = ?, marked_at = ?, status_at = ?, attempts = attempts + 1 "
        f"WHERE id IN ({placeholders(len(outbox_ids))}) AND status = ?",
        [OutboxStatus.SENDING, owner, to_millis(at), to_millis(at), *outbox_ids, OutboxStatus.QUEUED],
    )
    kept_counts.move(tx, Counted.OUTBOX, OutboxStatus.QUEUED, OutboxStatus.SENDING, changed)
    if changed == len(outbox_ids):
        return set(outbox_ids)
    rows = await tx.fetch(
        f"SELECT id FROM outbox WHERE id IN ({placeholders(len(outbox_ids))}) AND status = ? AND owner = ?",
        [*outbox_ids, OutboxStatus.SENDING, owner],
    )
    return {row[0] for row in rows}


async def mark_accepted(tx: Tx, wamids: Mapping[int, str], at: datetime) -> None:
    """Notes the ids that Meta gave; a row that a status has moved further keeps its status."""
    await advance(tx, OutboxStatus.ACCEPTED, wamids, await lock(tx, wamids), at)


@dataclass(frozen=True, slots=True)
class Move:
    """The move of one row to `status`, from the state in which it was seen: the status `source` and `attempts`, which
    rise with each sending, so that a state is never mistaken for an earlier one of the same name. `customer_id`,
    `ticket_id`: the row's, for the event log."""

    outbox_id: int
    source: OutboxStatus
    attempts: int
    status: OutboxStatus
    why: Why = NO_REASON
    due_at: datetime | None = None
    resent: int = 0
    refusals: int = 0
    customer_id: int = field(kw_only=True)
    ticket_id: int | None = field(kw_only=True)


async def move(tx: Tx, step: Move, at: datetime) -> bool:
    """Makes the move; returns False when the row is no longer where it was seen."""
    if step.source not in MOVES[step.status]:
        raise ValueError(f"a row never goes from {step.source} to {step.status}")
    moved = await tx.execute(
        "UPDATE outbox SET status = ?, reason = ?, detail = ?, status_at = ?, due_at = ?, resent = resent + ?, "
        "refusals = refusals + ? WHERE id = ? AND status = ? AND attempts = ?",
        [
            *_to_state(step.status, step.why, at),
            to_millis(step.due_at or at),
            step.resent,
            step.refusals,
            step.outbox_id,
            step.source,
            step.attempts,
        ],
    )
    return bool(kept_counts.move(tx, Counted.OUTBOX, step.source, step.status, moved))


async def send_again(tx: Tx, head_id: int, at: datetime) -> int:
    """Queues those rows of one message, which its first names, that wait for a person; returns how many they are."""
    rows = await tx.fetch(
        "SELECT other.id, other.attempts, other.customer_id, other.ticket_id FROM outbox AS head JOIN outbox AS other "
        "ON other.customer_id = head.customer_id AND other.version = head.version "
        "WHERE head.id = ? AND other.id >= head.id AND other.status = ? AND other.due_at = ? ORDER BY other.id",
        [head_id, OutboxStatus.UNKNOWN, to_millis(FOR_A_PERSON)],
    )
    moves = [
        Move(
            outbox_id=outbox_id,
            source=OutboxStatus.UNKNOWN,
            attempts=attempts,
            status=OutboxStatus.QUEUED,
            due_at=at,
            resent=1,
            customer_id=customer_id,
            ticket_id=ticket_id,
        )
        for outbox_id, attempts, customer_id, ticket_id in rows
    ]
    return sum([await move(tx, step, at) for step in moves])


@dataclass(frozen=True, slots=True)
class LockedRow:
    """A row as it is while this transaction has it locked."""

    outbox_id: int
    customer_id: int
    ticket_id: int | None
    status: OutboxStatus
    wamid: str | None
    attempts: int


async def lock(tx: Tx, outbox_ids: Iterable[int]) -> dict[int, LockedRow]:
    """Locks rows, in the order of their ids, until the end of the transaction; returns what they are by then."""
    wanted = sorted(set(outbox_ids))
    if not wanted:
        return {}
    locking = "" if tx.dialect == "sqlite" else " FOR UPDATE"  # a transaction of SQLite's has locked everything
    rows = await tx.fetch(
        f"SELECT {LOCKED_COLUMNS} FROM outbox WHERE id IN ({placeholders(len(wanted))}) ORDER BY id{locking}", wanted
    )
    return {row[0]: make_locked_row(*row) for row in rows}


def make_locked_row(
    outbox_id: int, customer_id: int, ticket_id: int | None, status: str, wamid: str | None, attempts: int
) -> LockedRow:
    """Makes a LockedRow of the values of LOCKED_COLUMNS."""
    return LockedRow(outbox_id, customer_id, ticket_id, OutboxStatus(status), wamid, attempts)


async def advance(
    tx: Tx,
    status: OutboxStatus,
    wamids: Mapping[int, str],
    rows: Mapping[int, LockedRow],
    at: datetime,
    why: Why = NO_REASON,
) -> list[LockedRow]:
    """Moves rows, which are locked, to what Meta answered or reported of these sends of theirs, and notes the wamids;
    returns those that it has moved."""
    named = [rows[row_id] for row_id in wamids if row_id in rows]
    earlier = [(row.outbox_id, row.wamid) for row in named if row.wamid and row.wamid != wamids[row.outbox_id]]
    await _keep_wamids(tx, [*earlier, *((row_id, wamids[row_id]) for row_id, _ in earlier)])
    moved = [row for row in named if row.status in MOVES[status]]
    if moved:
        names = {row.outbox_id: wamids[row.outbox_id] for row in moved}
        await tx.execute(
            "UPDATE outbox SET status = ?, reason = ?, detail = ?, status_at = ?, "
            f"wamid = CASE id{' WHEN ? THEN ?' * len(names)} END WHERE id IN ({placeholders(len(names))})",
            [*_to_state(status, why, at), *(value for pair in names.items() for value in pair), *names],
        )
    for row in moved:
        kept_counts.move(tx, Counted.OUTBOX, row.status, status)
    return moved


async def take_another_way(
    tx: Tx, row: LockedRow, attempts: int, way: Way, wamid: str, at: datetime, why: Why, wait: timedelta
) -> bool:
    """Has a row, which is locked, and which Meta took as `wamid` and then refused, go out again after `wait`, or holds
    it; but not where it has been sent once more since then, which `attempts` tells. Returns whether it does."""
    await _keep_wamids(tx, [(row.outbox_id, wamid)])
    if row.attempts != attempts or row.status not in MOVES[way]:
        return False
    await tx.execute(
        "UPDATE outbox SET status = ?, reason = ?, detail = ?, status_at = ?, due_at = ?, "
        "wamid = COALESCE(wamid, ?), refusals = refusals + 1 WHERE id = ?",
        [*_to_state(way, why, at), to_millis(at + wait), wamid, row.outbox_id],
    )
    kept_counts.move(tx, Counted.OUTBOX, row.status, way)
    return True


async def _keep_wamids(tx: Tx, wamids: Sequence[tuple[int, str]]) -> None:
    """Keeps which rows Meta named so."""
    rows = {wamid: (wamid, outbox_id) for outbox_id, wamid in wamids}
    if rows:
        await tx.execute(f"DELETE FROM outbox_wamid WHERE wamid IN ({placeholders(len(rows))})", [*rows])
        await tx.insert("outbox_wamid", ("wamid", "outbox_id"), list(rows.values()))


def _to_state(status: OutboxStatus, why: Why, at: datetime) -> Row:
    """Returns the values of status, reason, detail and status_at."""
    return (status, why.reason, why.detail[:MAX_DETAIL_LENGTH], to_millis(at))
