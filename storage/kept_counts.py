"""Keeps the counts that people look at (table `kept_count`): nothing that is shown counts a table.

Who changes what is counted says so in the same transaction, and the sums are written as its last statement. A count is
spread over SHARDS rows, of which a connection takes its own, so that transactions at the same time don't wait for each
other; whoever reads adds them up, and one of them alone may be below zero.

Invariants
- The counts are exact in every snapshot: what is counted and its counts change in one transaction, and all counts are
  read by one statement.
- No transaction waits for a lock once it holds one of these: they are written last, in the order of their ids.
- What retention deletes from the journal stays counted: an item counts for ever.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from storage.sql.database import Tx
from storage.statuses import Fate, OutboxStatus, TicketStatus

SHARDS = 16  # connections that commit at the same moment have consecutive ids, and a pool has fewer
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
        row = f"(CONCAT(?,'.',MOD(CONNECTION_ID(),{SHARDS})),?,?,?,?)"
        clash = "ON DUPLICATE KEY UPDATE total = total + VALUES(total)"
    values = ",".join([row] * len(rows))
    await tx.execute(
        f"INSERT INTO kept_count (id, counted, state, topic, total) VALUES {values} {clash}",
        [value for row in rows for value in row],
    )


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
