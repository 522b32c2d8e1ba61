"""The tests' own connection to the database, beside Tick's: what is read by it was committed.

Invariants
- No query is made on the event loop's thread, where it could wait for a lock that Tick can only release there.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

import pymysql

from storage.sql.mysql_url import parse_mysql_url

Row: TypeAlias = tuple[Any, ...]

# All but what a running process remembers by itself: the numbers it has reserved, and who may call.
EMPTIED = (
    "item", "outbox", "outbox_wamid", "reply", "ticket", "ticket_message", "file", "alert", "alias", "conversation",
    "customer", "audit", "daily_total", "ticket_event", "file_budget", "kept_count",
)  # fmt: skip


class Tables:
    """The tables of a running Tick."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = asyncio.Lock()
        self._sqlite = url.startswith("sqlite:")
        self._connection = self._connect()

    def _connect(self) -> Any:
        if self._sqlite:
            path = self._url.removeprefix("sqlite://")
            return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        address = parse_mysql_url(self._url)
        return pymysql.connect(**address._asdict(), charset="utf8mb4", autocommit=True, read_timeout=20)

    async def reopen(self) -> None:
        """Connects again, to a server that was away."""
        self.close()
        self._connection = await asyncio.to_thread(self._connect)

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        """Runs a statement with `?` for parameters; returns its rows."""
        return (await self._all([(sql, values)]))[0]

    async def fetch_value(self, sql: str, *values: object) -> Any:
        """Returns the first value of the only row."""
        ((value, *_),) = await self.fetch(sql, *values)
        return value

    async def delete_all(self) -> None:
        """Deletes everything that came in and all that came of it, in one transaction."""
        statements: list[tuple[str, Sequence[object]]] = [
            (f"DELETE FROM {table}", ())  # noqa: S608 - names of ours
            for table in EMPTIED
        ]
        await self._all([("BEGIN", ()), *statements, ("COMMIT", ())])

    async def read_snapshot(self) -> dict[str, list[Row]]:
        """Returns every row that a message may leave behind, but for what counts the duplicates."""
        selects = {
            table: f"SELECT * FROM {table} ORDER BY 1"  # noqa: S608 - names of ours
            for table in ("outbox", "reply", "ticket", "alias", "conversation", "customer")
        }
        selects["item"] = "SELECT id, `key`, fate, reason, attempts, late, effects, closed_at FROM item ORDER BY 1"
        return dict(zip(selects, await self._all([(sql, ()) for sql in selects.values()]), strict=True))

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    async def _all(self, statements: Sequence[tuple[str, Sequence[object]]]) -> list[list[Row]]:
        async with self._lock:
            return await asyncio.to_thread(lambda: [self._run(*statement) for statement in statements])

    def _run(self, sql: str, values: Sequence[object]) -> list[Row]:
        cursor = self._connection.cursor()
        cursor.execute(sql if self._sqlite else sql.replace("?", "%s"), tuple(values))
        found = [tuple(row) for row in cursor.fetchall()]
        cursor.close()
        return found
