"""Defines the finding, the result of one check of the doctor."""

from typing import NamedTuple


class Finding(NamedTuple):
    """What a check has found, in sentences. `fix` says how to mend it; empty where nothing is to be mended."""

    ok: bool
    reason: str
    fix: str = ""


def pass_check(reason: str) -> Finding:
    """Makes the finding that nothing is to be mended."""
    return Finding(True, reason)


def fail_check(reason: str, fix: str) -> Finding:
    """Makes the finding that something is wrong, and how to mend it."""
    return Finding(False, reason, fix)
