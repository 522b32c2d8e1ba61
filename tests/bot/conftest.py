"""The bot's fixtures: a world on each database."""

from collections.abc import AsyncIterator

import pytest

from bot.whatsapp.client import open_http
from storage.database import Database
from storage.redis_client import RedisSettings, open_redis
from tests.bot.graph import serving
from tests.bot.world import World
from tests.databases import *  # noqa: F403 - fixtures


@pytest.fixture
async def world(database: Database, redis_url: str) -> AsyncIterator[World]:
    async with serving() as graph, open_http() as http:
        redis = open_redis(RedisSettings(redis_url))
        yield World(database, redis, graph, http)
        await redis.aclose()


@pytest.fixture
async def mariadb_world(mariadb_database: Database, redis_url: str) -> AsyncIterator[World]:
    async with serving() as graph, open_http() as http:
        redis = open_redis(RedisSettings(redis_url))
        yield World(mariadb_database, redis, graph, http)
        await redis.aclose()
