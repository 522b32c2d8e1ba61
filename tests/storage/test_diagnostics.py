"""Tests what the doctor asks of the database: how long Meta is silent as a rule."""

from datetime import UTC, datetime, timedelta

import pytest

from storage.diagnostics import Traffic, read_traffic
from storage.journal import NewItem, store
from storage.sql.database import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("ages", "longest", "known_for"),
    [
        ([], timedelta(), timedelta()),
        ([HOUR], timedelta(), timedelta()),
        ([3 * DAY, 2 * DAY, HOUR], 47 * HOUR, 71 * HOUR),
        ([40 * DAY, 2 * DAY, DAY], DAY, DAY),  # what is too long ago is not looked at
        ([at * HOUR for at in range(100, 1, -1)], HOUR, 98 * HOUR),
    ],
)
async def test_how_long_meta_is_silent_as_a_rule(
    database: Database, ages: list[timedelta], longest: timedelta, known_for: timedelta
) -> None:
    async with database.transaction() as tx:
        for at, age in enumerate(ages):
            when = NOW - age
            await store(tx, [NewItem(at + 1, f"k:{at}", "message", None, "", when, when, "{}")])
        seen = await read_traffic(tx, NOW)
    last = NOW - ages[-1] if ages else None
    assert seen == Traffic(last, longest, known_for)
