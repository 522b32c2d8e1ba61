"""The files of customers and agents: where each comes from, whom it belongs to, how far it has come.

The bytes are in a store (blobs/). Invariants: a state moves as MOVES says and no other way; a file is fetched
by the one process whose name and unexpired lease its row has, and what is said of it later counts only while both are
as they were, so that a process that stood still overwrites nothing; what is stored stays stored, but for an upload that
no answer carries; and no bytes are in the store without a row that names them, from before their first to after their
last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import FileState

_S = FileState
# What a file may become, and from where. A customer's file is born `waiting`, an agent's `loose`.
MOVES: Mapping[FileState, frozenset[FileState]] = {
    _S.WAITING: frozenset({_S.FETCHING, _S.FAILED}),
    _S.FETCHING: frozenset({_S.WAITING, _S.FAILED, _S.FETCHING}),  # the last: taken over from a process that is gone
    _S.STORED: frozenset({_S.FETCHING, _S.LOOSE}),
    _S.FAILED: frozenset({_S.FETCHING}),
    _S.REFUSED: frozenset({_S.FETCHING}),
    _S.EXPIRED: frozenset({_S.WAITING, _S.FAILED, _S.FETCHING}),
    _S.LOOSE: frozenset({_S.STORED}),  # it was not sent in time, and goes
}
COLUMNS = (
    "id", "direction", "customer_id", "ticket_id", "reply_id", "wamid", "kind", "media_id", "media_until", "mime_type",
    "filename", "size", "sha256", "state", "reason", "attempts", "owner", "due_at", "created_at", "stored_at",
)  # fmt: skip
LOADED = ", ".join(COLUMNS)


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file. `direction`: `in` (from a customer) or `out` (from an agent); `media_id`: Meta's, good until
    `media_until`; `due_at`: when to fetch it, or until when the process that does so has it; `sha256`: in hex."""

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


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a fetch of `row`, as it was claimed. `due_at`: when to try again. `burnt`: whether it counts as an
    attempt of this file."""

    row: FileRow
    state: FileState
    reason: str = ""
    due_at: datetime | None = None
    size: int | None = None
    sha256: str = ""
    mime_type: str = ""
    burnt: bool = True


async def insert(tx: Tx, rows: Sequence[FileRow]) -> None:
    """Writes new files."""
    values = []
    for row in rows:
        values.append((row.file_id, row.direction, row.customer_id, row.ticket_id, row.reply_id, row.wamid, row.kind,
                       row.media_id, _millis(row.media_until), row.mime_type[:100], row.filename[:255], row.size,
                       row.sha256, row.state, row.reason[:300], row.attempts, row.owner, to_millis(row.due_at),
                       to_millis(row.created_at), _millis(row.stored_at)))  # fmt: skip
    await tx.insert("file", COLUMNS, values)


async def attach(
    tx: Tx, customer_id: int, media_ids: Collection[str], ticket_id: int, reply_id: int | None = None
) -> None:
    """What this customer sent belongs to this ticket: to its description, or to a reply. What has a ticket keeps it."""
    if media_ids:
        await tx.execute(
            "UPDATE file SET ticket_id = ?, reply_id = ? WHERE customer_id = ? "
            f"AND media_id IN ({placeholders(len(media_ids))}) AND direction = 'in' AND ticket_id IS NULL",
            [ticket_id, reply_id, customer_id, *media_ids],
        )


async def attach_uploads(
    tx: Tx, file_ids: Collection[int], customer_id: int | None, ticket_id: int, reply_id: int
) -> list[FileRow]:
    """What agents uploaded goes out with this reply; returns those that do. Safe to run again."""
    if not file_ids:
        return []
    ours = f"id IN ({placeholders(len(file_ids))}) AND direction = 'out'"
    await tx.execute(
        f"UPDATE file SET customer_id = ?, ticket_id = ?, reply_id = ? WHERE {ours} AND reply_id IS NULL AND state = ?",
        [customer_id, ticket_id, reply_id, *file_ids, FileState.STORED],
    )
    rows = await tx.fetch(f"SELECT {LOADED} FROM file WHERE {ours} AND reply_id = ? ORDER BY id", [*file_ids, reply_id])
    return [_file_row(*row) for row in rows]


async def uploaded(tx: Tx, row: FileRow) -> None:
    """All of a loose file is in the store."""
    await tx.execute(
        "UPDATE file SET state = ?, kind = ?, size = ?, sha256 = ?, stored_at = ? WHERE id = ? AND state = ?",
        [FileState.STORED, row.kind, row.size, row.sha256, _millis(row.stored_at), row.file_id, FileState.LOOSE],
    )


async def loosen(tx: Tx, before: datetime, most: int) -> list[int]:
    """Uploads from before that no answer carries: from now on none will, and their bytes may go. Safe to run again."""
    unsent = "direction = 'out' AND ticket_id IS NULL AND reply_id IS NULL"
    rows = await tx.fetch(
        f"SELECT id FROM file WHERE {unsent} AND created_at <= ? ORDER BY id LIMIT ?", [to_millis(before), most]
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


async def forget(tx: Tx, file_ids: Collection[int]) -> None:
    """The bytes of these loose files are gone, and so are the files."""
    if file_ids:
        await tx.execute(
            f"DELETE FROM file WHERE id IN ({placeholders(len(file_ids))}) AND state = ?", [*file_ids, FileState.LOOSE]
        )


async def find(tx: Tx, file_id: int) -> FileRow | None:
    """The file, if there is one."""
    rows = await tx.fetch(f"SELECT {LOADED} FROM file WHERE id = ?", [file_id])
    return _file_row(*rows[0]) if rows else None


async def of_ticket(tx: Tx, ticket_id: int) -> list[FileRow]:
    """The files of a ticket, in the order in which they came."""
    rows = await tx.fetch(f"SELECT {LOADED} FROM file WHERE ticket_id = ? ORDER BY id", [ticket_id])
    return [_file_row(*row) for row in rows]


async def of_reply(tx: Tx, ticket_id: int, reply_id: int) -> list[FileRow]:
    """The files of one reply on this ticket, in the order in which they came."""
    rows = await tx.fetch(
        f"SELECT {LOADED} FROM file WHERE ticket_id = ? AND reply_id = ? ORDER BY id", [ticket_id, reply_id]
    )
    return [_file_row(*row) for row in rows]


async def due(tx: Tx, now: datetime, most: int, *, fresh: bool) -> list[int]:
    """Files to fetch now, the longest waiting first: those that were never tried, or those that were. A lease that has
    run out is due as well."""
    tried = "attempts = 0" if fresh else "attempts > 0"
    rows = await tx.fetch(
        f"SELECT id FROM file WHERE state IN (?, ?, ?) AND due_at <= ? AND {tried} ORDER BY due_at, id LIMIT ?",
        [FileState.WAITING, FileState.FAILED, FileState.FETCHING, to_millis(now), most],
    )
    return [row[0] for row in rows]


async def claim(tx: Tx, file_ids: Collection[int], owner: str, now: datetime, until: datetime) -> list[FileRow]:
    """Takes those of these files that are still due; they are `owner`'s until `until`. Safe to run again."""
    if not file_ids:
        return []
    ours = f"id IN ({placeholders(len(file_ids))})"
    sources = sorted(MOVES[FileState.FETCHING])
    await tx.execute(
        f"UPDATE file SET state = ?, owner = ?, due_at = ?, attempts = attempts + 1 WHERE {ours} "
        f"AND state IN ({placeholders(len(sources))}) AND due_at <= ?",
        [FileState.FETCHING, owner, to_millis(until), *file_ids, *sources, to_millis(now)],
    )
    rows = await tx.fetch(
        f"SELECT {LOADED} FROM file WHERE {ours} AND state = ? AND owner = ? AND due_at = ? ORDER BY id",
        [*file_ids, FileState.FETCHING, owner, to_millis(until)],
    )
    return [_file_row(*row) for row in rows]


