"""Defines the finding, the result of one check of the doctor."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How a check came out."""

    PASSED = "passed"  # nothing needs fixing
    WARNING = "warning"  # it works, and needs fixing soon: what needs this check is looked at all the same
    FAILED = "failed"  # it needs fixing: what needs this check would fail because of it
    WAITING = "waiting"  # not looked at until another check, which it needs, is fixed


class Finding(NamedTuple):
    """What a check has found, in sentences. `fix` says how to fix it; empty where nothing needs fixing."""

    outcome: Outcome
    reason: str
    fix: str = ""


def pass_check(reason: str) -> Finding:
    """Makes the finding that nothing needs fixing."""
    return Finding(Outcome.PASSED, reason)


def warn_check(reason: str, fix: str) -> Finding:
    """Makes the finding that something works and needs fixing soon, and how to fix it."""
    return Finding(Outcome.WARNING, reason, fix)


def fail_check(reason: str, fix: str) -> Finding:
    """Makes the finding that something is wrong, and how to fix it."""
    return Finding(Outcome.FAILED, reason, fix)
