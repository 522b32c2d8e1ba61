"""The bot's fixtures: a world on each database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.sql.database import Database
from tests.bot.world import World, open_world


@pytest.fixture
async def world(database: Database, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, redis_url, tmp_path) as world:
        yield world
        await world.expect_true_records()


@pytest.fixture
async def mariadb_world(mariadb_database: Database, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(mariadb_database, redis_url, tmp_path) as world:
        yield world
        await world.expect_true_records()


@pytest.fixture
async def sqlite_world(sqlite_database: Database, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(sqlite_database, redis_url, tmp_path) as world:
        yield world
        await world.expect_true_records()
