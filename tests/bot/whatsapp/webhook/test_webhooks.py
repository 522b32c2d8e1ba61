"""Every recorded webhook body has one exact outcome, written down in expected/webhooks: a line an item."""

import json
from pathlib import Path

import pytest

from tests.bot.whatsapp.webhook.reading import OUR_NUMBER, describe_outcome, parse_items
from tests.support.places import PAYLOADS

EXPECTED = Path(__file__).parents[1] / "expected" / "webhooks"
ELSEWHERE = ("batch_1000_messages.json", "batch_1000_statuses.json", "deep_nesting_2000.hostile")
BODIES = sorted(path for path in (PAYLOADS / "webhooks").iterdir() if path.name not in ELSEWHERE)


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.name)
def test_a_body_is_read_as_written_down(path: Path) -> None:
    assert describe_outcome(path.read_bytes()) == json.loads((EXPECTED / f"{path.stem}.json").read_text("utf-8"))


def test_every_outcome_written_down_has_its_body() -> None:
    assert {path.stem for path in EXPECTED.iterdir()} == {path.stem for path in BODIES}


def test_a_thousand_messages() -> None:
    outcome = describe_outcome((PAYLOADS / "webhooks" / "batch_1000_messages.json").read_bytes())
    assert [(one["key"], one["event"]) for one in outcome] == [
        (
            f"m:{OUR_NUMBER}:wamid.COMPOSED{number:06d}",
            {"kind": "text", "wamid": f"wamid.COMPOSED{number:06d}", "text": f"message {number}"},
        )
        for number in range(1000)
    ]
    assert {json.dumps(one["customer"]) for one in outcome} == {'{"phone": "16505551234", "name": "Sheena Nelson"}'}


def test_a_thousand_statuses() -> None:
    outcome = describe_outcome((PAYLOADS / "webhooks" / "batch_1000_statuses.json").read_bytes())
    names = ("sent", "delivered", "read")
    assert [one["key"] for one in outcome] == [
        f"s:{OUR_NUMBER}:wamid.OUT{number:06d}:{names[number % 3]}:{1749416381 + number}" for number in range(1000)
    ]
    assert all("ignored" not in one for one in outcome)


def test_a_deep_body_is_one_ignored_item_wherever_this_python_gives_up() -> None:
    (one,) = describe_outcome((PAYLOADS / "webhooks" / "deep_nesting_2000.hostile").read_bytes())
    assert one["ignored"] in ("not_json", "malformed")


@pytest.mark.parametrize("path", sorted((PAYLOADS / "webhooks").iterdir()), ids=lambda path: path.name)
def test_what_is_kept_can_be_stored(path: Path) -> None:
    for item in parse_items(path.read_bytes()):
        assert item.key.isascii()
        assert len(item.key) <= 200
        assert "\0" not in item.payload.encode("utf-8").decode()
        json.loads(item.payload)


@pytest.mark.parametrize("path", sorted((PAYLOADS / "statuses-failed").iterdir()), ids=lambda path: path.name)
def test_a_failed_status_carries_its_code(path: Path) -> None:
    (one,) = describe_outcome(path.read_bytes())
    status = one["status"]
    assert isinstance(status, dict)
    assert status["error_code"] == int(path.stem.removeprefix("failed_"))
    assert status["status"] == "failed"
    assert status["error_text"]
