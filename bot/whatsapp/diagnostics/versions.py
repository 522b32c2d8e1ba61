"""Knows until when Meta answers each version of the Graph API. Pure.

A version that has expired is answered by the oldest that lives: nothing fails, and anything may behave differently.
What is not in the table is newer than it, and taken for good.

Source: https://developers.facebook.com/docs/graph-api/changelog/versions.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

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
    """Returns the version that a URL of the Graph API names, such as "v25.0"; "" when it names none."""
    found = _VERSION.search(api_url)
    return found[1] if found else ""


def find_expiry(version: str) -> datetime | None:
    """Returns the end of the version's last day (UTC); None when no end is known.

    Versions that are older than the table ended long ago, and count as its oldest.
    """
    until = USABLE_UNTIL.get(version)
    if until is None and version and int(version[1:].partition(".")[0]) < 18:
        until = USABLE_UNTIL["v18.0"]
    return datetime(until.year, until.month, until.day, 23, 59, 59, tzinfo=UTC) if until else None
