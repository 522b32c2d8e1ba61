"""Adapts Tortoise's MySQL backend, so that sessions are what the fence relies on.

Invariants
- Every session is READ COMMITTED: what is pending is read again once the locks are held, as it is then.
- Every session is strict, so a truncation is an error, and in UTC.
- Every session sets its character set itself, after the server's init_connect: what the server makes of the one that
  the driver asks for as it signs in is the server's choice.
- Every table that a session makes is InnoDB.
- How long a session waits for locks, and stands still with its own, is bounded (`lock_waits.py`).
- A connection that saw an error or a cancellation is closed and never pooled again, since nobody knows what is still on
  its wire.
"""

import asyncio
from typing import Any

from tortoise.backends.base.client import (
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.backends.mysql.client import MySQLClient, TransactionWrapper
from tortoise.connection import get_connections

from storage.sql.lock_waits import LockWait, begin_statement, end_statement, list_session_variables
from storage.sql.mysql_connections import connect, make_pool

ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
# aiomysql runs `SET sql_mode=` and then this text on each new connection: the one place for further variables
VARIABLES = (
    "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', NAMES utf8mb4, time_zone = '+00:00', default_storage_engine = InnoDB, "
)
NAMES = "SELECT @@character_set_client, @@character_set_connection, @@character_set_results"


async def _discard(pool: Any, connection: Any) -> None:
    connection.close()
    await pool.release(connection)
    await pool._wakeup()  # aiomysql's release of a closed connection tells no waiter that there is room again


class _ClosingTransaction(TransactionContextPooled):
    def __init__(self, client: TransactionalDBClient, pool_init_lock: asyncio.Lock, lock_wait: LockWait) -> None:
        super().__init__(client, pool_init_lock)
        self._lock_wait = lock_wait

    async def __aenter__(self) -> TransactionalDBClient:
        await self.ensure_connection()
        pool = self.client._parent._pool
        connection = await pool.acquire()
        self.client._connection = connection
        try:
            if statement := begin_statement(self._lock_wait, connection.server_version):
                await connection.query(statement)
            await self.client.begin()
        except BaseException:
            await _discard(pool, connection)
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        get_connections().reset(self.token)
        pool = self.client._parent._pool
        connection = self.client._connection
        if exc_type is not None:  # closing the connection is the rollback
            await _discard(pool, connection)
            return
        try:
            await self.client.commit()
        except BaseException:
            await _discard(pool, connection)
            raise
        if self._lock_wait is LockWait.PATIENT:
            await _discard(pool, connection)
            return
        if statement := end_statement(self._lock_wait, connection.server_version):
            try:
                await connection.query(statement)
            except BaseException as error:
                await _discard(pool, connection)
                if isinstance(error, asyncio.CancelledError):
                    raise  # by whoever gave up; what was to be done is done
                return
        await pool.release(connection)


class _ClosingConnection(PoolConnectionWrapper[Any]):
    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_type is None:
            await super().__aexit__(exc_type, exc_val, exc_tb)
        else:
            await _discard(self.client._pool, self.connection)


class StrictMySQLClient(MySQLClient):
    """A pool of sessions that are READ COMMITTED and strict."""

    async def create_connection(self, with_db: bool) -> None:
        self._pool = make_pool(
            minsize=self.pool_minsize,
            maxsize=self.pool_maxsize,
            sql_mode=VARIABLES + list_session_variables(is_patient=self.extra["is_patient"]),
            init_command=ISOLATION,
            **self._list_arguments(with_db),
        )
        await self._post_connect()

    async def connect_once(self) -> None:
        """Signs in on a connection of its own, and leaves: the server is there, however busy the pool is."""
        connection = await connect(**self._list_arguments(with_db=True))
        connection.close()

    async def read_first_names(self) -> list[str]:
        """Reads the character sets of a session that has set none, and so those with which the server's other clients
        write: mysqldump, for one."""
        connection = await connect(**self._list_arguments(with_db=True))
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(NAMES)
                (row,) = await cursor.fetchall()
        finally:
            connection.close()
        return [_to_text(value) for value in row]

    def _list_arguments(self, with_db: bool) -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "db": self.database if with_db else None,
            "charset": "utf8mb4",
            "autocommit": True,
            "ssl": self.extra["ssl"],
        }

    def acquire_connection(self) -> Any:
        return _ClosingConnection(self, self._pool_init_lock)

    def _in_transaction(self, lock_wait: LockWait | None = None) -> TransactionContext:
        chosen = LockWait.PATIENT if self.extra["is_patient"] else lock_wait or LockWait.USUAL
        return _ClosingTransaction(TransactionWrapper(self), self._pool_init_lock, chosen)


def _to_text(value: object) -> str:
    """Names of character sets come as bytes where the server's answers have none."""
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


client_class = StrictMySQLClient
