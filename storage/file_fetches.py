"""Decides in SQL which process fetches which file of a customer from Meta, and notes what became of it.

Invariants
- A file is fetched by the one process whose name and unexpired lease its row has.
- The outcome of a fetch counts only while name and attempt are as they were when the file was claimed, so that a
  process that stood still overwrites nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.files import MAPPER, MAX_MIME_TYPE_LENGTH, MAX_REASON_LENGTH, MOVES, FileRow
from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import FileState

MAX_WAIT = timedelta(days=1)  # far more than is ever waited before the next try
DUE = "(due_at <= ? OR due_at > ?)"
FETCHED_ON_DEMAND = frozenset({FileState.FAILED, FileState.DEFERRED})  # when an agent asks for it


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What became of a fetch of `row`, as it was claimed. `due_at`: when to try again; `is_attempt`: whether it counts
    as an attempt of this file, which what holds up all files does not."""

    row: FileRow
    state: FileState
    reason: str = ""
    due_at: datetime | None = None
    size: int | None = None
    sha256: str = ""
    mime_type: str = ""
    is_attempt: bool = True


async def find_due(tx: Tx, now: datetime, limit: int, *, fresh: bool) -> list[int]:
    """Finds files to fetch now, the longest waiting first: those that were never tried, or those that were. One whose
    lease has run out is due as well, and so is one that would wait for longer than any does: a clock was wrong."""
    tried = "attempts = 0" if fresh else "attempts > 0"
    rows = await tx.fetch(
        f"SELECT id FROM file WHERE state IN (?, ?, ?) AND {DUE} AND {tried} ORDER BY due_at, id LIMIT ?",
        [FileState.WAITING, FileState.FAILED, FileState.FETCHING, *_to_due(now), limit],
    )
    return [row[0] for row in rows]


def _to_due(now: datetime) -> tuple[int, int]:
    """Returns the values of DUE."""
    return to_millis(now), to_millis(now + MAX_WAIT)


async def claim(tx: Tx, file_ids: Collection[int], owner: str, now: datetime, until: datetime) -> list[FileRow]:
    """Claims those of these files that are still due for `owner`, with a lease until `until`; returns them. Safe to run
    again."""
    if not file_ids:
        return []
    ours = f"id IN ({placeholders(len(file_ids))})"
    sources = sorted(MOVES[FileState.FETCHING])
    await tx.execute(
        f"UPDATE file SET state = ?, owner = ?, due_at = ?, attempts = attempts + 1 WHERE {ours} "
        f"AND state IN ({placeholders(len(sources))}) AND {DUE}",
        [FileState.FETCHING, owner, to_millis(until), *file_ids, *sources, *_to_due(now)],
    )
    rows = await tx.fetch(
        f"SELECT {MAPPER.column_list} FROM file WHERE {ours} AND state = ? AND owner = ? AND due_at = ? ORDER BY id",
        [*file_ids, FileState.FETCHING, owner, to_millis(until)],
    )
    return MAPPER.from_rows(rows)


async def renew(tx: Tx, file_ids: Collection[int], owner: str, until: datetime) -> None:
    """Extends the leases of a process that is still fetching these files."""
    if file_ids:
        await tx.execute(
            f"UPDATE file SET due_at = ? WHERE id IN ({placeholders(len(file_ids))}) AND state = ? AND owner = ?",
            [to_millis(until), *file_ids, FileState.FETCHING, owner],
        )


async def finish(tx: Tx, outcome: FetchOutcome, at: datetime) -> bool:
    """Notes what became of a fetch; returns False when another process has taken the file over."""
    row, state = outcome.row, outcome.state
    if FileState.FETCHING not in MOVES[state]:
        raise ValueError(f"a file never goes from fetching to {state}")
    stored_at = to_millis(at) if state is FileState.STORED else None
    return bool(
        await tx.execute(
            "UPDATE file SET state = ?, reason = ?, due_at = ?, stored_at = ?, attempts = attempts - ?, "
            "size = COALESCE(?, size), sha256 = CASE WHEN ? = '' THEN sha256 ELSE ? END, "
            "mime_type = CASE WHEN mime_type = '' THEN ? ELSE mime_type END, owner = '' "
            "WHERE id = ? AND state = ? AND owner = ? AND attempts = ?",
            [
                state,
                outcome.reason[:MAX_REASON_LENGTH],
                to_millis(outcome.due_at or at),
                stored_at,
                0 if outcome.is_attempt else 1,
                outcome.size,
                *(outcome.sha256, outcome.sha256),
                outcome.mime_type[:MAX_MIME_TYPE_LENGTH],
                *(row.file_id, FileState.FETCHING, row.owner, row.attempts),
            ],
        )
    )


async def retry(tx: Tx, file_id: int, at: datetime) -> bool:
    """Has a file fetched now that failed or was left at Meta, since an agent wants it; returns False for any other."""
    millis, sources = to_millis(at), sorted(FETCHED_ON_DEMAND)
    return bool(
        await tx.execute(
            "UPDATE file SET state = ?, due_at = ?, wanted_at = ? "
            f"WHERE id = ? AND state IN ({placeholders(len(sources))})",
            [FileState.WAITING, millis, millis, file_id, *sources],
        )
    )


async def expire(tx: Tx, now: datetime) -> int:
    """Gives up on files that Meta has no more and nobody is fetching; returns how many."""
    sources = sorted(MOVES[FileState.EXPIRED])
    return await tx.execute(
        "UPDATE file SET state = ?, owner = '' "
        f"WHERE state IN ({placeholders(len(sources))}) AND media_until <= ? AND (state <> ? OR due_at <= ?)",
        [FileState.EXPIRED, *sources, to_millis(now), FileState.FETCHING, to_millis(now)],
    )
