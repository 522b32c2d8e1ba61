"""The outbox: every message to a customer is a row, written in the transaction that caused it (transactional outbox).

Invariants
- A row's status only moves forward, and MOVES is the one table of how.
- A row is marked `sending`, with its sender's name, before its request goes out, and only a `queued` row can be: no two
  senders ever have the same one.
- Rows of a customer go out in the order of (version, id), which is the order of the commits that wrote them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx, marks
from storage.statuses import NO_REASON, Origin, OutboxReason, OutboxStatus, Why

_S = OutboxStatus
# What a row may become, and from where. `unknown` may be queued again: that is the one resend of a send in doubt. So
# may what Meta took and then refused because the window was closed: it takes another way.
MOVES: Mapping[OutboxStatus, frozenset[OutboxStatus]] = {
    _S.QUEUED: frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD, _S.ACCEPTED, _S.SENT}),  # the first: for later
    _S.SENDING: frozenset({_S.QUEUED}),
    _S.UNKNOWN: frozenset({_S.SENDING, _S.UNKNOWN}),  # the second: from waiting for a status to waiting for a person
    _S.HELD: frozenset({_S.QUEUED, _S.SENDING, _S.ACCEPTED, _S.SENT}),  # and out of it when the customer writes
    _S.ACCEPTED: frozenset({_S.SENDING, _S.UNKNOWN}),
    _S.SENT: frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD, _S.ACCEPTED}),
    _S.DELIVERED: frozenset(_S) - {_S.DELIVERED, _S.READ},
    _S.READ: frozenset(_S) - {_S.READ},
    _S.FAILED: frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD, _S.ACCEPTED, _S.SENT}),
}
Way = Literal[OutboxStatus.QUEUED, OutboxStatus.HELD]
MAX_DETAIL_LENGTH = 300  # characters, as the column is wide
LOST_AFTER = timedelta(seconds=60)  # no request takes as long: whoever marked the row may have lost its lane
FOR_A_PERSON = datetime(2200, 1, 1, tzinfo=UTC)  # when a row in doubt is due that only a person may send again
OPEN = (_S.QUEUED, _S.SENDING, _S.UNKNOWN, _S.HELD)
LOADED = (
    "id, customer_id, version, origin, payload, due_at, item_id, ticket_id, status, reason, detail, owner, attempts, "
    "refusals, resent, marked_at, status_at"
)
COLUMNS = (
    "id", "customer_id", "version", "item_id", "ticket_id", "origin", "payload", "status", "reason", "detail", "owner",
    "attempts", "resent", "due_at", "created_at", "status_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message to send, as JSON in `payload`; `due_at`: not before."""

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


@dataclass(frozen=True, slots=True)
class Sent:
    """A row as the matching of statuses needs it."""

    outbox_id: int
    customer_id: int
    status: OutboxStatus
    wamid: str | None
    origin: Origin = Origin.PROMPT
    refusals: int = 0
    marked_at: datetime | None = None


async def insert(tx: Tx, rows: Sequence[OutboxRow]) -> None:
    """Writes new rows, all with the status they carry."""
    if not rows:
        return
    values = []
    for row in rows:
        at = to_millis(row.due_at)
        reason, detail = row.why.reason, row.why.detail[:MAX_DETAIL_LENGTH]
        values.append((row.outbox_id, row.customer_id, row.version, row.item_id, row.ticket_id, row.origin, row.payload,
                       row.status, reason, detail, row.owner, row.attempts, row.resent, at, at, at))  # fmt: skip
    await tx.insert("outbox", COLUMNS, values)


async def open_rows(tx: Tx, customer_ids: Sequence[int], most_per_lane: int) -> list[OutboxRow]:
    """What these customers are still to be sent, or may have been, in the order of sending: at most `most_per_lane` of
    each, and as many that are held."""
    rows = await tx.fetch(
        f"SELECT {LOADED} FROM (SELECT {LOADED}, ROW_NUMBER() OVER "
        "(PARTITION BY customer_id, CASE WHEN status = ? THEN 1 ELSE 0 END ORDER BY version, id) AS place "
        f"FROM outbox WHERE customer_id IN ({marks(len(customer_ids))}) AND status IN ({marks(len(OPEN))})) AS waiting "
        "WHERE place <= ? ORDER BY customer_id, version, id",
        [OutboxStatus.HELD, *customer_ids, *OPEN, most_per_lane],
    )
    return [_outbox_row(*row) for row in rows]


