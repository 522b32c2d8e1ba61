"""What Meta tells of the account is an update that an operator understands: expected/account_updates.json has them."""

import json
from pathlib import Path

import pytest

from bot.whatsapp.webhook import fields
from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.updates import AccountUpdate

EXPECTED = json.loads((Path(__file__).parents[1] / "expected" / "account_updates.json").read_text("utf-8"))


def updates_of(field: str, value: object) -> list[AccountUpdate]:
    return read_account_updates(json.dumps({"waba_id": "102290129340398", "field": field, "value": value}))


@pytest.mark.parametrize("name", EXPECTED)
def test_an_update_is_read_as_written_down(name: str) -> None:
    field, value, expected = EXPECTED[name]
    found = [[one.severity, one.subject, one.message] for one in updates_of(field, value)]
    assert found == [line[:3] for line in expected]
    changes = [one.template for one in updates_of(field, value)]
    templates = [[t.template_id, t.name, t.language, t.status, t.reason] for t in changes if t]
    assert templates == [line[3] for line in expected if len(line) > 3]


@pytest.mark.parametrize("field", sorted(fields.ACCOUNT))
def test_every_field_of_the_account_has_an_update(field: str) -> None:
    template = {f"message_template_{key}": "x" for key in ("id", "name", "language")}
    event = {"event": "PAUSED", "decision": "REJECTED", "alert_type": "X", "new_quality_score": "RED"}
    limits = {"new_category": "UTILITY", "max_daily_conversations_per_business": "TIER_2K"}
    assert len(updates_of(field, template | event | limits)) == 1


@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("message_template_status_update", {"event": "PAUSED"}, {"event": "APPROVED"}),
        ("message_template_status_update", {"event": "FLAGGED"}, {"event": "UNFLAGGED"}),
        ("message_template_quality_update", {"new_quality_score": "RED"}, {"new_quality_score": "GREEN"}),
        ("phone_number_quality_update", {"event": "FLAGGED"}, {"event": "UNFLAGGED"}),
        ("phone_number_quality_update", {"event": "DOWNGRADE"}, {"event": "UPGRADE"}),
        ("phone_number_name_update", {"decision": "REJECTED"}, {"decision": "APPROVED"}),
        ("account_review_update", {"decision": "REJECTED"}, {"decision": "APPROVED"}),
        ("account_update", {"event": "PARTNER_REMOVED"}, {"event": "PARTNER_ADDED"}),
        (
            "account_update",
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}},
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}},
        ),
        (
            "account_update",
            {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "X"}]},
            {"event": "ACCOUNT_RESTRICTION"},
        ),
        (
            "account_alerts",
            {"alert_type": "X", "alert_severity": "CRITICAL"},
            {"alert_type": "X", "alert_status": "NONE"},
        ),
    ],
)
def test_good_news_ends_the_bad(field: str, bad: dict[str, object], good: dict[str, object]) -> None:
    template = {"message_template_name": "hello", "message_template_language": "en"}
    (worse,), (better,) = updates_of(field, template | bad), updates_of(field, template | good)
    assert worse.subject == better.subject
    assert worse.severity in ("red", "yellow")
    assert better.severity == "clear"


def test_what_is_stored_may_be_anything() -> None:
    for payload in (
        "",
        "null",
        "[]",
        "{",
        "[" * 100_000,
        '{"field": ["security"]}',
        '{"field": "security", "value": 7}',
    ):
        assert all(one.message for one in read_account_updates(payload))
