"""What one check found."""

from typing import NamedTuple


class Finding(NamedTuple):
    """`fix` is empty where nothing is to be mended."""

    ok: bool
    reason: str
    fix: str = ""


def good(reason: str) -> Finding:
    """Nothing is to be mended."""
    return Finding(True, reason)


def bad(reason: str, fix: str) -> Finding:
    """Something is."""
    return Finding(False, reason, fix)
