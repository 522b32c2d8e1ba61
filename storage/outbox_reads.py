"""Reads the outbox: what is to be sent, and what statuses may be about."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from storage.outbox import FOR_A_PERSON, OutboxRow
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx, placeholders
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

LOST_AFTER = timedelta(seconds=60)  # no request takes as long: whoever marked the row may have lost its lane
CLOCK_SLACK = timedelta(seconds=5)  # by which the clocks of two machines may differ
MIN_WRONG_WAIT = timedelta(seconds=60)  # what is due sooner is waited for, whatever clock it was written by
OPEN = (OutboxStatus.QUEUED, OutboxStatus.SENDING, OutboxStatus.UNKNOWN, OutboxStatus.HELD)
OPEN_COLUMNS = (
    "id, customer_id, version, origin, payload, due_at, item_id, ticket_id, status, reason, detail, owner, attempts, "
    "refusals, resent, marked_at, status_at"
)


@dataclass(frozen=True, slots=True)
class SentRow:
    """A row as far as the matching of statuses needs it. `wamid`: what Meta named it last; `earlier`: what it named the
    sends that are over."""

    outbox_id: int
    customer_id: int
    status: OutboxStatus
    wamid: str | None
    origin: Origin = Origin.PROMPT
    refusals: int = 0
    marked_at: datetime | None = None
    attempts: int = 1
    earlier: frozenset[str] = frozenset()

    @property
    def wamids(self) -> frozenset[str]:
        """All the names that Meta ever gave it."""
        return self.earlier if self.wamid is None else self.earlier | {self.wamid}


async def load_open_rows(tx: Tx, customer_ids: Sequence[int], max_per_lane: int) -> list[OutboxRow]:
    """Loads what these customers are still to be sent, or may have been, in the order of sending: at most
    `max_per_lane` of each, and as many that are held."""
    rows = await tx.fetch(
        f"SELECT {OPEN_COLUMNS} FROM (SELECT {OPEN_COLUMNS}, ROW_NUMBER() OVER "
        "(PARTITION BY customer_id, CASE WHEN status = ? THEN 1 ELSE 0 END ORDER BY version, id) AS place "
        f"FROM outbox WHERE customer_id IN ({placeholders(len(customer_ids))}) "
        f"AND status IN ({placeholders(len(OPEN))})) AS waiting "
        "WHERE place <= ? ORDER BY customer_id, version, id",
        [OutboxStatus.HELD, *customer_ids, *OPEN, max_per_lane],
    )
    return [_from_row(row) for row in rows]


def _from_row(row: Row) -> OutboxRow:
    """Makes an OutboxRow of the values of OPEN_COLUMNS."""
    (outbox_id, customer_id, version, origin, payload, due_at, item_id, ticket_id, status, reason, detail, owner,
     attempts, refusals, resent, marked_at, status_at) = row  # fmt: skip
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


async def load_payloads(tx: Tx, outbox_ids: Sequence[int]) -> dict[int, str]:
    """Loads what these rows say."""
    rows = await tx.fetch(f"SELECT id, payload FROM outbox WHERE id IN ({placeholders(len(outbox_ids))})", outbox_ids)
    return dict(rows)


async def find_sent(tx: Tx, outbox_ids: Iterable[int]) -> list[SentRow]:
    """Finds the rows that statuses may be about, by our ids."""
    return await _find_sent(tx, "id", set(outbox_ids))


async def find_sent_as(tx: Tx, wamids: Iterable[str]) -> list[SentRow]:
    """Finds the rows that statuses may be about, by the ids that Meta ever gave them."""
    wanted = set(wamids)
    rows = await _find_sent(tx, "wamid", wanted)
    if missing := sorted(wanted.difference(*(row.wamids for row in rows))):
        found = await tx.fetch(
            f"SELECT DISTINCT outbox_id FROM outbox_wamid WHERE wamid IN ({placeholders(len(missing))})", missing
        )
        rows += await _find_sent(tx, "id", {row[0] for row in found} - {row.outbox_id for row in rows})
    return rows


async def _find_sent(tx: Tx, column: Literal["id", "wamid"], values: Collection[int | str]) -> list[SentRow]:
    if not values:
        return []
    rows = await tx.fetch(
        "SELECT id, customer_id, status, wamid, origin, refusals, marked_at, attempts FROM outbox "
        f"WHERE {column} IN ({placeholders(len(values))})",
        list(values),
    )
    earlier = await _load_earlier_wamids(tx, [row[0] for row in rows if row[5] or row[7] > 1])
    return [
        SentRow(
            outbox_id=outbox_id,
            customer_id=customer_id,
            status=OutboxStatus(status),
            wamid=wamid,
            origin=Origin(origin),
            refusals=refusals,
            marked_at=None if marked_at is None else from_millis(marked_at),
            attempts=attempts,
            earlier=frozenset(earlier.get(outbox_id, set()) - {wamid}),
        )
        for outbox_id, customer_id, status, wamid, origin, refusals, marked_at, attempts in rows
    ]


async def _load_earlier_wamids(tx: Tx, outbox_ids: Sequence[int]) -> dict[int, set[str]]:
    """Loads by what Meta has named these rows, of which some were sent more than once."""
    wamids: dict[int, set[str]] = {}
    if outbox_ids:
        rows = await tx.fetch(
            f"SELECT outbox_id, wamid FROM outbox_wamid WHERE outbox_id IN ({placeholders(len(outbox_ids))})",
            outbox_ids,
        )
        for outbox_id, wamid in rows:
            wamids.setdefault(outbox_id, set()).add(wamid)
    return wamids


async def has_doubts(tx: Tx, marked_before: datetime) -> bool:
    """Whether a status is waited for: a row is in doubt, or has been `sending` since before that instant."""
    rows = await tx.fetch(
        "SELECT 1 FROM outbox WHERE status = ? AND due_at < ? "
        "UNION ALL SELECT 1 FROM outbox WHERE status = ? AND marked_at < ? LIMIT 1",
        [
            *(OutboxStatus.UNKNOWN, to_millis(FOR_A_PERSON)),
            *(OutboxStatus.SENDING, to_millis(marked_before)),
        ],
    )
    return bool(rows)


async def find_due_customers(
    tx: Tx, now: datetime, dead_owner_before: datetime, alive: Sequence[str], limit: int
) -> dict[int, datetime]:
    """Finds customers with rows to send now, and with rows whose sender is dead, has lost them, or is in doubt, the
    longest waiting first, and since when each waits. What was written at an instant that is yet to come is due now.

    A sender counts as dead when it isn't in `alive` and marked its row before `dead_owner_before`.
    """
    soon, not_alive = to_millis(now + CLOCK_SLACK), f"owner NOT IN ({placeholders(len(alive))})"
    wrong = "due_at > ? AND due_at < ? AND status_at > ?"  # written when the clock was ahead: it may mean any instant
    ahead = [to_millis(now + MIN_WRONG_WAIT), to_millis(FOR_A_PERSON), soon]
    kinds: list[tuple[OutboxStatus, str, Sequence[object]]] = [
        (OutboxStatus.QUEUED, "due_at <= ?", [to_millis(now)]),
        (OutboxStatus.QUEUED, wrong, ahead),
        (OutboxStatus.SENDING, f"marked_at < ? AND {not_alive}", [to_millis(dead_owner_before), *alive]),
        (OutboxStatus.SENDING, f"marked_at > ? AND {not_alive}", [soon, *alive]),
        (OutboxStatus.SENDING, "marked_at < ?", [to_millis(now - LOST_AFTER)]),
        (OutboxStatus.UNKNOWN, "due_at <= ?", [to_millis(now)]),
        (OutboxStatus.UNKNOWN, wrong, ahead),
    ]
    # One look into the index for each kind: with OR between them, SQLite would read the whole table.
    due = " UNION ALL ".join(
        f"SELECT customer_id, due_at FROM outbox WHERE status = ? AND {kind}" for _, kind, _ in kinds
    )
    rows = await tx.fetch(
        f"SELECT customer_id, MIN(due_at) AS oldest FROM ({due}) AS due GROUP BY customer_id ORDER BY oldest LIMIT ?",
        [*(value for status, _, values in kinds for value in (status, *values)), limit],
    )
    return {customer_id: from_millis(oldest) for customer_id, oldest in rows}


async def find_asked_for_number(tx: Tx, customer_ids: Sequence[int]) -> set[int]:
    """Finds those of these customers to whom a request for their number went out."""
    if not customer_ids:
        return set()
    rows = await tx.fetch(
        "SELECT customer_id FROM outbox WHERE payload LIKE ? AND wamid IS NOT NULL AND status <> ? "
        f"AND customer_id IN ({placeholders(len(customer_ids))})",
        ['%"type":"contact_request"%', OutboxStatus.FAILED, *customer_ids],
    )
    return {row[0] for row in rows}