def _outbox_row(*row: Any) -> OutboxRow:
    outbox_id, customer_id, version, origin, payload, due_at, *same, marked_at, status_at = row
    item_id, ticket_id, status, reason, detail, owner, attempts, refusals, resent = same
    return OutboxRow(
        outbox_id=outbox_id,
        customer_id=customer_id,
        version=version,
        origin=Origin(origin),
        payload=payload,
        due_at=from_millis(due_at),
        item_id=item_id,
        ticket_id=ticket_id,
        status=OutboxStatus(status),
        why=Why(OutboxReason(reason), detail),
        owner=owner,
        attempts=attempts,
        refusals=refusals,
        resent=resent,
        marked_at=None if marked_at is None else from_millis(marked_at),
        status_at=from_millis(status_at),
    )


async def payloads(tx: Tx, outbox_ids: Sequence[int]) -> dict[int, str]:
    """What these rows say."""
    rows = await tx.fetch(f"SELECT id, payload FROM outbox WHERE id IN ({marks(len(outbox_ids))})", outbox_ids)
    return dict(rows)


async def mark_sending(tx: Tx, outbox_ids: Sequence[int], owner: str, at: datetime) -> set[int]:
    """Marks queued rows as being sent by `owner`; returns the ids that it got."""
    changed = await tx.execute(
        "UPDATE outbox SET status = ?, owner = ?, marked_at = ?, status_at = ?, attempts = attempts + 1 "
        f"WHERE id IN ({marks(len(outbox_ids))}) AND status = ?",
        [OutboxStatus.SENDING, owner, to_millis(at), to_millis(at), *outbox_ids, OutboxStatus.QUEUED],
    )
    if changed == len(outbox_ids):
        return set(outbox_ids)
    rows = await tx.fetch(
        f"SELECT id FROM outbox WHERE id IN ({marks(len(outbox_ids))}) AND status = ? AND owner = ?",
        [*outbox_ids, OutboxStatus.SENDING, owner],
    )
    return {row[0] for row in rows}


async def mark_accepted(tx: Tx, wamids: Mapping[int, str], at: datetime) -> None:
    """Notes the ids that Meta gave; a row that a status has moved further keeps its status."""
    await advance(tx, OutboxStatus.ACCEPTED, wamids, at)


@dataclass(frozen=True, slots=True)
class Move:
    """One row's move, from the state in which it was seen: `source` and `attempts`, which rise with each sending, so a
    state is never mistaken for an earlier one of the same name."""

    outbox_id: int
    source: OutboxStatus
    attempts: int
    status: OutboxStatus
    why: Why = NO_REASON
    due_at: datetime | None = None
    resent: int = 0
    refusals: int = 0


async def move(tx: Tx, step: Move, at: datetime) -> bool:
    """Makes the move; False when the row is no longer where it was seen."""
    if step.source not in MOVES[step.status]:
        raise ValueError(f"a row never goes from {step.source} to {step.status}")
    return bool(
        await tx.execute(
            "UPDATE outbox SET status = ?, reason = ?, detail = ?, status_at = ?, due_at = ?, resent = resent + ?, "
            "refusals = refusals + ? WHERE id = ? AND status = ? AND attempts = ?",
            [
                step.status,
                step.why.reason,
                step.why.detail[:MAX_DETAIL_LENGTH],
                to_millis(at),
                to_millis(step.due_at or at),
                step.resent,
                step.refusals,
                step.outbox_id,
                step.source,
                step.attempts,
            ],
        )
    )


async def send_again(tx: Tx, head_id: int, at: datetime) -> int:
    """Queues the rows of one message, given by its first, that wait for a person; returns how many those were."""
    rows = await tx.fetch(
        "SELECT other.id, other.attempts FROM outbox AS head JOIN outbox AS other "
        "ON other.customer_id = head.customer_id AND other.version = head.version "
        "WHERE head.id = ? AND other.id >= head.id AND other.status = ? AND other.due_at = ? ORDER BY other.id",
        [head_id, OutboxStatus.UNKNOWN, to_millis(FOR_A_PERSON)],
    )
    moves = [
        Move(outbox_id, OutboxStatus.UNKNOWN, attempts, OutboxStatus.QUEUED, due_at=at, resent=1)
        for outbox_id, attempts in rows
    ]
    return sum([await move(tx, step, at) for step in moves])


