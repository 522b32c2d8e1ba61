"""Tests deadlines, retries and rollbacks in SQL, and that a connection that saw an error is not used again."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

from storage import fence
from storage.errors import WrongDatabase
from storage.fence import LaneStateUpdate
from storage.sql.database import MAX_TRIES, Database, DatabaseDown, DatabaseSettings, RowsHeld, Tx
from storage.sql.lock_waits import LockWait
from tests.support.databases import Rival, until_blocked
from tests.support.servers import MariaDBServer

COUNT = "SELECT value FROM counter WHERE name = 'a'"


async def put(tx: Tx, name: str = "a") -> None:
    await tx.insert("counter", ("name", "value"), [(name, 0)])


async def add(tx: Tx) -> None:
    await tx.execute("UPDATE counter SET value = value + 1 WHERE name = 'a'")


async def value(database: Database) -> int:
    async with database.reading() as tx:
        return int((await tx.fetch(COUNT))[0][0])


async def test_bytes_go_in_and_come_out(mariadb_database: Database) -> None:
    """aiomysql with a PyMySQL of 1.2 or newer fails on every bytes parameter."""
    every = bytes(range(256))
    async with mariadb_database.transaction() as tx:
        await tx.execute("CREATE TEMPORARY TABLE blobs (blob_id INT, held LONGBLOB)")
        await tx.execute("INSERT INTO blobs VALUES (?, ?)", [1, every])
        assert (await tx.fetch("SELECT held FROM blobs WHERE held = ?", [every]))[0][0] == every


async def test_every_session_of_the_pool_is_what_the_fence_relies_on(mariadb_database: Database) -> None:
    at_once = asyncio.Barrier(8)

    async def look() -> tuple[object, ...]:
        async with mariadb_database.transaction() as tx:
            await at_once.wait()  # so that there are eight
            rows = await tx.fetch(
                "SELECT @@session.tx_isolation, @@session.sql_mode, @@session.time_zone, @@session.autocommit, "
                "@@session.character_set_client, CONNECTION_ID()"
            )
            return tuple(rows[0])

    found = await asyncio.gather(*(look() for _ in range(8)))
    assert len({row[5] for row in found}) == 8
    for isolation, mode, zone, autocommit, charset, _ in found:
        assert isolation == "READ-COMMITTED"
        assert "STRICT_ALL_TABLES" in str(mode)
        assert (zone, autocommit, charset) == ("+00:00", 1, "utf8mb4")


async def test_what_was_committed_meanwhile_is_seen_behind_the_lock(database: Database, rival: Rival) -> None:
    await database.run(put)
    if database.dialect == "sqlite":
        return  # nobody commits while we have the write lock: see below
    async with database.transaction() as tx:
        await tx.fetch(COUNT)
        rival.execute("UPDATE counter SET value = 7 WHERE name = 'a'")
        assert (await tx.fetch(COUNT))[0][0] == 7


async def test_a_transaction_of_sqlite_takes_the_write_lock_at_once(migrated_sqlite_url: str) -> None:
    rival = Rival(migrated_sqlite_url)
    rival.execute("PRAGMA busy_timeout = 0")
    opened = await Database.open(DatabaseSettings(migrated_sqlite_url))
    async with opened.transaction():
        with pytest.raises(Exception, match="locked"):
            rival.begin()
    async with opened.reading() as tx:
        rival.begin()  # reading locks nothing
        rival.commit()
        pragmas = [(await tx.fetch(f"PRAGMA {name}"))[0][0] for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2], "each commit is on the disk"
    await opened.close()
    rival.close()


async def test_a_clash_is_told_from_a_database_that_is_down(database: Database) -> None:
    await database.run(put)
    with pytest.raises(IntegrityError):
        await database.run(put)
    with pytest.raises(Exception, match="no_such_table") as failure:
        async with database.reading() as tx:
            await tx.fetch("SELECT 1 FROM no_such_table")
    assert not isinstance(failure.value, DatabaseDown | IntegrityError), "a fault of the program is not tried again"
    assert await value(database) == 0


async def test_a_percent_sign_means_itself(database: Database) -> None:
    await database.run(put)
    async with database.reading() as tx:
        found = await tx.fetch("SELECT ?, 7 % 4 FROM counter WHERE name LIKE 'a%'", ["%s %d 100%"])
        assert tuple(found[0]) == ("%s %d 100%", 3)
        assert [tuple(row) for row in await tx.fetch("SELECT name FROM counter WHERE name LIKE '%a'")] == [("a",)]


async def test_what_fails_is_rolled_back(database: Database) -> None:
    await database.run(put)

    async def work(tx: Tx) -> None:
        await add(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(work)
    assert await value(database) == 0


async def test_a_cancelled_transaction_is_rolled_back_and_the_next_is_clean(database: Database) -> None:
    await database.run(put)
    inside = asyncio.Event()

    async def stay() -> None:
        async with database.transaction() as tx:
            await add(tx)
            inside.set()
            await asyncio.Event().wait()

    for _ in range(20):
        inside.clear()
        staying = asyncio.create_task(stay())
        await inside.wait()
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
    assert await value(database) == 0
    await database.run(add)
    assert await value(database) == 1


async def test_a_connection_is_not_used_again_after_a_cancelled_statement(mariadb_database: Database) -> None:
    """Its answer is still on the wire, and would be read by whoever asks next."""
    for at in range(12):
        asking = asyncio.create_task(_fetch(mariadb_database, "SELECT SLEEP(0.3), 'stale'"))
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await _fetch(mariadb_database, "SELECT ?", at) == [(at,)]


async def _fetch(database: Database, sql: str, *values: object) -> list[tuple[object, ...]]:
    async with database.reading() as tx:
        return [tuple(row) for row in await tx.fetch(sql, values)]


@pytest.mark.parametrize("cause", ["error", "cancelled"])
async def test_fifty_failures_neither_leak_nor_stall(database: Database, cause: str) -> None:
    await database.run(put)

    async def fail() -> None:
        async with database.transaction() as tx:
            await add(tx)
            if cause == "error":
                await tx.fetch("SELECT 1 FROM no_such_table")
            await asyncio.sleep(30)

    failing = [asyncio.create_task(fail()) for _ in range(50)]
    await asyncio.sleep(0.3)
    for task in failing:
        task.cancel()
    await asyncio.gather(*failing, return_exceptions=True)
    async with asyncio.timeout(20):
        await asyncio.gather(*(database.run(add) for _ in range(30)))
    assert await value(database) == 30
    if database.dialect == "mysql":
        pool = database.client._pool
        assert len(pool._used) == 0
        assert pool.size <= 8


async def test_killed_connections_are_replaced(mariadb_database: Database, mariadb_server: MariaDBServer) -> None:
    await mariadb_database.run(put)
    for _ in range(5):
        await asyncio.gather(*(mariadb_database.run(add) for _ in range(8)))
        _kill_all(mariadb_server)
    await mariadb_database.run(lambda tx: tx.fetch(COUNT))
    assert await value(mariadb_database) == 40


async def test_a_connection_killed_inside_a_transaction(
    mariadb_database: Database, mariadb_server: MariaDBServer
) -> None:
    await mariadb_database.run(put)
    tries: list[int] = []

    async def work(tx: Tx) -> None:
        await add(tx)
        (own,) = (await tx.fetch("SELECT CONNECTION_ID()"))[0]
        tries.append(own)
        if len(tries) < 3:
            mariadb_server.execute(f"KILL CONNECTION {own}")

    await mariadb_database.run(work)
    assert await value(mariadb_database) == 1
    assert len(set(tries)) == 3


def _kill_all(server: MariaDBServer) -> None:
    for (connection_id,) in server.execute("SELECT id FROM information_schema.processlist WHERE user = 'tick'"):
        with contextlib.suppress(Exception):
            server.execute(f"KILL CONNECTION {connection_id}")


async def test_a_deadlock_is_tried_again(
    mariadb_database: Database, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    await mariadb_database.run(lambda tx: tx.insert("counter", ("name", "value"), [("a", 0), ("b", 0)]))
    tries: list[int] = []
    first = asyncio.Barrier(2)

    async def cross(one: str, other: str) -> None:
        async def work(tx: Tx) -> None:
            await tx.execute("UPDATE counter SET value = value + 1 WHERE name = ?", [one])
            tries.append(1)
            if len(tries) <= 2:
                await first.wait()
            await tx.execute("UPDATE counter SET value = value + 1 WHERE name = ?", [other])

        await mariadb_database.run(work)

    await asyncio.gather(cross("a", "b"), cross("b", "a"))
    assert len(tries) == 3
    assert await _fetch(mariadb_database, "SELECT value FROM counter") == [(2,), (2,)]


async def test_a_lock_that_is_held_is_an_error_of_its_own_and_not_waited_for_again(
    mariadb_database: Database, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    await mariadb_database.run(put)
    rival = Rival(migrated_mariadb_url)
    rival.begin()
    rival.execute("UPDATE counter SET value = 10 WHERE name = 'a'")
    tries: list[int] = []

    async def work(tx: Tx) -> None:
        tries.append(1)
        await add(tx)

    for lock_wait in (LockWait.USUAL, LockWait.HASTY):
        with pytest.raises(RowsHeld):
            await mariadb_database.run(work, lock_wait=lock_wait)
    assert len(tries) == 2
    rival.commit()
    await mariadb_database.run(work)
    assert await value(mariadb_database) == 11
    rival.close()


async def test_a_statement_that_was_killed_is_tried_again(
    mariadb_database: Database, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    """What an operator does, or a server's own limit of time."""
    await mariadb_database.run(put)
    rival = Rival(migrated_mariadb_url)
    rival.begin()
    rival.execute("UPDATE counter SET value = 10 WHERE name = 'a'")
    adding = asyncio.create_task(mariadb_database.run(add))
    await until_blocked(mariadb_server)
    for (query_id,) in mariadb_server.execute(
        "SELECT id FROM information_schema.processlist WHERE user = 'tick' AND info LIKE 'UPDATE counter%'"
    ):
        mariadb_server.execute(f"KILL QUERY {query_id}")
    rival.commit()
    await adding
    assert await value(mariadb_database) == 11
    rival.close()


