"""The baseline of the benchmark answers everybody, and keeps what it says it keeps."""

import sqlite3
from pathlib import Path

import pymysql

from api.bench.customers import Habits
from api.bench.rig import set_up_rig
from storage.sql.mysql_url import parse_mysql_url

COUNTS = (
    "SELECT (SELECT count(*) FROM bare_messages), (SELECT count(*) FROM bare_sends), "
    "(SELECT count(*) FROM bare_sends WHERE status = 3), (SELECT count(*) FROM bare_sends WHERE wamid IS NULL)"
)


async def test_the_baseline_keeps_each_message_send_and_status(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with set_up_rig("bare", tmp_path, database_url, redis_url, habits=Habits(follow_ups=2), pool_size=4) as rig:
        await rig.driver.play(8, steps=60)
        await rig.wait_until_drained()
        assert rig.driver.problems == []
        sent = len(rig.driver.ack_seconds)
    assert sent >= 60
    assert count_rows(database_url) == (sent, sent, sent, 0)


def count_rows(database_url: str) -> tuple[int, ...]:
    """Returns how many messages, sends, read sends, and sends without a wamid there are."""
    if database_url.startswith("sqlite:"):
        with sqlite3.connect(database_url.removeprefix("sqlite://")) as connection:
            found: tuple[int, ...] = connection.execute(COUNTS).fetchone()
        connection.close()
        return found
    with pymysql.connect(**parse_mysql_url(database_url)._asdict()) as connection, connection.cursor() as cursor:
        cursor.execute(COUNTS)
        row: tuple[int, ...] = cursor.fetchone() or ()
        return row