async def find(tx: Tx, column: Literal["id", "wamid"], values: Iterable[int | str]) -> list[Sent]:
    """The rows that statuses may be about, by our id or by Meta's."""
    wanted = list(set(values))
    if not wanted:
        return []
    rows = await tx.fetch(
        "SELECT id, customer_id, status, wamid, origin, refusals, marked_at FROM outbox "
        f"WHERE {column} IN ({marks(len(wanted))})",
        wanted,
    )
    return [_sent(*row) for row in rows]


def _sent(
    outbox_id: int, customer_id: int, status: str, wamid: str | None, origin: str, refusals: int, marked_at: int | None
) -> Sent:
    marked = None if marked_at is None else from_millis(marked_at)
    return Sent(outbox_id, customer_id, OutboxStatus(status), wamid, Origin(origin), refusals, marked)


async def advance(tx: Tx, status: OutboxStatus, wamids: Mapping[int, str], at: datetime, why: Why = NO_REASON) -> None:
    """Moves rows to what Meta answered or reported, and notes the wamid where it was still unknown."""
    sources = sorted(MOVES[status])
    await tx.execute(
        "UPDATE outbox SET status = ?, reason = ?, detail = ?, status_at = ?, "
        f"wamid = CASE id{' WHEN ? THEN ?' * len(wamids)} END "
        f"WHERE id IN ({marks(len(wamids))}) AND status IN ({marks(len(sources))})",
        [
            *(status, why.reason, why.detail[:MAX_DETAIL_LENGTH], to_millis(at)),
            *(value for pair in wamids.items() for value in pair),
            *wamids,
            *sources,
        ],
    )


async def take_another_way(
    tx: Tx, outbox_id: int, way: Way, wamid: str, at: datetime, why: Why, wait: timedelta
) -> None:
    """What Meta took as `wamid` and then refused goes out again or otherwise after `wait`, or is held. It keeps that id
    until it has another, so that what is still said of the first send is known for that."""
    sources = sorted(MOVES[way])
    await tx.execute(
        "UPDATE outbox SET status = ?, reason = ?, detail = ?, wamid = ?, status_at = ?, due_at = ?, "
        "refusals = refusals + 1 "
        f"WHERE id = ? AND status IN ({marks(len(sources))})",
        [
            *(way, why.reason, why.detail[:MAX_DETAIL_LENGTH], wamid, to_millis(at), to_millis(at + wait)),
            outbox_id,
            *sources,
        ],
    )


async def due(tx: Tx, now: datetime, dead_owner_before: datetime, alive: Sequence[str], most: int) -> list[int]:
    """Customers with rows to send now, and with rows whose sender is dead, has lost them, or is in doubt, the longest
    waiting first."""
    rows = await tx.fetch(
        "SELECT customer_id, MIN(due_at) AS oldest FROM outbox WHERE (status = ? AND due_at <= ?) "
        f"OR (status = ? AND marked_at < ? AND owner NOT IN ({marks(len(alive))})) "
        "OR (status = ? AND marked_at < ?) "
        "OR (status = ? AND due_at <= ?) GROUP BY customer_id ORDER BY oldest LIMIT ?",
        [
            *(OutboxStatus.QUEUED, to_millis(now)),
            *(OutboxStatus.SENDING, to_millis(dead_owner_before), *alive),
            *(OutboxStatus.SENDING, to_millis(now - LOST_AFTER)),
            *(OutboxStatus.UNKNOWN, to_millis(now)),
            most,
        ],
    )
    return [row[0] for row in rows]


async def counts(tx: Tx) -> dict[OutboxStatus, int]:
    """How many rows have each status."""
    rows = await tx.fetch("SELECT status, COUNT(*) FROM outbox GROUP BY status")
    return {OutboxStatus(status): int(count) for status, count in rows}
