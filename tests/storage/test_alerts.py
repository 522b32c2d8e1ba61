"""Tests on both databases that of two words about a subject the later one counts, whatever comes first."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from storage import alerts
from storage.alerts import Alert
from storage.sql.database import Database
from storage.statuses import AlertSeverity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = "good"


def at(second: int) -> datetime:
    return NOW + timedelta(seconds=second)


async def hear(database: Database, second: int, word: str, subject: str = "number:quality") -> bool:
    """One word: `good`, or what is wrong."""
    if word == GOOD:
        return await database.run(lambda tx: alerts.clear(tx, subject, at(second)))
    severity = AlertSeverity.RED if word.isupper() else AlertSeverity.YELLOW
    return await database.run(lambda tx: alerts.raise_alert(tx, Alert(subject, severity, word, at(second))))


async def list_messages(database: Database) -> list[str]:
    async with database.reading() as tx:
        return [alert.message for alert in await alerts.list_open(tx)]


@pytest.mark.parametrize(
    ("words", "news", "left"),
    [
        ([(1, "low")], [True], ["low"]),
        ([(1, "low"), (1, "low")], [True, False], ["low"]),
        ([(1, "low"), (2, "low")], [True, False], ["low"]),
        ([(1, "low"), (2, "LOW")], [True, True], ["LOW"]),
        ([(2, "LOW"), (1, "low")], [True, False], ["LOW"]),
        ([(1, "low"), (2, GOOD)], [True, True], []),
        ([(2, GOOD), (1, "low")], [False, False], []),
        ([(1, "low"), (2, GOOD), (1, "low")], [True, True, False], []),
        ([(1, "low"), (2, GOOD), (3, "low")], [True, True, True], ["low"]),
        ([(1, "low"), (3, "low"), (2, GOOD)], [True, False, False], ["low"]),
        ([(3, GOOD), (1, "low"), (2, GOOD), (4, "low")], [False, False, False, True], ["low"]),
        ([(1, "low"), (1, GOOD)], [True, True], []),
        ([(1, GOOD), (2, GOOD)], [False, False], []),
    ],
)
async def test_the_newest_word_wins(
    database: Database, words: list[tuple[int, str]], news: list[bool], left: list[str]
) -> None:
    assert [await hear(database, *word) for word in words] == news
    assert await list_messages(database) == left


async def test_an_alert_tells_since_when_it_is_so(database: Database) -> None:
    async def since() -> datetime:
        async with database.reading() as tx:
            return (await alerts.list_open(tx))[0].raised_at

    for second, word, expected in ((1, "low", 1), (4, "low", 1), (3, "low", 1), (5, "LOW", 5), (6, "LOW", 5)):
        await hear(database, second, word)
        assert await since() == at(expected)
    await hear(database, 7, GOOD)
    await hear(database, 8, "LOW")
    assert await since() == at(8)


async def test_the_worst_comes_first(database: Database) -> None:
    await hear(database, 1, "yellow one", "a")
    await hear(database, 1, "RED ONE", "b")
    await hear(database, 2, "YELLOW TURNED RED", "c")
    await hear(database, 3, "yellow two", "d")
    assert await list_messages(database) == ["YELLOW TURNED RED", "RED ONE", "yellow two", "yellow one"]
    async with database.reading() as tx:
        assert await alerts.find(tx, "a") == Alert("a", AlertSeverity.YELLOW, "yellow one", at(1))
        assert await alerts.find(tx, "nothing") is None


@pytest.mark.parametrize(
    "subject", ["x" * 201, "template:" + "n" * 512 + ":en", "account:\u00e9", "a" * 150 + "\U0001f600"]
)
async def test_subject_that_does_not_fit_its_column(database: Database, subject: str) -> None:
    other = subject + "x"
    assert await hear(database, 1, "low", subject)
    assert await hear(database, 1, "lower", other)
    assert await hear(database, 2, GOOD, subject)
    assert await list_messages(database) == ["lower"]


async def test_message_that_does_not_fit_says_so(database: Database) -> None:
    await hear(database, 1, "\U0001f600" * 501)
    [message] = await list_messages(database)
    assert (len(message), message[-1]) == (500, "…")
    assert await hear(database, 2, "\U0001f600" * 501) is False


async def test_many_processes_at_once(database: Database) -> None:
    heard = await asyncio.gather(*(hear(database, 1, "low") for _ in range(8)))
    assert sorted(heard) == [False] * 7 + [True]
    assert await list_messages(database) == ["low"]
