"""Keeps the counts that people look at (table `kept_count`): nothing that is shown counts a table.

Who changes what is counted says so in the same transaction, and the sums are written as its last statement. A count is
spread over rows (shards) of which each session of the database has its own, so that no transaction ever waits for
another here, also not for one that stands still; whoever reads adds them up, and one of them alone may be below zero.

Invariants
- The counts are exact in every snapshot: what is counted and its counts change in one transaction, and all counts are
  read by one statement.
- No two sessions write the same row, but for those that fold what sessions left that are over.
- No transaction waits for a lock once it holds one of these: they are written last, in the order of their ids.
- What retention deletes from the journal stays counted: an item counts for ever.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from storage.sql.database import Tx, placeholders
from storage.statuses import Fate, OutboxStatus, TicketStatus

FOLDED = "folded"  # the shard that gets what the shards of sessions had that are over
MAX_FOLDED_PER_BATCH = 500  # rows
MIN_FOLDED = 200  # fewer cost a reader nothing
DUPLICATES = "duplicates"  # stands among the fates: how often something came again


class Counted(StrEnum):
    """What is counted."""

    ITEM = "item"  # the journal, by fate
    OUTBOX = "outbox"  # by status
    TICKET = "ticket"  # by status and issue type


class Count(NamedTuple):
    """One count: of what, in which state, and, of tickets, of which issue type."""

    counted: Counted
    state: str
    topic: str = ""


class JournalCounts(NamedTuple):
    """How many items there were ever, by their fate, and how often one of them came again."""

    received: int
    done: int
    ignored: int
    dead: int
    pending: int
    duplicates: int


def add(tx: Tx, counted: Counted, states: Iterable[str], number: int = 1, topic: str = "") -> None:
    """Adds `number` for each of these states, by the last statement of this transaction."""
    if _write not in tx.before_commit:
        tx.before_commit.append(_write)
    for state in states:
        tx.counts[Count(counted, state, topic)] += number


def move(tx: Tx, counted: Counted, source: str, target: str, number: int = 1, topic: str = "") -> int:
    """Moves so many from one state to another; returns how many."""
    add(tx, counted, [source], -number, topic)
    add(tx, counted, [target], number, topic)
    return number


async def _write(tx: Tx) -> None:
    rows = sorted((_make_key(count), *count, number) for count, number in tx.counts.items() if number)
    if not rows:
        return
    if tx.dialect == "sqlite":
        row, clash = "(? || '.0',?,?,?,?)", "ON CONFLICT (id) DO UPDATE SET total = total + excluded.total"
    else:
        row = "(CONCAT(?,'.s',CONNECTION_ID()),?,?,?,?)"
        clash = "ON DUPLICATE KEY UPDATE total = total + VALUES(total)"
    values = ",".join([row] * len(rows))
    await tx.execute(
        f"INSERT INTO kept_count (id, counted, state, topic, total) VALUES {values} {clash}",
        [value for row in rows for value in row],
    )


async def fold(tx: Tx) -> int:
    """Adds up the rows of sessions that are over; returns how many it has folded. To be run now and then: each session
    that ever wrote leaves a few. SQLite has one session, whose rows are always the same."""
    if tx.dialect == "sqlite":
        return 0
    alive = {f"s{row[0]}" for row in await tx.fetch("SELECT id FROM information_schema.processlist")}
    ids = [row[0] for row in await tx.fetch("SELECT id FROM kept_count WHERE id LIKE '%.s%' ORDER BY id")]
    over = [row_id for row_id in ids if (shard := row_id.rpartition(".")[2])[1:].isdecimal() and shard not in alive]
    if len(over) < MIN_FOLDED:
        return 0
    some = over[:MAX_FOLDED_PER_BATCH]
    rows = await tx.fetch(
        f"SELECT id, counted, state, topic, total FROM kept_count WHERE id IN ({placeholders(len(some))}) "
        "ORDER BY id FOR UPDATE SKIP LOCKED",
        some,
    )
    if not rows:
        return 0
    totals: Counter[Count] = Counter()
    for _, counted, state, topic, total in rows:
        totals[Count(counted, state, topic)] += total
    folded = [row[0] for row in rows]
    await tx.execute(f"DELETE FROM kept_count WHERE id IN ({placeholders(len(folded))})", folded)
    for key, count, total in sorted((f"{_make_key(count)}.{FOLDED}", count, total) for count, total in totals.items()):
        await tx.execute(
            "INSERT INTO kept_count (id, counted, state, topic, total) VALUES (?,?,?,?,?) "
            "ON DUPLICATE KEY UPDATE total = total + VALUES(total)",
            [key, *count, total],
        )
    return len(folded)


def _make_key(count: Count) -> str:
    """Makes the id of a count, but for its shard."""
    key = f"{count.counted}.{count.state}"
    return f"{key}.{hashlib.sha256(count.topic.encode()).hexdigest()[:16]}" if count.topic else key


async def count_items(tx: Tx) -> JournalCounts:
    """Reads how many items there are, those that retention has deleted included."""
    totals = await _read(tx, Counted.ITEM)
    return JournalCounts(
        received=sum(totals[fate] for fate in Fate),
        done=totals[Fate.DONE],
        ignored=totals[Fate.IGNORED],
        dead=totals[Fate.DEAD],
        pending=totals[Fate.PENDING],
        duplicates=totals[DUPLICATES],
    )


async def count_outbox(tx: Tx) -> dict[OutboxStatus, int]:
    """Reads how many messages have each status."""
    totals = await _read(tx, Counted.OUTBOX)
    return {status: totals[status] for status in OutboxStatus}


async def _read(tx: Tx, counted: Counted) -> Counter[str]:
    rows = await tx.fetch(
        "SELECT state, SUM(total) FROM kept_count WHERE id >= ? AND id < ? GROUP BY state", _list_bounds(counted)
    )
    return Counter({state: int(total) for state, total in rows})


async def count_tickets(tx: Tx, status: TicketStatus | None = None, issue_type: str | None = None) -> int:
    """Reads how many tickets have this status and this issue type. None stands for any."""
    wanted = {"state": status, "topic": issue_type}
    given = {column: value for column, value in wanted.items() if value is not None}
    conditions = "".join(f" AND {column} = ?" for column in given)
    rows = await tx.fetch(
        f"SELECT COALESCE(SUM(total), 0) FROM kept_count WHERE id >= ? AND id < ?{conditions}",
        [*_list_bounds(Counted.TICKET), *given.values()],
    )
    return int(rows[0][0])


def _list_bounds(counted: Counted) -> list[str]:
    """Lists the ends of the range of ids that the counts of this have."""
    return [f"{counted}.", f"{counted}/"]
