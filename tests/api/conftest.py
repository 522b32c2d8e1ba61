"""A running API for each test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from tests.api.rest_service import Service, serve_api


@pytest.fixture
async def service(migrated_url: str, redis_url: str) -> AsyncIterator[Service]:
    """The agents' API, on each database in turn."""
    async with serve_api(migrated_url, redis_url) as running:
        yield running


@pytest.fixture
async def light_service(migrated_sqlite_url: str, redis_url: str) -> AsyncIterator[Service]:
    """The same on SQLite alone, for what never depends on the database."""
    async with serve_api(migrated_sqlite_url, redis_url) as running:
        yield running
