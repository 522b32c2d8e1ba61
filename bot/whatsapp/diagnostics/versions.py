"""Until when Meta answers each version of the Graph API. Pure.

A version that has expired is answered by the oldest that lives: nothing fails, and anything may behave differently.
What is not in this table is newer than it, and taken for good.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

# https://developers.facebook.com/docs/graph-api/changelog/versions
USABLE_UNTIL: Mapping[str, date] = {
    "v18.0": date(2026, 1, 26),
    "v19.0": date(2026, 5, 21),
    "v20.0": date(2026, 9, 24),
    "v21.0": date(2027, 1, 21),
    "v22.0": date(2027, 5, 20),
    "v23.0": date(2027, 10, 8),
    "v24.0": date(2028, 2, 18),
    "v25.0": date(2028, 7, 29),
}
_VERSION = re.compile(r"/(v(\d+)\.\d+)/?$")


def read_version(api_url: str) -> str:
    """The version that this address names; empty when it names none."""
    found = _VERSION.search(api_url)
    return found[1] if found else ""


def find_expiry(version: str) -> datetime | None:
    """The end of its last day; None when no end is known. Versions older than the table ended long ago."""
    until = USABLE_UNTIL.get(version)
    if until is None and version and int(version[1:].partition(".")[0]) < 18:
        until = date(2026, 1, 26)
    return datetime(until.year, until.month, until.day, 23, 59, 59, tzinfo=UTC) if until else None