async def test_a_server_that_hangs_is_given_up_in_time(
    mariadb_database: Database, mariadb_server: MariaDBServer
) -> None:
    await mariadb_database.run(put)
    mariadb_server.send(signal.SIGSTOP)
    began = time.monotonic()
    try:
        asked = [_within(mariadb_database, 1.0) for _ in range(20)]  # more than the pool has connections
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        took_seconds = time.monotonic() - began
    finally:
        mariadb_server.send(signal.SIGCONT)
    assert {type(outcome) for outcome in outcomes} == {DatabaseDown}
    assert took_seconds < 10, "one deadline for all of them, not one after the other"
    async with asyncio.timeout(20):
        await asyncio.gather(*(mariadb_database.run(add) for _ in range(16)))
    assert await value(mariadb_database) == 16


async def _within(database: Database, seconds: float) -> None:
    async with database.transaction(seconds) as tx:
        await add(tx)


async def test_what_is_given_up_before_its_commit_never_happens(
    mariadb_database: Database, mariadb_server: MariaDBServer
) -> None:
    """Once awake, the server does what it was sent, and finds that the connection is closed."""
    await mariadb_database.run(put)

    async def hang() -> None:
        async with mariadb_database.transaction(1.0) as tx:
            await add(tx)
            mariadb_server.send(signal.SIGSTOP)
            await add(tx)

    await _given_up(hang(), mariadb_server)
    await mariadb_database.run(add)  # waits for the lock that was left
    assert await value(mariadb_database) == 1


