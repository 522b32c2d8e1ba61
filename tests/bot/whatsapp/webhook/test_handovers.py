"""Who leads a chat after a handover is read from every pair of roles that Meta may name."""

from itertools import product

import pytest

from bot.whatsapp.webhook.handovers import (
    HANDED_OVER,
    HANDED_TO_US,
    META_AGENT_ROLES,
    META_LEADS,
    META_LEFT,
    OTHERS_LEAD,
    SERVICE_ROLES,
    read_handover,
)
from tests.bot.whatsapp.webhook.reading import RECEIVED_AT

UNSURE = "[who leads this chat may have changed: "


def read(kind: object, old: object, new: object, **more: object) -> tuple[str, str]:
    """(kind, what is shown) of the event."""
    roles = {"previous_owner_role": old, "new_owner_role": new}
    change = {name: role for name, role in roles.items() if role is not None} | more
    event = read_handover({"type": kind, str(kind): change}, item_id=1, at=RECEIVED_AT, late=False)
    assert event.author == "meta"
    return event.kind, event.shown


@pytest.mark.parametrize(
    ("kind", "old", "new", "becomes", "shown"),
    [
        ("control_passed", "ai_agent", "escalation", "handover", HANDED_OVER),
        ("control_passed", "meta_business_agent", "partner_app", "handover", HANDED_OVER),
        ("control_passed", "ai_agent", "human_agent", "handover", HANDED_OVER),
        ("control_passed", "ai_agent", None, "handover", HANDED_OVER),
        ("control_passed", "marketing", "customer_service", "handover", HANDED_TO_US),
        ("control_passed", None, "escalation", "handover", HANDED_TO_US),
        ("control_passed", None, "human_agent", "handover", HANDED_TO_US),
        ("control_passed", None, None, "handover", HANDED_TO_US),
        ("control_passed", "escalation", "ai_agent", "silent", META_LEADS),
        ("control_passed", None, "meta_business_agent", "silent", META_LEADS),
        ("control_passed", "escalation", "ai_agent_to_come", "silent",
         f"{UNSURE}control passed, from escalation, to ai agent to come]"),
        ("control_taken", "partner_app", "meta_business_agent", "silent", META_LEADS),
        ("control_taken", None, "ai_agent", "silent", META_LEADS),
        ("control_taken", "ai_agent", "escalation", "silent", META_LEFT),
        ("control_taken", "ai_agent", None, "silent", META_LEFT),
        ("control_taken", "customer_service", "escalation", "silent", OTHERS_LEAD),
        ("control_taken", None, None, "silent", f"{UNSURE}control taken]"),
        ("control_taken", None, "escalation", "silent", f"{UNSURE}control taken, to escalation]"),
        ("control_taken", "ai_agent", "human_agent", "silent",
         f"{UNSURE}control taken, from ai agent, to human agent]"),
        ("control_shared", "ai_agent", "escalation", "silent",
         f"{UNSURE}control shared, from ai agent, to escalation]"),
        ("", "ai_agent", "escalation", "silent", f"{UNSURE}from ai agent, to escalation]"),
        (None, None, None, "silent", "[who leads this chat may have changed]"),
        (["control_passed"], None, None, "silent", "[who leads this chat may have changed]"),
        ("control_passed", ["ai_agent"], {"role": "ai_agent"}, "handover", HANDED_TO_US),
    ],
)  # fmt: skip
def test_who_leads(kind: object, old: object, new: object, becomes: str, shown: str) -> None:
    assert read(kind, old, new) == (becomes, shown)


def test_the_first_form_names_the_owner_before() -> None:
    assert read("control_passed", None, None, previous_owner_app_role="meta_business_agent")[1] == HANDED_OVER


@pytest.mark.parametrize("kind", ["control_passed", "control_taken", "", "x" * 5000])
def test_it_is_a_short_line_whatever_the_roles(kind: str) -> None:
    for old, new in product(
        (*META_AGENT_ROLES, "", "x" * 5000), (*META_AGENT_ROLES, *SERVICE_ROLES, "\u202e\0", "x\ny" * 5000)
    ):
        becomes, shown = read(kind, old, new)
        assert becomes == ("handover" if kind == "control_passed" and new not in META_AGENT_ROLES else "silent")
        assert 0 < len(shown) < 200
        assert "\n" not in shown
