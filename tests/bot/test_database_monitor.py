"""What makes work wait at the database is told while it lasts, with since when, and no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.database_monitor import SAID_SECONDS, DatabaseMonitor, DatabaseTrouble
from bot.metrics import Metrics
from storage import alerts
from storage.sql.database import Database
from storage.sql.held_rows import HeldFor
from tests.bot.world import World
from tests.support.databases import Rival
from tests.support.servers import MariaDBServer


class Watched:
    """A monitor, and what it tells."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.troubles: dict[str, str] = {}
        self.dropped = 0
        self.metrics = Metrics()
        self.monitor = DatabaseMonitor(
            database=world.database,
            clock=world.clock,
            metrics=self.metrics,
            troubles=self.troubles,
            count_dropped_lines=lambda: self.dropped,
        )

    async def look(self) -> set[str]:
        await self.monitor.look()
        return set(self.troubles)

    async def list_alerts(self) -> dict[str, str]:
        async with self.world.database.reading() as tx:
            return {alert.subject: alert.message for alert in await alerts.list_open(tx)}

    def is_in_metrics(self, trouble: DatabaseTrouble) -> bool:
        return f'tick_trouble{{subject="{trouble}"}} 1.0' in self.metrics.render().decode()


async def test_held_rows_and_who_holds_them(
    mariadb_world: World, migrated_mariadb_url: str, mariadb_server: MariaDBServer
) -> None:
    mariadb_server.execute("GRANT PROCESS ON *.* TO tick@'127.0.0.1'")
    world, watched, rival = mariadb_world, Watched(mariadb_world), Rival(migrated_mariadb_url)
    ((session_id,),) = rival.execute("SELECT CONNECTION_ID()")
    await world.database.run(lambda tx: tx.insert("counter", ("name", "value"), [("a", 1)]))
    rival.begin()
    rival.execute("SELECT value FROM counter WHERE name = 'a' FOR UPDATE")
    try:

        async def both() -> bool:
            world.database.held[HeldFor.LANES].note([7])  # as whoever meets the row does, again and again
            return await watched.look() >= {DatabaseTrouble.HELD, DatabaseTrouble.IDLE}

        await world.until(both)
        told = await watched.list_alerts()
        for trouble in (DatabaseTrouble.HELD, DatabaseTrouble.IDLE):
            assert watched.is_in_metrics(trouble)
            assert f"{session_id} (tick@127.0.0.1" in told[trouble]
            assert " since 20" in told[trouble]
            assert "tick@" not in watched.troubles[trouble], "whoever asks /readyz need not know the user"
    finally:
        rival.commit()
        rival.close()
        mariadb_server.execute("REVOKE PROCESS ON *.* FROM tick@'127.0.0.1'")
    world.database.held[HeldFor.LANES].clear([7])
    assert not await watched.look()
    assert await watched.list_alerts(), "another process may see it still"
    world.clock.forward(SAID_SECONDS + 1)
    await watched.look()
    assert await watched.list_alerts() == {}
    assert not watched.is_in_metrics(DatabaseTrouble.HELD)


async def test_who_may_not_look_at_sessions_is_told_nothing_of_them(mariadb_world: World) -> None:
    watched = Watched(mariadb_world)
    assert await watched.look() == await watched.look() == set()


async def test_a_full_pool(mariadb_world: World) -> None:
    watched = Watched(mariadb_world)
    async with _using_every_connection(mariadb_world.database):
        waiting = asyncio.create_task(mariadb_world.database.answers(20.0))
        held_up = asyncio.create_task(mariadb_world.rows("SELECT 1"))
        await asyncio.sleep(0.05)
        for _ in range(2):
            looking = asyncio.create_task(watched.monitor.look())
            await asyncio.wait((looking,), timeout=0.2)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        assert set(watched.troubles) == {DatabaseTrouble.POOL}
        assert watched.is_in_metrics(DatabaseTrouble.POOL)
        assert await waiting, "the server is there, however full the pool is"
    await held_up
    assert await watched.look() == set()


@asynccontextmanager
async def _using_every_connection(database: Database) -> AsyncIterator[None]:
    release, in_use = asyncio.Event(), asyncio.Barrier(9)

    async def use() -> None:
        async with database.transaction() as tx:
            await tx.fetch("SELECT 1")
            await in_use.wait()
            while not release.is_set():  # a session that stands still would be ended
                await tx.fetch("SELECT 1")
                await asyncio.sleep(0.05)

    using = [asyncio.create_task(use()) for _ in range(8)]
    await in_use.wait()
    yield
    release.set()
    await asyncio.gather(*using)


async def test_lines_of_the_log_that_are_lost(world: World) -> None:
    watched = Watched(world)
    assert await watched.look() == set()
    watched.dropped = 5
    assert await watched.look() == {DatabaseTrouble.LOG}
    assert DatabaseTrouble.LOG in await watched.list_alerts()
    assert await watched.look() == set()
