"""Reads the wall clock, in one place: everything below gets instants as values, and tests hand in another clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]  # gives the instant, aware, in UTC


def utc_now() -> datetime:
    """Returns the instant, aware, in UTC, in whole milliseconds: as it is stored, so it reads the same again."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
