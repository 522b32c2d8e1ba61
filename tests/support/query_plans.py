"""Watches which queries a database gets, and asks it how it would answer each: by a look at few rows, or at a table."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from storage.sql.database import Database
from tests.support.databases import Rival
from tests.support.servers import MariaDBServer

# What grows for as long as a desk is in use.
GROWING = (
    "alias", "audit", "conversation", "customer", "file", "item", "outbox", "reply", "ticket", "ticket_event",
    "ticket_message",
)  # fmt: skip
COUNTS = re.compile(r"\b(COUNT|SUM)\(|GROUP BY", re.IGNORECASE)
COMMON = re.compile(r"\b(status|fate|reason|issue_type|kind|origin)=\?")  # what many rows have in common
RANGE = re.compile(r"[<>]\?|=\?.*=\?")  # a part of what they have in common
OPEN_RANGE = re.compile(r"\(\w+>\?\)$")  # from somewhere to the end, as IS NOT NULL is
UNDER_WAY = "status = 'sending'"  # in a condition: never more than a process sends at once
READS_ROWS = ("SELECT", "WITH", "UPDATE", "DELETE")
FEW = 100  # rows


@asynccontextmanager
async def watching(database: Database, server: MariaDBServer | None) -> AsyncIterator[list[str]]:
    """Yields a list that has, once the block has ended, what the database had to find meanwhile. `server`: where
    the database is one of MariaDB's."""
    seen: list[str] = []
    if server is None:
        await database.client._connection.set_trace_callback(seen.append)
        yield seen
        await database.client._connection.set_trace_callback(None)
    else:
        for statement in (
            "SET GLOBAL log_output = 'TABLE'",
            "TRUNCATE mysql.general_log",
            "SET GLOBAL general_log = 1",
        ):
            server.execute(statement)
        yield seen
        server.execute("SET GLOBAL general_log = 0")
        rows = server.execute(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query'"
        )
        seen += [statement for (statement,) in rows]
    seen[:] = sorted({statement for statement in seen if statement.lstrip().upper().startswith(READS_ROWS)})


def find_wide_looks(url: str, statements: list[str]) -> list[str]:
    """Finds those of these queries that would look at a table that grows, or at a large part of one."""
    rival = Rival(url)
    try:
        explain = _explain_sqlite if rival.dialect == "sqlite" else _explain_mariadb
        return [f"{problem}: {statement[:300]}" for statement in statements for problem in explain(rival, statement)]
    finally:
        rival.close()


def _explain_sqlite(rival: Rival, statement: str) -> list[str]:
    """What a plan's lines say: SCAN is the whole of a table or index, SEARCH a part of an index."""
    lines: list[tuple[int, str]] = [(row[1], row[3]) for row in rival.execute(f"EXPLAIN QUERY PLAN {statement}")]
    limited, counts = "LIMIT" in statement.upper(), bool(COUNTS.search(statement))
    found = []
    for parent, line in lines:
        look = re.match(r"(SCAN|SEARCH) (\w+)(.*)", line)
        if not look or look[2] not in GROWING:
            continue
        if UNDER_WAY in statement and look[3].endswith("(status=?)"):
            continue
        is_common = bool(COMMON.search(look[3])) and not RANGE.search(look[3])
        is_wide = look[1] == "SCAN" or is_common or (counts and bool(OPEN_RANGE.search(look[3])))
        is_sorted = (parent, "USE TEMP B-TREE FOR ORDER BY") in lines
        if is_wide and (counts or is_sorted or not limited or (look[1] == "SCAN" and "USING" not in line)):
            found.append(line)
    return found


def _explain_mariadb(rival: Rival, statement: str) -> list[str]:
    rows: list[tuple[Any, ...]] = rival.execute(f"EXPLAIN {statement}".replace("?", "'?'"))
    limited, counts = "LIMIT" in statement.upper(), bool(COUNTS.search(statement))
    found = []
    for _, _, table, kind, _, key, _, _, looked_at, extra in rows:
        if table not in GROWING or int(looked_at or 0) <= FEW:
            continue
        is_sorted = "filesort" in (extra or "") or "temporary" in (extra or "")
        if counts or is_sorted or not limited or kind == "ALL":
            found.append(f"{kind} of {table} by {key}, {looked_at} rows, {extra}")
    return found
