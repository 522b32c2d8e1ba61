"""Opens the SQL database, once a process, and runs transactions and statements on it: the only door to SQL.

Hand-written SQL is written once for both databases, with `?` for parameters.

Invariants
- Every transaction and every reading has a deadline, so a database that hangs never hangs a webhook.
- A lock that another session holds is waited for about a second (`lock_waits.py`), and is an error of its own.
- An error that a second try may fix is tried again here (`Database.run`) and nowhere else.
- What has failed is rolled back, and a connection that saw the failure is not used again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from tortoise.apps import Apps
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.exceptions import IntegrityError

from storage.errors import WrongDatabase
from storage.sql.credentials import DatabaseSettings as DatabaseSettings
from storage.sql.credentials import read_credentials
from storage.sql.driver_errors import is_refusal_of_server, is_row_held, is_transient
from storage.sql.held_rows import HeldRows
from storage.sql.lock_waits import LockWait

DEADLINE_SECONDS = 5.0
MAX_TRIES = 4
MAX_PARAMETERS = 30_000  # in one statement: SQLite takes 32,766, MySQL 65,535
MAX_CHARACTERS = 2_000_000  # in one statement: MySQL takes 16 MB, and a character may be 4 bytes
TABLES = ["storage.models", "storage.desk_models"]
MIGRATIONS = "storage.migrations"
APPS = {"models": {"models": TABLES, "default_connection": "default", "migrations": MIGRATIONS}}
Row: TypeAlias = tuple[Any, ...]
T = TypeVar("T")


class DatabaseDown(Exception):
    """The database can't do this now: try again later."""


class RowsHeld(DatabaseDown):
    """The database is there, and another session has locked what this wanted for longer than we wait. It concerns only
    those whose rows these are: who shares a transaction with them tries again without them."""


class Clash(Enum):
    """What a clash of unique keys (IntegrityError) means to a transaction."""

    RAISE = "raise"  # it is an error
    RUN_AGAIN = "run_again"  # another process was first: read what it wrote, and decide anew


