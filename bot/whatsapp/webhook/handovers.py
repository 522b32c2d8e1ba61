"""Who leads a chat that we share with Meta's agent, and perhaps with other services, after a handover.

Invariant: it is read from the whole names of roles, which are in the tables below, and never from a word in them. Meta
tells of a chat that is passed on to whom it goes, so it is ours, unless it goes to Meta's own agent, or from another
service to whom we don't know. What is none of what we know is shown as Meta said it, and changes nothing.

Every part of a handover may be missing. Its first form had only `previous_owner_app_role`.
"""

from datetime import datetime

from bot.whatsapp.json_access import get_line, get_object, get_text
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean
from flows.events import Event

PASSED, TAKEN = "control_passed", "control_taken"
META_AGENT_ROLES = ("ai_agent", "meta_business_agent")
SERVICE_ROLES = ("escalation", "customer_service", "marketing", "utility", "ctwa", "partner_app", "app")

HANDED_OVER, HANDED_TO_US = "[handed over by Meta's agent]", "[handed over to us]"
META_LEADS, META_LEFT = "[Meta's agent leads this chat now]", "[Meta's agent no longer leads this chat]"
OTHERS_LEAD = "[another service leads this chat now]"
_ROLE = 40


def read_handover(value: dict[str, object], item_id: int, at: datetime, late: bool) -> Event:
    """The event: a chat that is ours from here on, or something to be shown."""
    kind = get_line(value, "type", _ROLE)
    change = get_object(value, kind)
    old = get_line(change, "previous_owner_role", _ROLE) or get_line(change, "previous_owner_app_role", _ROLE)
    new = get_line(change, "new_owner_role", _ROLE)
    if kind == PASSED and new not in META_AGENT_ROLES and (new in ("", *SERVICE_ROLES) or old not in SERVICE_ROLES):
        mark = HANDED_OVER if old in META_AGENT_ROLES else HANDED_TO_US
        told = read_summary(change) or read_summary(value) or get_line(change, "metadata", 1000)
        return Event("handover", at, item_id, late=late, shown=clean(f"{mark} {told}".rstrip()), author="meta")
    return Event("silent", at, item_id, late=late, shown=_shown(kind, old, new), author="meta")


def _shown(kind: str, old: str, new: str) -> str:
    if kind in (PASSED, TAKEN) and new in META_AGENT_ROLES:
        return META_LEADS
    if kind == TAKEN and old in META_AGENT_ROLES and new in ("", *SERVICE_ROLES):
        return META_LEFT
    if kind == TAKEN and old in SERVICE_ROLES and new in SERVICE_ROLES:
        return OTHERS_LEAD
    said = ", ".join(filter(None, (kind, old and f"from {old}", new and f"to {new}"))).replace("_", " ")
    return f"[who leads this chat may have changed: {said}]" if said else "[who leads this chat may have changed]"


def read_summary(value: dict[str, object]) -> str:
    """What Meta's agent says of a chat."""
    return get_text(get_object(get_object(value, "conversation_context"), "summary"), "text", MAX_TEXT_CHARACTERS // 2)
