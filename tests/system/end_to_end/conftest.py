"""One Tick for all tests of a module and a database; each test finds it empty."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from storage.sql.database import DatabaseSettings
from storage.sql.migrate import migrate
from tests.support.servers import MariaDBServer, RedisServer
from tests.system.end_to_end.tick import Flow, Tick, running

Stage = tuple[str, Flow]


@pytest.fixture(scope="module", params=[("sqlite", "guided"), ("mariadb", "guided")], ids="-".join)
def stage(request: pytest.FixtureRequest) -> Stage:
    """(database, conversation). SQLite has the embedded Redis beside it, MariaDB a Redis server."""
    chosen: Stage = request.param
    return chosen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    request: pytest.FixtureRequest, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Tick]:
    """Tick, running."""
    folder = tmp_path_factory.mktemp("tick")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with urls(request, stage[0], folder) as (database_url, redis_url):
        await migrate(DatabaseSettings(database_url))
        async with running(database_url, redis_url, folder, stage[1]) as tick:
            yield tick
    structlog.reset_defaults()


@pytest_asyncio.fixture(loop_scope="module")
async def tick(service: Tick, stage: Stage, ran: Callable[[str], None]) -> Tick:
    """Tick, empty."""
    for suite in ("sqlite",) if stage[0] == "sqlite" else ("mariadb", "redis"):
        ran(suite)
    await service.tables.empty()
    service.graph.forget()
    return service


@contextmanager
def urls(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[tuple[str, str]]:
    """DATABASE_URL and REDIS_URL of a stage."""
    if database == "sqlite":
        yield f"sqlite://{folder / 'tick.db'}", ""
        return
    redis: RedisServer = request.getfixturevalue("redis_server")
    mariadb: MariaDBServer = request.getfixturevalue("mariadb_server")
    redis.flush()
    name = mariadb.new_database()
    yield mariadb.url(name), redis.url
    mariadb.drop_database(name)
