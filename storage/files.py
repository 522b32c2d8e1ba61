"""Reads and writes files' rows (table `file`): where each comes from, whom it belongs to, how far it has come.

The bytes are in a store (`blobs/`). How a customer's file is fetched from Meta is in `file_fetches.py`.

Invariants
- A state moves as MOVES says, and in no other way.
- What is stored stays stored, but for an upload that no reply carries, and a customer's file that nothing has taken.
- There are no bytes in the store without a row that names them: the row comes before the first byte, and goes after the
  last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.sql.row_mapper import RowMapper
from storage.statuses import FileState

_S = FileState
# For each state, those from which a file may come into it. A customer's file begins `waiting`. What an agent sends, and
# what is taken over, begins `loose`.
MOVES: Mapping[FileState, frozenset[FileState]] = {
    _S.WAITING: frozenset({_S.FETCHING, _S.FAILED, _S.DEFERRED}),
    _S.FETCHING: frozenset({_S.WAITING, _S.FAILED, _S.FETCHING}),  # the last: taken over from a process that is gone
    _S.STORED: frozenset({_S.FETCHING, _S.LOOSE}),
    _S.FAILED: frozenset({_S.FETCHING}),
    _S.DEFERRED: frozenset({_S.FETCHING}),
    _S.REFUSED: frozenset({_S.FETCHING, _S.LOOSE}),
    _S.EXPIRED: frozenset({_S.WAITING, _S.FAILED, _S.FETCHING, _S.DEFERRED}),
    _S.LOOSE: frozenset({_S.STORED, _S.REFUSED, _S.EXPIRED}),  # nothing took it in time, and it goes
}
MAX_MIME_TYPE_LENGTH = 100  # characters
MAX_FILENAME_LENGTH = 255  # characters
MAX_REASON_LENGTH = 300  # characters


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of the table `file`, whole: its fields are the columns. `direction`: `in` (from a customer) or `out` (from
    an agent); `media_id`: Meta's, good until `media_until`; `due_at`: when to fetch it, or until when `owner`, the
    process that does so, has it; `sha256`: in hex; `reserved_bytes`: what it takes of its customer's budget while it is
    fetched; `wanted_at`: when an agent asked for it, whatever the budget is."""

    file_id: int
    direction: Literal["in", "out"]
    kind: str
    state: FileState
    due_at: datetime
    created_at: datetime
    customer_id: int | None = None
    ticket_id: int | None = None
    reply_id: int | None = None
    wamid: str | None = None
    media_id: str = ""
    media_until: datetime | None = None
    mime_type: str = ""
    filename: str = ""
    size: int | None = None
    sha256: str = ""
    reason: str = ""
    attempts: int = 0
    owner: str = ""
    stored_at: datetime | None = None
    reserved_bytes: int | None = None
    wanted_at: datetime | None = None


class UnclaimedFile(NamedTuple):
    """A customer's file that is on no ticket, under the id that Meta gave it."""

    file_id: int
    customer_id: int
    media_id: str


MAPPER = RowMapper(FileRow, {"file_id": "id"})


async def insert(tx: Tx, rows: Sequence[FileRow]) -> None:
    """Inserts new files. What is too long for its column is cut."""
    fitting = [
        replace(
            row,
            mime_type=row.mime_type[:MAX_MIME_TYPE_LENGTH],
            filename=row.filename[:MAX_FILENAME_LENGTH],
            reason=row.reason[:MAX_REASON_LENGTH],
        )
        for row in rows
    ]
    await tx.insert("file", MAPPER.columns, [MAPPER.to_row(row) for row in fitting])


async def attach(
    tx: Tx, customer_id: int, media_ids: Collection[str], ticket_id: int, reply_id: int | None = None
) -> None:
    """Attaches what this customer sent to a ticket: to its description, or to a reply. A file that has one keeps it."""
    if media_ids:
        await tx.execute(
            "UPDATE file SET ticket_id = ?, reply_id = ? WHERE customer_id = ? "
            f"AND media_id IN ({placeholders(len(media_ids))}) AND direction = 'in' AND ticket_id IS NULL "
            "AND state <> ?",
            [ticket_id, reply_id, customer_id, *media_ids, FileState.LOOSE],
        )


async def attach_uploads(
    tx: Tx, file_ids: Collection[int], customer_id: int | None, ticket_id: int, reply_id: int
) -> list[FileRow]:
    """Attaches what agents uploaded to this reply, with which it goes out; returns the files that do. Safe to run
    again."""
    if not file_ids:
        return []
    ours = f"id IN ({placeholders(len(file_ids))}) AND direction = 'out'"
    await tx.execute(
        f"UPDATE file SET customer_id = ?, ticket_id = ?, reply_id = ? WHERE {ours} AND reply_id IS NULL AND state = ?",
        [customer_id, ticket_id, reply_id, *file_ids, FileState.STORED],
    )
    rows = await tx.fetch(
        f"SELECT {MAPPER.column_list} FROM file WHERE {ours} AND reply_id = ? ORDER BY id", [*file_ids, reply_id]
    )
    return MAPPER.from_rows(rows)


async def mark_uploaded(tx: Tx, row: FileRow) -> None:
    """Notes that all of a loose file is in the store."""
    stored_at = None if row.stored_at is None else to_millis(row.stored_at)
    await tx.execute(
        "UPDATE file SET state = ?, kind = ?, size = ?, sha256 = ?, stored_at = ? WHERE id = ? AND state = ?",
        [FileState.STORED, row.kind, row.size, row.sha256, stored_at, row.file_id, FileState.LOOSE],
    )


