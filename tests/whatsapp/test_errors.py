"""Every code that was ever seen has one row, and an unknown one a rule."""

import json
from pathlib import Path

import pytest

from bot.whatsapp.errors import ACTIONS, Action, action_of
from tests.whatsapp.reading import PAYLOADS

CODES = sorted(
    {int(path.stem) for path in (PAYLOADS / "responses").iterdir()}
    | {int(path.stem.removeprefix("failed_")) for path in (PAYLOADS / "statuses-failed").iterdir()}
)
UNKNOWN = 987654


@pytest.mark.parametrize("code", CODES)
def test_a_recorded_code_has_its_verdict_whatever_http_says(code: int) -> None:
    verdict = action_of(code)
    assert str(code) not in verdict.reason
    assert verdict == action_of(code, 500, True) == action_of(code, 400) == action_of(code, 429)


@pytest.mark.parametrize("path", sorted((PAYLOADS / "responses").iterdir()), ids=lambda path: path.name)
def test_the_files_hold_the_codes_they_are_named_after(path: Path) -> None:
    assert json.loads(path.read_text())["error"]["code"] == int(path.stem)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (0, Action.STOP),
        (33, Action.STOP),
        (100, Action.DROP),
        (190, Action.STOP),
        (200, Action.STOP),
        (299, Action.STOP),
        (80007, Action.RETRY_AFTER),
        (130429, Action.RETRY_AFTER),
        (130472, Action.DROP),
        (131000, Action.RETRY),
        (131026, Action.RECIPIENT),
        (131047, Action.TEMPLATE),
        (131048, Action.STOP),
        (131056, Action.RETRY_AFTER),
        (131215, Action.DROP),
        (138000, Action.DROP),
        (2388001, Action.DROP),
        (2494100, Action.RETRY_AFTER),
    ],
)
def test_actions(code: int, action: Action) -> None:
    assert action_of(code).action is action


def test_waits_belong_to_what_is_tried_again() -> None:
    for code, verdict in ACTIONS.items():
        retried = verdict.action in (Action.RETRY, Action.RETRY_AFTER, Action.STOP)
        assert (verdict.wait_seconds > 0) is retried, code


def test_sentences_are_for_people() -> None:
    for verdict in ACTIONS.values():
        assert verdict.reason.endswith((".", "?"))
        assert len(verdict.reason) <= 120


@pytest.mark.parametrize(
    ("code", "http_status", "is_transient", "action"),
    [
        (UNKNOWN, 400, False, Action.DROP),
        (UNKNOWN, 0, False, Action.DROP),
        (UNKNOWN, 400, True, Action.RETRY),
        (UNKNOWN, 500, False, Action.RETRY),
        (UNKNOWN, 429, False, Action.RETRY_AFTER),
        (None, 429, False, Action.RETRY_AFTER),
        (None, 403, False, Action.RETRY),
    ],
)
def test_an_unknown_code(code: int | None, http_status: int, is_transient: bool, action: Action) -> None:
    assert action_of(code, http_status, is_transient).action is action