class Tx:
    """Runs statements, in a transaction or each on its own."""

    def __init__(self, client: BaseDBAsyncClient, dialect: str) -> None:
        self.client = client
        self.dialect = dialect
        self.counts = Counter[Any]()  # what is to be added to kept counts
        self.before_commit = list[Callable[["Tx"], Awaitable[None]]]()  # the last work of a transaction
        self._sqlite = dialect == "sqlite"

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Runs one statement; returns how many rows it changed."""
        if self._sqlite:
            connection = self.client._connection
            before = connection.total_changes
            await connection.execute_fetchall(sql, parameters)
            return int(connection.total_changes - before)
        async with self.client.acquire_connection() as connection, connection.cursor() as cursor:
            return int(await cursor.execute(_to_mysql(sql), parameters))

    async def execute_for_id(self, sql: str, parameters: Sequence[Any] = ()) -> int | None:
        """Runs one UPDATE of one row that names a value by LAST_INSERT_ID(...); returns that value, None where there
        was no row. Only for MySQL."""
        async with self.client.acquire_connection() as connection, connection.cursor() as cursor:
            return int(cursor.lastrowid) if await cursor.execute(_to_mysql(sql), parameters) else None

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """Returns the rows of one SELECT."""
        if self._sqlite:
            rows: Sequence[Row] = await self.client._connection.execute_fetchall(sql, parameters)
            return rows
        async with self.client.acquire_connection() as connection, connection.cursor() as cursor:
            await cursor.execute(_to_mysql(sql), parameters)
            fetched: Sequence[Row] = await cursor.fetchall()
            return fetched

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Inserts `rows` by as few statements as the databases' limits allow."""
        one = f"({placeholders(len(columns))})"
        names = ",".join(f"`{column}`" for column in columns)
        for part in _split_rows(rows, max(1, MAX_PARAMETERS // len(columns))):
            values = ",".join([one] * len(part))
            await self.execute(f"INSERT INTO {table} ({names}) VALUES {values}", [x for row in part for x in row])


def _to_mysql(sql: str) -> str:
    """Spells the parameters as aiomysql takes them, which puts them in by `%`."""
    return sql.replace("%", "%%").replace("?", "%s")


def _split_rows(rows: Sequence[Row], max_rows: int) -> Iterator[list[Row]]:
    """Splits `rows` into parts that fit into one statement each."""
    part: list[Row] = []
    size = 0
    for row in rows:
        length = sum(len(value) for value in row if isinstance(value, str | bytes))
        if part and (len(part) == max_rows or size + length > MAX_CHARACTERS):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


class Database:
    """The open database. `dialect`: `sqlite`, or `mysql` for MySQL and MariaDB; `held`: whose rows were met locked."""

    def __init__(self, context: TortoiseContext, dialect: str) -> None:
        self._context = context
        self.dialect = dialect
        self.client = context.db()
        self.held = HeldRows()

    @property
    def apps(self) -> Apps:
        """The models, in the form in which the migrations compare them."""
        if self._context.apps is None:
            raise WrongDatabase("the database is closed")
        return self._context.apps

    @classmethod
    async def open(cls, settings: DatabaseSettings) -> "Database":
        """Opens the pool; raises WrongDatabase when the URL or the server can't be used."""
        credentials, dialect = read_credentials(settings)
        context = TortoiseContext()
        config = {
            "connections": {"default": {"engine": f"storage.sql.engine_{dialect}", "credentials": credentials}},
            "apps": APPS,
        }
        with context:  # requests run in other tasks than this one, and find it by the global fallback
            await context.init(config=config, _enable_global_fallback=True)
        return cls(context, dialect)

    async def close(self) -> None:
        """Closes every connection."""
        await self._context.close_connections()

    @asynccontextmanager
    async def transaction(
        self, deadline_seconds: float = DEADLINE_SECONDS, *, lock_wait: LockWait = LockWait.USUAL
    ) -> AsyncIterator[Tx]:
        """Opens one transaction; raises DatabaseDown for what may pass, RowsHeld where another session holds what it
        wants, IntegrityError for a clash of keys. One with a longer deadline may wait and stand still for as long."""
        if deadline_seconds > DEADLINE_SECONDS:
            lock_wait = LockWait.PATIENT
        with _DriverErrors():
            async with asyncio.timeout(deadline_seconds):
                async with self.client._in_transaction(lock_wait) as client:  # type: ignore[call-arg]  # ours take it
                    yield (tx := Tx(client, self.dialect))
                    for work in tx.before_commit:
                        await work(tx)

    @asynccontextmanager
    async def reading(self, deadline_seconds: float = DEADLINE_SECONDS) -> AsyncIterator[Tx]:
        """Lets statements run each on its own, so that each sees what was committed before it."""
        with _DriverErrors():
            async with asyncio.timeout(deadline_seconds):
                if self.dialect == "sqlite":
                    async with self.client.acquire_connection():
                        yield Tx(self.client, self.dialect)
                else:
                    yield Tx(self.client, self.dialect)

    async def answers(self, seconds: float) -> bool:
        """Returns whether the server answers within so many seconds, however busy the pool is. SQLite has none."""
        if self.dialect == "sqlite":
            return True
        try:
            async with asyncio.timeout(seconds):
                await self.client.connect_once()  # type: ignore[attr-defined]  # it is a StrictMySQLClient
        except Exception as error:  # noqa: BLE001 - whatever a driver raises
            return is_refusal_of_server(error)
        return True

    async def run(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        clash: Clash = Clash.RAISE,
        deadline_seconds: float = DEADLINE_SECONDS,
        lock_wait: LockWait = LockWait.USUAL,
    ) -> T:
        """Runs `work` in one transaction, and again when it failed in a way that another try may fix: not after
        RowsHeld, since another try would wait as long, nor once the deadline of the first has passed.

        `work` must be safe to run again after a commit whose outcome is unknown: it begins with a fence, or inserts ids
        that were made before. With `clash` RUN_AGAIN, it reads before it inserts, and a clash of keys means that
        another process was first.
        """
        began = time.monotonic()
        for attempt in range(MAX_TRIES):
            try:
                async with self.transaction(deadline_seconds, lock_wait=lock_wait) as tx:
                    return await work(tx)
            except RowsHeld:
                raise
            except (DatabaseDown, IntegrityError) as error:
                final = attempt == MAX_TRIES - 1 or time.monotonic() - began >= deadline_seconds
                if final or (isinstance(error, IntegrityError) and clash is Clash.RAISE):
                    raise
                await asyncio.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")


def placeholders(count: int) -> str:
    """Returns `?,?,?` for `count` parameters."""
    return ",".join("?" * count)


class _DriverErrors:
    """Turns what the drivers raise into this module's errors. (A class takes a quarter of a generator's time.)"""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, DatabaseDown | IntegrityError | asyncio.CancelledError):
            return
        if isinstance(error, TimeoutError):
            raise DatabaseDown("the database did not answer in time") from error
        if "IntegrityError" in type(error).__name__:
            raise IntegrityError(error) from error
        if is_row_held(error):
            raise RowsHeld(str(error)) from error
        if is_transient(error):
            raise DatabaseDown(str(error)) from error