async def list_loose(tx: Tx, end_id: int, limit: int) -> list[FileRow]:
    """Lists customers' files that are loose, by their ids, which are below `end_id`."""
    rows = await tx.fetch(
        f"SELECT {MAPPER.column_list} FROM file WHERE id < ? AND direction = 'in' AND state = ? ORDER BY id LIMIT ?",
        [end_id, FileState.LOOSE, limit],
    )
    return MAPPER.from_rows(rows)


async def mark_lost(tx: Tx, file_id: int, reason: str) -> None:
    """Notes that a loose file will never be in the store, and why."""
    await tx.execute(
        "UPDATE file SET state = ?, reason = ? WHERE id = ? AND state = ?",
        [FileState.REFUSED, reason[:MAX_REASON_LENGTH], file_id, FileState.LOOSE],
    )


async def sum_between(tx: Tx, first_id: int, end_id: int) -> dict[FileState, tuple[int, int]]:
    """Counts files and their bytes by state, from `first_id` up to but without `end_id`."""
    rows = await tx.fetch(
        "SELECT state, COUNT(*), COALESCE(SUM(size), 0) FROM file WHERE id >= ? AND id < ? GROUP BY state",
        [first_id, end_id],
    )
    return {FileState(state): (int(count), int(size)) for state, count, size in rows}


async def loosen_unsent(tx: Tx, before: datetime, limit: int) -> list[int]:
    """Sets uploads from before `before` loose that no reply carries, so that none ever will; returns the ids of those
    whose bytes may be deleted. Safe to run again."""
    unsent = "direction = 'out' AND ticket_id IS NULL AND reply_id IS NULL"
    rows = await tx.fetch(
        f"SELECT id FROM file WHERE {unsent} AND created_at <= ? ORDER BY id LIMIT ?", [to_millis(before), limit]
    )
    if not rows:
        return []
    these, file_ids = f"id IN ({placeholders(len(rows))})", [row[0] for row in rows]
    await tx.execute(
        f"UPDATE file SET state = ? WHERE {these} AND {unsent} AND state = ?",
        [FileState.LOOSE, *file_ids, FileState.STORED],
    )
    found = await tx.fetch(f"SELECT id FROM file WHERE {these} AND state = ? ORDER BY id", [*file_ids, FileState.LOOSE])
    return [row[0] for row in found]


async def list_unclaimed(tx: Tx, before: datetime, *, after_id: int, limit: int) -> list[UnclaimedFile]:
    """Lists customers' files from before `before` that are on no ticket and that nobody fetches, in the order of their
    ids."""
    states = sorted({*MOVES[FileState.LOOSE], FileState.LOOSE})
    rows = await tx.fetch(
        "SELECT id, customer_id, media_id FROM file WHERE ticket_id IS NULL AND reply_id IS NULL AND direction = 'in' "
        f"AND created_at <= ? AND id > ? AND state IN ({placeholders(len(states))}) ORDER BY id LIMIT ?",
        [to_millis(before), after_id, *states, limit],
    )
    return [UnclaimedFile(*row) for row in rows]


async def loosen_unclaimed(tx: Tx, file_ids: Collection[int]) -> list[int]:
    """Sets those of these files loose that are on no ticket still, so that none will ever have them; returns the ids of
    those whose bytes may be deleted. Safe to run again."""
    these, sources = f"id IN ({placeholders(len(file_ids))})", sorted(MOVES[FileState.LOOSE])
    await tx.execute(
        f"UPDATE file SET state = ? WHERE {these} AND ticket_id IS NULL AND reply_id IS NULL AND direction = 'in' "
        f"AND state IN ({placeholders(len(sources))})",
        [FileState.LOOSE, *file_ids, *sources],
    )
    found = await tx.fetch(f"SELECT id FROM file WHERE {these} AND state = ? ORDER BY id", [*file_ids, FileState.LOOSE])
    return [row[0] for row in found]


async def delete_loose(tx: Tx, file_ids: Collection[int]) -> None:
    """Deletes those of these files that are loose; their bytes are gone already."""
    if file_ids:
        await tx.execute(
            f"DELETE FROM file WHERE id IN ({placeholders(len(file_ids))}) AND state = ?", [*file_ids, FileState.LOOSE]
        )


async def find(tx: Tx, file_id: int) -> FileRow | None:
    """Finds the file with this id."""
    rows = await tx.fetch(f"SELECT {MAPPER.column_list} FROM file WHERE id = ?", [file_id])
    return MAPPER.from_row(rows[0]) if rows else None


async def list_of_ticket(tx: Tx, ticket_id: int) -> list[FileRow]:
    """Lists the files of a ticket, in the order in which they came."""
    rows = await tx.fetch(f"SELECT {MAPPER.column_list} FROM file WHERE ticket_id = ? ORDER BY id", [ticket_id])
    return MAPPER.from_rows(rows)


async def list_of_reply(tx: Tx, ticket_id: int, reply_id: int) -> list[FileRow]:
    """Lists the files of one reply on this ticket, in the order in which they came."""
    rows = await tx.fetch(
        f"SELECT {MAPPER.column_list} FROM file WHERE ticket_id = ? AND reply_id = ? ORDER BY id", [ticket_id, reply_id]
    )
    return MAPPER.from_rows(rows)


async def set_media_id(tx: Tx, file_id: int, media_id: str, until: datetime) -> None:
    """Notes under which id Meta has an agent's file, and until when."""
    await tx.execute(
        "UPDATE file SET media_id = ?, media_until = ? WHERE id = ? AND direction = 'out'",
        [media_id, to_millis(until), file_id],
    )