async def keep(tx: Tx, file_ids: Collection[int], owner: str, until: datetime) -> None:
    """The process is alive and still at it."""
    if file_ids:
        await tx.execute(
            f"UPDATE file SET due_at = ? WHERE id IN ({placeholders(len(file_ids))}) AND state = ? AND owner = ?",
            [to_millis(until), *file_ids, FileState.FETCHING, owner],
        )


async def finish(tx: Tx, fetched: Fetched, at: datetime) -> bool:
    """Notes what became of a fetch; False when the file was taken over, and somebody else's word counts."""
    row, state = fetched.row, fetched.state
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
                state, fetched.reason[:300], to_millis(fetched.due_at or at), stored_at, 0 if fetched.burnt else 1,
                fetched.size, fetched.sha256, fetched.sha256, fetched.mime_type[:100],
                row.file_id, FileState.FETCHING, row.owner, row.attempts,
            ],
        )
    )  # fmt: skip


async def retry(tx: Tx, file_id: int, at: datetime) -> bool:
    """An agent wants it fetched now; False when it isn't one that failed."""
    return bool(
        await tx.execute(
            "UPDATE file SET state = ?, due_at = ? WHERE id = ? AND state = ?",
            [FileState.WAITING, to_millis(at), file_id, FileState.FAILED],
        )
    )


async def expire(tx: Tx, now: datetime) -> int:
    """Gives up on what Meta no longer has, and what nobody is fetching."""
    sources = sorted(MOVES[FileState.EXPIRED])
    return await tx.execute(
        "UPDATE file SET state = ?, owner = '' "
        f"WHERE state IN ({placeholders(len(sources))}) AND media_until <= ? AND (state <> ? OR due_at <= ?)",
        [FileState.EXPIRED, *sources, to_millis(now), FileState.FETCHING, to_millis(now)],
    )


async def set_media_id(tx: Tx, file_id: int, media_id: str, until: datetime) -> None:
    """Meta has an agent's file, under this id, until then."""
    await tx.execute(
        "UPDATE file SET media_id = ?, media_until = ? WHERE id = ? AND direction = 'out'",
        [media_id, to_millis(until), file_id],
    )


def _millis(at: datetime | None) -> int | None:
    return None if at is None else to_millis(at)


def _instant(millis: int | None) -> datetime | None:
    return None if millis is None else from_millis(millis)


def _file_row(*row: Any) -> FileRow:
    (file_id, direction, customer_id, ticket_id, reply_id, wamid, kind, media_id, media_until, mime_type, filename,
     size, sha256, state, reason, attempts, owner, due_at, created_at, stored_at) = row  # fmt: skip
    return FileRow(
        file_id, direction, kind, FileState(state), from_millis(due_at), from_millis(created_at), customer_id,
        ticket_id, reply_id, wamid, media_id, _instant(media_until), mime_type, filename, size, sha256, reason,
        attempts, owner, _instant(stored_at),
    )  # fmt: skip
