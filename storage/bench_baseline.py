"""Stores what the baseline of `tick bench` keeps: one transaction for each message, and nothing in between.

The baseline is a yardstick, no part of Tick. Each write is one statement in autocommit mode, which is a whole
transaction in a single round trip: the cheapest there is.

Invariants
- When a method returns, what it was given is committed.
- A commit is as durable as Tick's: SQLite with WAL and synchronous FULL, MySQL as its server is set.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import aiomysql
import aiosqlite
from redis.asyncio import Redis

from storage.sql.mysql_url import make_tls_context, parse_mysql_url, parse_tls

TABLES = (
    "CREATE TABLE bare_messages (id {key}, wamid VARCHAR(200) {ascii} NOT NULL UNIQUE, customer VARCHAR(32) NOT NULL, "
    "payload {text} NOT NULL)",
    "CREATE TABLE bare_sends (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(32), body {text}, "
    "wamid VARCHAR(200) {ascii}, status SMALLINT NOT NULL)",
)
MYSQL = {
    "create": {"key": "BIGINT AUTO_INCREMENT PRIMARY KEY", "ascii": "CHARACTER SET ascii COLLATE ascii_bin",
               "text": "MEDIUMTEXT"},
    "message": "INSERT INTO bare_messages (wamid, customer, payload) VALUES (%s, %s, %s)",
    "send": "INSERT INTO bare_sends (id, customer, body, wamid, status) VALUES (%s, %s, %s, %s, 0) ON DUPLICATE KEY "
            "UPDATE customer = VALUES(customer), body = VALUES(body), wamid = VALUES(wamid)",
    "status": "INSERT INTO bare_sends (id, status) VALUES (%s, %s) ON DUPLICATE KEY "
              "UPDATE status = GREATEST(status, VALUES(status))",
}  # fmt: skip
SQLITE = {
    "create": {"key": "INTEGER PRIMARY KEY", "ascii": "", "text": "TEXT"},
    "message": "INSERT INTO bare_messages (wamid, customer, payload) VALUES (?, ?, ?)",
    "send": "INSERT INTO bare_sends (id, customer, body, wamid, status) VALUES (?, ?, ?, ?, 0) ON CONFLICT (id) "
            "DO UPDATE SET customer = excluded.customer, body = excluded.body, wamid = excluded.wamid",
    "status": "INSERT INTO bare_sends (id, status) VALUES (?, ?) ON CONFLICT (id) "
              "DO UPDATE SET status = max(status, excluded.status)",
}  # fmt: skip


class _Mysql:
    statements: dict[str, Any] = MYSQL

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, pool_size: int) -> "_Mysql":
        return cls(
            await aiomysql.create_pool(
                **_to_server_arguments(url),
                db=parse_mysql_url(url).database,
                minsize=pool_size,
                maxsize=pool_size,
                charset="utf8mb4",
                autocommit=True,
                init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            )
        )

    async def write(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(sql, parameters)

    async def close(self) -> None:
        self._pool.close()
        await self._pool.wait_closed()


class _Sqlite:
    statements: dict[str, Any] = SQLITE

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: str) -> "_Sqlite":
        connection = await aiosqlite.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        return cls(connection)

    async def write(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Runs one statement, in one hop to the connection's thread."""
        await self._connection.execute_fetchall(sql, parameters)

    async def close(self) -> None:
        await self._connection.close()


class BaselineStore:
    """What the baseline keeps in one SQL database and one Redis."""

    def __init__(self, sql: _Mysql | _Sqlite, redis: Redis) -> None:
        self._sql = sql
        self._redis = redis

    @classmethod
    async def open(cls, database_url: str, redis_url: str, *, pool_size: int) -> "BaselineStore":
        """Connects, and creates the tables."""
        sql: _Mysql | _Sqlite
        if database_url.startswith("sqlite:"):
            sql = await _Sqlite.open(database_url.removeprefix("sqlite://"))
        else:
            sql = await _Mysql.open(database_url, pool_size)
        for table in TABLES:
            await sql.write(table.format(**sql.statements["create"]))
        return cls(sql, Redis.from_url(redis_url))

    async def read_conversation(self, customer: str) -> bytes | str | None:
        """Reads a customer's conversation from Redis; None when there is none."""
        found: bytes | str | None = await self._redis.get(f"bare:{customer}")
        return found

    async def write_conversation(self, customer: str, conversation: str) -> None:
        """Writes a customer's conversation to Redis."""
        await self._redis.set(f"bare:{customer}", conversation)

    async def store_message(self, wamid: str, customer: str, payload: str) -> bool:
        """Inserts what a customer wrote; returns False when it was there already."""
        try:
            await self._sql.write(self._sql.statements["message"], (wamid, customer, payload))
        except (aiomysql.IntegrityError, aiosqlite.IntegrityError):
            return False
        return True

    async def store_send(self, send_id: int, customer: str, body: str, wamid: str) -> None:
        """Inserts what was sent, or adds it to a status that came before."""
        await self._sql.write(self._sql.statements["send"], (send_id, customer, body, wamid))

    async def store_status(self, send_id: int, rank: int) -> None:
        """Stores a status, which only moves forward, and may come before what was sent is stored."""
        await self._sql.write(self._sql.statements["status"], (send_id, rank))

    async def close(self) -> None:
        """Closes all connections."""
        await self._sql.close()
        await self._redis.aclose()


async def create_database(url: str, name: str) -> str:
    """Creates an empty database `name` beside the one of `url` (on SQLite a file beside it); returns its URL."""
    if url.startswith("sqlite:"):
        return f"{url.rpartition('/')[0]}/{name}.db"
    await _run_admin(url, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def drop_database(url: str, name: str) -> None:
    """Drops what create_database created. A file of SQLite is left to whoever owns its folder."""
    if not url.startswith("sqlite:"):
        await _run_admin(url, f"DROP DATABASE IF EXISTS `{name}`")


async def describe_durability(url: str) -> str:
    """Describes the product, its version, and what it does before it reports a commit."""
    if url.startswith("sqlite:"):
        return f"SQLite {aiosqlite.sqlite_version}: WAL, synchronous FULL"
    version, flush, binlog, sync = await _run_admin(
        url, "SELECT version(), @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog"
    )
    logged = f"sync_binlog {sync}" if binlog else "no binary log"
    return f"MySQL {version}: innodb_flush_log_at_trx_commit {flush}, {logged}"


async def _run_admin(url: str, sql: str) -> Sequence[Any]:
    connection = await aiomysql.connect(**_to_server_arguments(url), autocommit=True)
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(sql)
            row: Sequence[Any] = await cursor.fetchone() or ()
            return row
    finally:
        connection.close()


def _to_server_arguments(url: str) -> dict[str, Any]:
    """Returns the server of this URL and the account on it, as aiomysql's `connect` takes them."""
    address = parse_mysql_url(url)
    context = make_tls_context(parse_tls(url))
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "ssl": context,
    }
