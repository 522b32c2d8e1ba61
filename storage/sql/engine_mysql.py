"""Adapts Tortoise's MySQL backend, so that sessions are what the fence relies on.

Invariants
- Every session is READ COMMITTED: what is pending is read again once the locks are held, as it is then.
- Every session is strict, so a truncation is an error, and in UTC.
- A connection that saw an error or a cancellation is closed and never pooled again, since nobody knows what is still on
  its wire.
"""

from typing import Any

from tortoise.backends.base.client import (
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.backends.mysql.client import MySQLClient, TransactionWrapper
from tortoise.connection import get_connections

ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
# aiomysql runs `SET sql_mode=` and then this text on each new connection: the one place for further variables
VARIABLES = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', innodb_lock_wait_timeout = 5"


async def _discard(pool: Any, connection: Any) -> None:
    connection.close()
    await pool.release(connection)
    await pool._wakeup()  # aiomysql's release of a closed connection tells no waiter that there is room again


class _ClosingTransaction(TransactionContextPooled):
    async def __aenter__(self) -> TransactionalDBClient:
        await self.ensure_connection()
        pool = self.client._parent._pool
        connection = await pool.acquire()
        self.client._connection = connection
        try:
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
        await pool.release(connection)


class _ClosingConnection(PoolConnectionWrapper[Any]):
    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_type is None:
            await super().__aexit__(exc_type, exc_val, exc_tb)
        else:
            await _discard(self.client._pool, self.connection)


class StrictMySQLClient(MySQLClient):
    """A pool of sessions that are READ COMMITTED and strict."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.extra |= {"sql_mode": VARIABLES, "init_command": ISOLATION}

    def acquire_connection(self) -> Any:
        return _ClosingConnection(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContext:
        return _ClosingTransaction(TransactionWrapper(self), self._pool_init_lock)


client_class = StrictMySQLClient
