"""Looks at the sessions of MySQL or MariaDB, and ends them: those of a process of ours that is gone, and nobody else's.

Invariants
- A session is named by its id and by the address that it came from, as the server says it: the id alone may be
  another's once the server has started anew.
- Who may not see the sessions of others is told nothing of them, and nothing fails for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pymysql.err import MySQLError

from storage.sql.database import Database, placeholders
from storage.sql.driver_errors import iterate_causes

MIN_IDLE_SECONDS = 3  # of a transaction that locks rows: our own sessions are ended before
MAX_SHOWN = 3
MAY_NOT_LOOK = {1044, 1045, 1142, 1227}
NO_SUCH_SESSION = {1094, 1095}  # it has gone by itself; it is another user's

Sessions = Mapping[int, str]  # id -> the address that it came from


class IdleTransaction(NamedTuple):
    """A session that has rows locked and does nothing. `address`: user and host, as the server says them."""

    session_id: int
    address: str
    idle_seconds: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """How many connections are in use, how many there may be, and how many callers wait for one."""

    used: int
    limit: int
    waiting: int

    @property
    def is_full(self) -> bool:
        """Whether somebody waits because there is no connection left."""
        return self.waiting > 0 and self.used >= self.limit


def read_pool_state(database: Database) -> PoolState:
    """Reads how full the pool of connections is."""
    pool = None if database.dialect == "sqlite" else database.client._pool
    if pool is None:
        return PoolState(0, 0, 0)
    waiting = len(pool._cond._waiters)  # aiomysql tells it nowhere else
    return PoolState(pool.size - pool.freesize, pool.maxsize, waiting)


def list_session_ids(database: Database) -> list[int]:
    """Lists the ids of this process's sessions."""
    pool = None if database.dialect == "sqlite" else database.client._pool
    if pool is None:
        return []
    return sorted(connection.thread_id() for connection in (*pool._free, *pool._used))


async def read_sessions(database: Database, session_ids: list[int]) -> Sessions:
    """Reads where these sessions came from."""
    if not session_ids:
        return {}
    async with database.reading() as tx:
        return dict(
            await tx.fetch(
                f"SELECT id, host FROM information_schema.processlist WHERE id IN ({placeholders(len(session_ids))})",
                session_ids,
            )
        )


async def end_sessions(database: Database, sessions: Sessions) -> list[int]:
    """Ends those of these sessions that are still there, and with them what they hold locked; returns their ids."""
    found = await read_sessions(database, sorted(sessions))
    ended = []
    for session_id in sorted(session_id for session_id, host in found.items() if sessions[session_id] == host):
        try:
            async with database.reading() as tx:
                await tx.execute(f"KILL CONNECTION {int(session_id)}")
        except Exception as error:
            if not _is_one_of(error, NO_SUCH_SESSION):
                raise
        else:
            ended.append(session_id)
    return ended


async def find_idle_transactions(database: Database) -> list[IdleTransaction] | None:
    """Finds sessions that stand still with rows locked, the longest first; None where we may not look, which takes the
    privilege PROCESS."""
    if database.dialect == "sqlite":
        return []
    try:
        async with database.reading() as tx:
            rows = await tx.fetch(
                "SELECT process.id, process.user, process.host, process.time FROM information_schema.innodb_trx AS trx "
                "JOIN information_schema.processlist AS process ON process.id = trx.trx_mysql_thread_id "
                "WHERE process.command = 'Sleep' AND process.time >= ? AND trx.trx_rows_locked > 0 "
                "ORDER BY process.time DESC LIMIT ?",
                [MIN_IDLE_SECONDS, MAX_SHOWN],
            )
    except Exception as error:
        if _is_one_of(error, MAY_NOT_LOOK):
            return None
        raise
    return [IdleTransaction(session_id, f"{user}@{host}", int(time)) for session_id, user, host, time in rows]


def _is_one_of(error: BaseException, codes: set[int]) -> bool:
    return any(
        bool(each.args) and each.args[0] in codes for each in iterate_causes(error) if isinstance(each, MySQLError)
    )
