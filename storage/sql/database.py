"""One database, opened once a process: the only door to SQL.

Invariants: every statement has a deadline, so a database that hangs never hangs a webhook; an error that a second try
may mend is tried again here and nowhere else; what has failed is rolled back, and a connection that saw it is not used
again. Hand-written SQL on the hot path is written once, with `?` for parameters, for both databases.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

from tortoise.apps import Apps
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.exceptions import IntegrityError

from storage.errors import OperatorError
from storage.sql.driver_errors import is_transient

DEADLINE_SECONDS = 5.0
TRIES = 4
MOST_PARAMETERS = 30_000
MOST_CHARACTERS = 2_000_000
TABLES = ["storage.models", "storage.desk_models"]
APPS = {"models": {"models": TABLES, "default_connection": "default", "migrations": "storage.migrations"}}
Row: TypeAlias = tuple[Any, ...]
T = TypeVar("T")


class DatabaseDown(Exception):
    """SQL can't do this now: nobody's fault who called, try again later."""


class WrongDatabase(OperatorError):
    """The database that the settings name can't be used: the operator's to mend. The text is one sentence."""


class Clash(Enum):
    """What a clash of keys means to a transaction."""

    RAISE = "an error"
    RUN_AGAIN = "another process was first: read again"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`url`: `sqlite:///path` or `mysql://user:password@host:port/name`; `pool_size`: connections to MySQL."""

    url: str
    pool_size: int = 8


class Tx:
    """A transaction, or a single statement outside of one."""

    def __init__(self, client: BaseDBAsyncClient, dialect: str) -> None:
        self.client = client
        self.dialect = dialect
        self._sqlite = dialect == "sqlite"

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Runs one statement; returns how many rows it changed."""
        if self._sqlite:
            connection = self.client._connection
            before = connection.total_changes
            await connection.execute_fetchall(sql, parameters)
            return int(connection.total_changes - before)
        async with self.client.acquire_connection() as connection, connection.cursor() as cursor:
            return int(await cursor.execute(_mysql(sql), parameters))

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """The rows of one SELECT."""
        if self._sqlite:
            rows: Sequence[Row] = await self.client._connection.execute_fetchall(sql, parameters)
            return rows
        async with self.client.acquire_connection() as connection, connection.cursor() as cursor:
            await cursor.execute(_mysql(sql), parameters)
            fetched: Sequence[Row] = await cursor.fetchall()
            return fetched

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Inserts `rows` by as few statements as the databases' limits allow."""
        one = f"({marks(len(columns))})"
        names = ",".join(f"`{column}`" for column in columns)
        for part in _statements(rows, max(1, MOST_PARAMETERS // len(columns))):
            values = ",".join([one] * len(part))
            await self.execute(f"INSERT INTO {table} ({names}) VALUES {values}", [x for row in part for x in row])


def _mysql(sql: str) -> str:
    """The driver puts parameters in by `%`."""
    return sql.replace("%", "%%").replace("?", "%s")


def _statements(rows: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """`rows` in parts that fit into one statement each: MySQL takes 16 MB, and a character may be 4 bytes."""
    part: list[Row] = []
    size = 0
    for row in rows:
        length = sum(len(value) for value in row if isinstance(value, str | bytes))
        if part and (len(part) == most or size + length > MOST_CHARACTERS):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


class Database:
    """The open database. `dialect` is `sqlite` or `mysql` (MariaDB included)."""

    def __init__(self, context: TortoiseContext, dialect: str) -> None:
        self._context = context
        self.dialect = dialect
        self.client = context.db()

    @property
    def apps(self) -> Apps:
        """The models, as the migrations compare them."""
        if self._context.apps is None:
            raise WrongDatabase("the database is closed")
        return self._context.apps

    @classmethod
    async def open(cls, settings: DatabaseSettings) -> "Database":
        """Opens the pool; raises WrongDatabase when the URL or the server can't be used."""
        credentials, dialect = _credentials(settings)
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
    async def transaction(self, deadline_seconds: float = DEADLINE_SECONDS) -> AsyncIterator[Tx]:
        """One transaction; raises DatabaseDown for what may pass, IntegrityError for a clash of keys."""
        with _translated():
            async with asyncio.timeout(deadline_seconds):
                async with self.client._in_transaction() as client:
                    yield Tx(client, self.dialect)

    @asynccontextmanager
    async def reading(self, deadline_seconds: float = DEADLINE_SECONDS) -> AsyncIterator[Tx]:
        """Statements on their own, each seeing what was committed before it."""
        with _translated():
            async with asyncio.timeout(deadline_seconds):
                if self.dialect == "sqlite":
                    async with self.client.acquire_connection():
                        yield Tx(self.client, self.dialect)
                else:
                    yield Tx(self.client, self.dialect)

    async def run(self, work: Callable[[Tx], Awaitable[T]], *, clash: Clash = Clash.RAISE) -> T:
        """`work` in one transaction, again when it failed in a way that a second try may mend.

        `work` must be safe to run again after a commit whose outcome is unknown: it begins with a fence, or inserts ids
        that were made before. With `clash` RUN_AGAIN, it reads before it inserts, and a clash of keys means that
        another process was first.
        """
        for attempt in range(TRIES):
            try:
                async with self.transaction() as tx:
                    return await work(tx)
            except (DatabaseDown, IntegrityError) as error:
                final = attempt == TRIES - 1
                if final or (isinstance(error, IntegrityError) and clash is Clash.RAISE):
                    raise
                await asyncio.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")


def marks(count: int) -> str:
    """`?,?,?` for `count` parameters."""
    return ",".join("?" * count)


class _translated:  # noqa: N801 - reads as a word in `with`
    """Turns what the drivers raise into this module's errors."""

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
        if is_transient(error):
            raise DatabaseDown(str(error)) from error


def _credentials(settings: DatabaseSettings) -> tuple[dict[str, Any], str]:
    parts = urlsplit(settings.url)
    if parts.scheme == "sqlite":
        return {"file_path": settings.url.removeprefix("sqlite://")}, "sqlite"
    if parts.scheme == "mysql" and parts.hostname and parts.path.strip("/"):
        return {
            "host": parts.hostname,
            "port": parts.port or 3306,
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "database": unquote(parts.path.strip("/")),
            "minsize": 1,
            "maxsize": settings.pool_size,
            "charset": "utf8mb4",
            "connect_timeout": 2,
        }, "mysql"
    raise WrongDatabase("DATABASE_URL must look like sqlite:///path/to/tick.db or mysql://user:password@host:3306/tick")