async def test_a_commit_that_is_given_up_is_no_success_and_happens_once_behind_the_fence(
    mariadb_database: Database, mariadb_server: MariaDBServer
) -> None:
    """The server has it, and may do it once awake: whether it will, nobody knows who gave it up."""
    await mariadb_database.run(lambda tx: tx.insert("conversation", ("customer_id", "version", "body"), [(1, 0, "")]))
    await mariadb_database.run(put)

    async def work(tx: Tx) -> None:
        if await fence.raise_versions(tx, [LaneStateUpdate(1, 0, "after")]):
            await add(tx)

    async def hang() -> None:
        async with mariadb_database.transaction(1.0) as tx:
            await work(tx)
            mariadb_server.send(signal.SIGSTOP)

    await _given_up(hang(), mariadb_server)
    await mariadb_database.run(work)
    assert await value(mariadb_database) == 1


async def _given_up(hanging: Coroutine[Any, Any, None], server: MariaDBServer) -> None:
    """What makes the server hang ends in time, as what the database can't do now; then the server goes on."""
    try:
        with pytest.raises(DatabaseDown):
            await asyncio.wait_for(hanging, 2.5)
    finally:
        server.send(signal.SIGCONT)


async def test_a_cancellation_that_comes_while_it_connects_is_heeded() -> None:
    """A deadline is one, and comes but once. Here the kernel takes the connections, and nobody says a word on them."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as mute:
        opened = await Database.open(DatabaseSettings(f"mysql://tick:x@127.0.0.1:{mute.getsockname()[1]}/tick"))
        unheeded = [steps for steps in range(50) if not await _heeded(opened, steps)]
        await opened.close()
    assert unheeded == []


async def _heeded(database: Database, steps: int) -> bool:
    """Whether who asks ends when cancelled after so many steps of the loop; cancelled again, they do."""
    asking = asyncio.create_task(_within(database, 60))
    for _ in range(steps):
        await asyncio.sleep(0)
    asking.cancel()
    done, _ = await asyncio.wait((asking,), timeout=1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    return bool(done)


async def test_no_server_at_all_is_said(mariadb_server: MariaDBServer) -> None:
    opened = await Database.open(DatabaseSettings("mysql://tick:x@127.0.0.1:9/tick"))
    with pytest.raises(DatabaseDown):
        await opened.run(put)
    await opened.close()


@pytest.mark.parametrize("url", ["postgres://a@b/c", "mysql://host", "tick.db", "mysql:///name"])
async def test_an_address_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(WrongDatabase, match="DATABASE_URL"):
        await Database.open(DatabaseSettings(url))


class Cutter:
    """A proxy before MariaDB. Armed, it lets the next COMMIT through and cuts the connection before the answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.armed = False
        self.cuts = 0
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._pass(theirs, writer))
        try:
            while data := await reader.read(65536):
                ours.write(data)
                if self.armed and data[4:] == b"\x03COMMIT":
                    self.armed = False
                    self.cuts += 1
                    back.cancel()
                    await theirs.read(1)  # the server has answered: it has committed
                    return
        except ConnectionError:
            pass
        finally:
            back.cancel()
            writer.close()
            ours.close()

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[tuple[Database, Cutter]]:
    head, _, rest = url.partition("@")
    port, _, name = rest.removeprefix("127.0.0.1:").partition("/")
    cutter = Cutter(int(port))
    server = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    opened = await Database.open(
        DatabaseSettings(f"{head}@127.0.0.1:{server.sockets[0].getsockname()[1]}/{name}", pool_size=2)
    )
    try:
        yield opened, cutter
    finally:
        await opened.close()
        server.close()


async def test_a_commit_whose_answer_is_lost_happens_once_behind_the_fence(migrated_mariadb_url: str) -> None:
    async with cutting(migrated_mariadb_url) as (database, cutter):
        await database.run(lambda tx: tx.insert("conversation", ("customer_id", "version", "body"), [(1, 0, "")]))
        await database.run(put)
        tries: list[bool] = []

        async def work(tx: Tx) -> None:
            first = await fence.raise_versions(tx, [LaneStateUpdate(1, 0, "after")])
            tries.append(first)
            if first:
                await add(tx)

        cutter.armed = True
        await database.run(work)
        assert cutter.cuts == 1
        assert tries == [True, False], "the second try finds its own version"
        assert await value(database) == 1
        assert len(tries) <= MAX_TRIES
