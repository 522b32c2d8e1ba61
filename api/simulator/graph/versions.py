"""Knows the versions of the Graph API, of which an expired one is served by the oldest that lives.

Source: Meta's changelog of versions.
"""

import re
from typing import Final

VERSION: Final = re.compile(r"v([0-9]{1,2})\.([0-9]{1,2})")
NEWEST: Final = 26
OLDEST_LIVING: Final = 21  # v20.0 expired on 2026-09-24
HIGHEST_MINOR: Final = {2: 12, 3: 3}  # from v4.0 on there is only .0


def is_known_version(version: str) -> bool:
    """Whether there is such a version, or was."""
    found = VERSION.fullmatch(version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return 2 <= major <= NEWEST and minor <= HIGHEST_MINOR.get(major, 0)


def find_serving_version(version: str) -> str:
    """Finds the version that answers where this one is asked for."""
    found = VERSION.fullmatch(version)
    return f"v{OLDEST_LIVING}.0" if found is not None and int(found[1]) < OLDEST_LIVING else version
