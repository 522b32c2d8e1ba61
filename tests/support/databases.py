"""Databases with Tick's tables in them, and a rival: a connection as another process at the same database has it.

Invariants
- Each test finds every table empty. The tables are made once a run, by the real migrations.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql
import pytest

from storage.sql.database import Database, DatabaseSettings
from storage.sql.migrate import migrate
from storage.sql.mysql_url import parse_mysql_url
from tests.support.servers import MariaDBServer


class Rival:
    """A connection of its own, as another process has one, that reads and locks whatever a test wants."""

    def __init__(self, url: str) -> None:
        self.dialect = "sqlite" if url.startswith("sqlite") else "mysql"
        self.is_in_transaction = False
        if self.dialect == "sqlite":
            path = url.removeprefix("sqlite://")
            self._connection: Any = sqlite3.connect(path, isolation_level=None, timeout=5)
        else:
            address = parse_mysql_url(url)
            self._connection = pymysql.connect(**address._asdict(), autocommit=True, charset="utf8mb4")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs one statement with `?` for parameters; returns its rows."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql if self.dialect == "sqlite" else sql.replace("?", "%s"), values)
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def begin(self) -> None:
        """Begins a transaction; on SQLite with the write lock."""
        self.execute("BEGIN IMMEDIATE" if self.dialect == "sqlite" else "BEGIN")
        self.is_in_transaction = True

    def commit(self) -> None:
        self.execute("COMMIT")
        self.is_in_transaction = False

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "tick.db"
    asyncio.run(migrate(DatabaseSettings(f"sqlite://{path}")))
    return path


@pytest.fixture(scope="session")
def mariadb_tables(mariadb_server: MariaDBServer) -> tuple[str, list[str]]:
    """The name of a database with Tick's tables, and the names of the tables."""
    name = mariadb_server.new_database()
    asyncio.run(migrate(DatabaseSettings(mariadb_server.url(name))))
    tables = mariadb_server.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name NOT LIKE %s",
        (name, "%migrations%"),
    )
    return name, [table for (table,) in tables]


def empty_tables(server: MariaDBServer, mariadb_tables: tuple[str, list[str]]) -> str:
    """Empties that database, whoever was still connected to it; returns its name."""
    name, tables = mariadb_tables
    server.disconnect(name)
    server.empty(name, tables)
    return name


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path, ran: Callable[[str], None]) -> str:
    """A fresh file with Tick's tables."""
    ran("sqlite")
    return f"sqlite://{shutil.copy(sqlite_template, tmp_path / 'tick.db')}"


@pytest.fixture
def migrated_mariadb_url(
    mariadb_server: MariaDBServer, mariadb_tables: tuple[str, list[str]], ran: Callable[[str], None]
) -> str:
    """A database with Tick's tables, all empty."""
    ran("mariadb")
    return mariadb_server.url(empty_tables(mariadb_server, mariadb_tables))


@pytest.fixture(params=["sqlite", "mariadb"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """An open database, each kind in turn, with every table empty."""
    opened = await Database.open(DatabaseSettings(migrated_url))
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_database(migrated_sqlite_url: str) -> AsyncIterator[Database]:
    """An open SQLite database alone, for tests with many cases."""
    opened = await Database.open(DatabaseSettings(migrated_sqlite_url))
    yield opened
    await opened.close()


@pytest.fixture
async def mariadb_database(migrated_mariadb_url: str) -> AsyncIterator[Database]:
    """An open MariaDB database alone, for what only a server can do."""
    opened = await Database.open(DatabaseSettings(migrated_mariadb_url))
    yield opened
    await opened.close()


async def until_blocked(server: MariaDBServer) -> None:
    """Waits until a transaction waits for a lock. InnoDB's own list is at most 0.1 s old."""
    async with asyncio.timeout(20):
        while not server.execute("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"):
            await asyncio.sleep(0.15)


@pytest.fixture
def rival(migrated_url: str) -> Iterator[Rival]:
    """Another process at the same database."""
    other = Rival(migrated_url)
    yield other
    other.close()
