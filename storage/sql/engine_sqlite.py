"""Adapts Tortoise's SQLite backend, so that a transaction takes the write lock when it begins.

Invariants
- No transaction reads before it has the write lock. SQLite answers one that would write later with 'database is locked'
  under load.
- Each commit is on the disk (WAL with synchronous FULL) before it is reported.
"""

import asyncio
import sqlite3
from typing import Any

from tortoise.backends.base.client import ConnectionWrapper, TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError

DURABLE_PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL", "busy_timeout": 5000, "foreign_keys": "ON"}


class _Immediate(SqliteTransactionContext):
    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            await self.connection._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            await self._roll_back()
            if isinstance(error, sqlite3.OperationalError):
                raise OperationalError(error) from error
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        client: TransactionalDBClient = self.connection
        return client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        get_connections().reset(self.token)
        if exc_type is not None:
            await self._roll_back()
            return
        try:
            await self.connection.commit()
        except BaseException:
            await self._roll_back()
            raise
        self._trxlock.release()

    async def _roll_back(self) -> None:
        """Ends the transaction before anybody else gets the connection, cancelled or not."""

        async def end() -> None:
            try:
                if self.connection._connection:
                    await self.connection._connection.rollback()
            finally:
                self._trxlock.release()

        await asyncio.shield(asyncio.ensure_future(end()))


class _Acquired(ConnectionWrapper[Any]):
    async def __aenter__(self) -> Any:
        await self._lock.acquire()
        try:
            await self.ensure_connection()
        except BaseException:
            self._lock.release()  # or whoever asks next would wait for ever
            raise
        return self.connection


class DurableSqliteClient(SqliteClient):
    """One connection for the process, which a transaction has to itself."""

    def __init__(self, file_path: str, **kwargs: Any) -> None:
        super().__init__(file_path, **(kwargs | DURABLE_PRAGMAS))

    async def create_connection(self, with_db: bool) -> None:
        try:
            await super().create_connection(with_db)
        except BaseException:
            await self.close()  # a connection on which a pragma failed is not durable
            raise

    def acquire_connection(self) -> ConnectionWrapper[Any]:
        return _Acquired(self._lock, self)

    def _in_transaction(
        self, _lock_wait: object = None
    ) -> TransactionContext:  # there is one lock, with a wait of its own
        return _Immediate(SqliteTransactionWrapper(self), self._lock)


client_class = DurableSqliteClient
