"""Reads the tables of the original system (`tickets`, `replies`), which may lie beside ours on MySQL and MariaDB.

Its guide gives the columns of `tickets`, and none of `replies`: of these, what is there is read.

Invariants
- Nothing is ever written to these tables.
- A file is read in pieces, so that neither this process nor a packet of MySQL has to hold it whole.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage import takeovers
from storage.sql.database import Database, Tx, placeholders
from storage.takeovers import REPLIES, TICKETS

READ_SECONDS = 300.0  # these tables may be cold, and the server reads a row's file to say how large it is
PIECE_BYTES = 4 * 1024 * 1024  # the server reads the whole file for each piece, and takes packets of 16 MB or more
TICKET_COLUMNS = (
    "name", "email", "mobile", "description", "issue_type", "issue_type_other", "issue_title", "status",
    "whatsapp_enabled", "whatsapp_notifications", "created_at", "updated_at", "attachment_name", "attachment_type",
)  # fmt: skip
REPLY_COLUMNS = (
    "ticket_id", "message", "reply", "content", "body", "author", "sender", "user_name", "created_at",
    "attachment_name", "attachment_type",
)  # fmt: skip
ATTACHMENT = "attachment"
MARKS = frozenset({"id", "description", "issue_type", "status", "created_at"})  # other systems have `tickets`, too
DATES = frozenset({"created_at", "updated_at"})
_WHOLE_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})


@dataclass(frozen=True, slots=True)
class OriginalTable:
    """A table of the original system. `key`: its primary key; `columns`: those that we read, each with its type;
    `unread`: the others."""

    name: str
    key: str
    columns: Mapping[str, str]
    unread: Sequence[str]

    @property
    def has_files(self) -> bool:
        """Whether its rows may have files."""
        return ATTACHMENT in self.columns

    @property
    def has_local_dates(self) -> bool:
        """Whether it has dates that mean nothing without a time zone. A `timestamp` is an instant, and read in UTC."""
        return any(self.columns[name] != "timestamp" for name in DATES & self.columns.keys())


@dataclass(frozen=True, slots=True)
class OriginalRow:
    """A row of one of them. `values`: what is there of the columns that we read, dates as text; `file_bytes`: how large
    its file is, None where it has none."""

    row_id: int
    values: Mapping[str, Any]
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OriginalTables:
    """The tables of the original system in this database. `foreign`: tables that are called like one of them and can't
    be read as one, each with the reason in words."""

    tickets: OriginalTable | None = None
    replies: OriginalTable | None = None
    foreign: Mapping[str, str] = field(default_factory=dict)


async def find_tables(tx: Tx) -> OriginalTables:
    """Finds what there is of the original system in this database."""
    if tx.dialect == "sqlite":
        return OriginalTables()
    rows = await tx.fetch(
        "SELECT LOWER(table_name), LOWER(column_name), LOWER(data_type), column_key FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name IN (?, ?) ORDER BY ordinal_position",
        [TICKETS, REPLIES],
    )
    tickets = [row[1:] for row in rows if row[0] == TICKETS]
    replies = [row[1:] for row in rows if row[0] == REPLIES]
    foreign: dict[str, str] = {}
    if tickets and (lacking := sorted(MARKS - {name for name, _, _ in tickets})):
        foreign[TICKETS] = f"it has no {' and no '.join(lacking)}"
    elif tickets and not _find_key(tickets):
        foreign[TICKETS] = "its primary key is not one whole number"
    if tickets and not foreign and replies:
        if ("ticket_id", True) not in [(name, kind in _WHOLE_NUMBERS) for name, kind, _ in replies]:
            foreign[REPLIES] = "it has no ticket_id that is a whole number"
        elif not _find_key(replies):
            foreign[REPLIES] = "its primary key is not one whole number"
    return OriginalTables(
        tickets=_make_table(TICKETS, tickets, TICKET_COLUMNS) if tickets and TICKETS not in foreign else None,
        replies=_make_table(REPLIES, replies, REPLY_COLUMNS)
        if replies and tickets and not foreign.keys() & {TICKETS, REPLIES}
        else None,
        foreign=foreign,
    )


def _find_key(columns: Sequence[tuple[str, str, str]]) -> str:
    keys = [(name, kind) for name, kind, key in columns if key == "PRI"]
    return keys[0][0] if len(keys) == 1 and keys[0][1] in _WHOLE_NUMBERS else ""


def _make_table(name: str, columns: Sequence[tuple[str, str, str]], wanted: Sequence[str]) -> OriginalTable:
    key = _find_key(columns)
    types = {column: kind for column, kind, _ in columns}
    read = {column: types[column] for column in (*wanted, ATTACHMENT) if column in types}
    return OriginalTable(name, key, read, [column for column in types if column not in read and column != key])


async def is_takeover_due(tx: Tx) -> bool:
    """Returns whether there is something of the original system that is not taken over, or not all of it."""
    if (await find_tables(tx)).tickets is None:
        return False
    done = await takeovers.find_all(tx)
    return TICKETS not in done or any(each.finished_at is None for each in done.values())


async def find_bounds(tx: Tx, table: OriginalTable) -> tuple[int, int] | None:
    """Finds the lowest and the highest id; None where the table is empty."""
    ((lowest, highest),) = await tx.fetch(f"SELECT MIN(`{table.key}`), MAX(`{table.key}`) FROM `{table.name}`")
    return None if lowest is None else (int(lowest), int(highest))


async def list_rows(tx: Tx, table: OriginalTable, after: int, until: int, limit: int) -> list[OriginalRow]:
    """Lists the rows behind the id `after`, by their ids."""
    names = [name for name in table.columns if name != ATTACHMENT]
    chosen = [f"CAST(`{name}` AS CHAR)" if name in DATES else f"`{name}`" for name in names]
    chosen += [f"OCTET_LENGTH(`{ATTACHMENT}`)"] * table.has_files
    rows = await tx.fetch(
        f"SELECT `{table.key}`, {', '.join(chosen)} FROM `{table.name}` "
        f"WHERE `{table.key}` > ? AND `{table.key}` <= ? ORDER BY `{table.key}` LIMIT ?",
        [after, until, limit],
    )
    return [
        OriginalRow(int(row[0]), dict(zip(names, row[1:], strict=False)), row[-1] if table.has_files else None)
        for row in rows
    ]


async def read_file(database: Database, table: OriginalTable, row_id: int) -> AsyncIterator[bytes]:
    """Reads the file of a row, piece by piece."""
    start = 1
    while True:
        async with database.reading(READ_SECONDS) as tx:
            rows = await tx.fetch(
                f"SELECT SUBSTRING(`{ATTACHMENT}`, ?, ?) FROM `{table.name}` WHERE `{table.key}` = ?",
                [start, PIECE_BYTES, row_id],
            )
        piece = rows[0][0] if rows else None
        if not piece:
            return
        yield piece if isinstance(piece, bytes) else piece.encode()
        start += len(piece)


async def has_numbers_without_plus(tx: Tx, tickets: OriginalTable) -> bool:
    """Returns whether there are phone numbers that don't say their country."""
    if "mobile" not in tickets.columns:
        return False
    rows = await tx.fetch(
        "SELECT 1 FROM `tickets` WHERE TRIM(mobile) <> '' AND TRIM(mobile) NOT LIKE '+%' "
        "AND TRIM(mobile) NOT LIKE '00%' LIMIT 1"
    )
    return bool(rows)


async def find_known_tickets(tx: Tx, ticket_ids: Sequence[int], until: int) -> set[int]:
    """Finds those of these tickets that the original system has, up to the id `until`."""
    if not ticket_ids:
        return set()
    rows = await tx.fetch(
        f"SELECT `id` FROM `tickets` WHERE `id` IN ({placeholders(len(ticket_ids))}) AND `id` <= ?",
        [*ticket_ids, until],
    )
    return {int(row[0]) for row in rows}


async def count_rows(tx: Tx, table: OriginalTable, until: int) -> int:
    """Counts the rows up to the id `until`."""
    ((count,),) = await tx.fetch(f"SELECT COUNT(*) FROM `{table.name}` WHERE `{table.key}` <= ?", [until])
    return int(count)


async def read_time_zone(tx: Tx) -> str:
    """Reads the time zone of the database server, as it calls it."""
    ((zone, system_zone),) = await tx.fetch("SELECT @@global.time_zone, @@system_time_zone")
    return str(system_zone if zone == "SYSTEM" else zone)
