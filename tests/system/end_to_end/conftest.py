"""The fixtures of the end-to-end tests: one running Tick for a module and a variant, emptied for each test."""

import logging
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import pytest_asyncio
import structlog

from storage.count_settlement import LACKING
from tests.support.databases import empty_tables
from tests.support.event_log import SELECTS, LoggedTables, find_disagreements
from tests.support.servers import MariaDBServer, RedisServer
from tests.system.end_to_end.tick import Flow, Tick, run_tick


class Variant(NamedTuple):
    """What a module's tests run on: SQLite has the embedded Redis beside it, MariaDB a Redis server."""

    database: Literal["sqlite", "mariadb"]
    flow: Flow


@pytest.fixture(scope="module", params=[Variant("sqlite", "guided"), Variant("mariadb", "guided")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    """The database and the conversation; a module may choose others."""
    chosen: Variant = request.param
    return chosen


class Urls(NamedTuple):
    """Where a module's service finds what it stands on."""

    database: str
    redis: str


@pytest.fixture(scope="module")
def urls(request: pytest.FixtureRequest, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Urls:
    """A database with empty tables, and an empty Redis."""
    if variant.database == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        return Urls(f"sqlite://{shutil.copy(template, tmp_path_factory.mktemp('sqlite') / 'tick.db')}", "")
    redis: RedisServer = request.getfixturevalue("redis_server")
    mariadb: MariaDBServer = request.getfixturevalue("mariadb_server")
    redis.flush()
    return Urls(mariadb.url(empty_tables(mariadb, request.getfixturevalue("mariadb_tables"))), redis.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(variant: Variant, urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tick]:
    """A running Tick."""
    folder = tmp_path_factory.mktemp("tick")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with run_tick(*urls, folder, variant.flow) as tick:
        yield tick
    structlog.reset_defaults()


@pytest_asyncio.fixture(loop_scope="module")
async def tick(service: Tick, variant: Variant, ran: Callable[[str], None]) -> AsyncIterator[Tick]:
    """The running Tick, with nothing in its database and nothing sent."""
    for suite in ("sqlite",) if variant.database == "sqlite" else ("mariadb", "redis"):
        ran(suite)
    await service.tables.delete_all()
    service.graph.reset()
    yield service
    assert find_disagreements(LoggedTables(*[await service.tables.fetch(sql) for sql in SELECTS])) == []
    assert await service.tables.fetch(LACKING) == [], "counts that lack something of what they count"
