"""Every error code that Meta documents has its policy, whatever way it comes, and an unknown one has a rule."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from bot.whatsapp.errors import ERROR_POLICIES, Action, ErrorPolicy, Scope, classify_error, compute_backoff_seconds
from tests.support.places import PAYLOADS

CLASSES = {
    "R": Action.RETRY,
    "R!": Action.RETRY_AFTER,
    "T": Action.TEMPLATE,
    "C": Action.DROP,
    "U": Action.RECIPIENT,
    "O": Action.STOP,
}
UNKNOWN = 987654


class Documented(NamedTuple):
    first: int
    last: int
    action: Action
    scope: Scope
    wait_seconds: float


def documented(line: str) -> Documented:
    codes, letter, scope, seconds = line.split()
    first, _, last = codes.partition("-")
    return Documented(int(first), int(last or first), CLASSES[letter], Scope(scope), float(seconds))


LINES = (Path(__file__).parent / "error_codes.txt").read_text("utf-8").splitlines()
CODES = [documented(line) for line in LINES if line and not line.startswith("#")]
RANGES = [row for row in CODES if row.last > row.first]


@pytest.mark.parametrize("row", CODES, ids=lambda row: str(row.first))
def test_a_documented_code_has_its_class_whatever_http_says(row: Documented) -> None:
    for code in {row.first, (row.first + row.last) // 2, row.last}:
        policy = classify_error(code)
        assert (policy.action, policy.scope, policy.wait_seconds) == row[2:]
        assert policy == classify_error(code, 500, True) == classify_error(code, 400) == classify_error(code, 429)
        assert str(code) not in policy.reason


def test_the_table_has_the_documented_codes_and_no_others() -> None:
    assert set(ERROR_POLICIES) == {row.first for row in CODES if row not in RANGES}
    assert all(one.last < next_one.first for one, next_one in pairwise(sorted(CODES)))


@pytest.mark.parametrize("row", RANGES, ids=lambda row: str(row.first))
def test_beside_a_range_nothing_is_known(row: Documented) -> None:
    for code in (row.first - 1, row.last + 1):
        assert "does not know" in classify_error(code).reason


def test_the_recorded_codes_are_documented() -> None:
    names = [path.stem for folder in ("responses", "statuses-failed") for path in (PAYLOADS / folder).iterdir()]
    assert len(names) == 49 + 42
    for code in (int(name.removeprefix("failed_")) for name in names):
        assert any(row.first <= code <= row.last for row in CODES), code


def test_waits_belong_to_what_is_tried_again() -> None:
    for code, policy in ERROR_POLICIES.items():
        retried = policy.action in (Action.RETRY, Action.RETRY_AFTER, Action.STOP)
        assert (policy.wait_seconds > 0) is retried, code
        assert (policy.scope is Scope.CHANNEL) is (policy.action is Action.STOP), code


def test_sentences_are_for_people() -> None:
    for policy in ERROR_POLICIES.values():
        assert policy.reason.endswith(".")
        assert len(policy.reason) <= 120


@pytest.mark.parametrize(
    ("code", "http_status", "is_transient", "action", "scope"),
    [
        (UNKNOWN, 400, False, Action.DROP, Scope.ROW),
        (UNKNOWN, 0, False, Action.DROP, Scope.ROW),
        (UNKNOWN, 400, True, Action.RETRY, Scope.ROW),
        (UNKNOWN, 500, False, Action.RETRY, Scope.ROW),
        (UNKNOWN, 429, False, Action.RETRY_AFTER, Scope.NUMBER),
        (None, 429, False, Action.RETRY_AFTER, Scope.NUMBER),
        (None, 403, False, Action.RETRY, Scope.ROW),
        (None, 503, False, Action.RETRY, Scope.ROW),
    ],
)
def test_an_unknown_code(code: int | None, http_status: int, is_transient: bool, action: Action, scope: Scope) -> None:
    policy = classify_error(code, http_status, is_transient)
    assert (policy.action, policy.scope) == (action, scope)


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        (131056, [1, 4, 16, 64, 256, 300, 300]),
        (131000, [5, 10, 20, 40, 80, 160, 320]),
        (132069, [60, 120, 240, 480, 960, 1920, 3600]),
        (130429, [1, 1, 1]),
        (80007, [300, 300, 300]),
        (190, [5, 5, 5]),
        (131047, [0, 0]),
        (131026, [0, 0]),
        (100, [0, 0]),
    ],
)
def test_how_waits_grow(code: int, waits: list[float]) -> None:
    assert [compute_backoff_seconds(classify_error(code), refusals) for refusals in range(len(waits))] == waits


def test_a_wait_that_meta_has_raised_is_kept_and_comes_to_an_end() -> None:
    raised = ErrorPolicy(Action.RETRY_AFTER, 900, "", Scope.NUMBER)
    assert compute_backoff_seconds(raised, 0) == compute_backoff_seconds(raised, 7) == 900
    assert compute_backoff_seconds(raised._replace(wait_seconds=90_000), 0) == 3600
    assert compute_backoff_seconds(raised._replace(scope=Scope.PAIR), 3) == 900
    assert compute_backoff_seconds(classify_error(131000), 10**9) == 3600
