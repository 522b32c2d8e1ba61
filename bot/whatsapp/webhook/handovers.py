"""Reads who leads a chat after a handover, where we share it with Meta's agent and perhaps with other services.

Invariants
- Roles are compared as whole names, which are in the tables below, and never by a word in them.
- Meta tells of a chat that is passed on to whom it goes. So it is ours, unless it goes to Meta's own agent, or from
  another service to somebody whom we don't know.
- What is none of what we know is shown as Meta said it, and changes nothing.

Every part of a handover may be missing. Its first version had only `previous_owner_app_role`.

Source: Meta, standby.
"""

from datetime import datetime

from bot.whatsapp.json_access import get_line, get_object, get_text
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean
from flows.events import Event

PASSED, TAKEN = "control_passed", "control_taken"  # types of a handover
META_AGENT_ROLES = ("ai_agent", "meta_business_agent")
SERVICE_ROLES = ("escalation", "customer_service", "marketing", "utility", "ctwa", "partner_app", "app")

HANDED_OVER, HANDED_TO_US = "[handed over by Meta's agent]", "[handed over to us]"
META_LEADS, META_LEFT = "[Meta's agent leads this chat now]", "[Meta's agent no longer leads this chat]"
OTHERS_LEAD = "[another service leads this chat now]"
_MAX_ROLE_CHARACTERS = 40
_MAX_METADATA_CHARACTERS = 1000


def read_handover(value: dict[str, object], *, item_id: int, at: datetime, late: bool) -> Event:
    """Returns the event: `handover` for a chat that is ours from here on, else `silent`, something to be shown."""
    kind = get_line(value, "type", _MAX_ROLE_CHARACTERS)
    change = get_object(value, kind)
    old = get_line(change, "previous_owner_role", _MAX_ROLE_CHARACTERS)
    old = old or get_line(change, "previous_owner_app_role", _MAX_ROLE_CHARACTERS)
    new = get_line(change, "new_owner_role", _MAX_ROLE_CHARACTERS)
    if kind == PASSED and new not in META_AGENT_ROLES and (new in ("", *SERVICE_ROLES) or old not in SERVICE_ROLES):
        mark = HANDED_OVER if old in META_AGENT_ROLES else HANDED_TO_US
        notes = read_summary(change) or read_summary(value) or get_line(change, "metadata", _MAX_METADATA_CHARACTERS)
        return Event("handover", at, item_id, late=late, shown=clean(f"{mark} {notes}".rstrip()), author="meta")
    return Event("silent", at, item_id, late=late, shown=_describe_leader(kind, old, new), author="meta")


def _describe_leader(kind: str, old: str, new: str) -> str:
    """Says who leads a chat that is not ours by this handover, or what Meta said of it."""
    if kind in (PASSED, TAKEN) and new in META_AGENT_ROLES:
        return META_LEADS
    if kind == TAKEN and old in META_AGENT_ROLES and new in ("", *SERVICE_ROLES):
        return META_LEFT
    if kind == TAKEN and old in SERVICE_ROLES and new in SERVICE_ROLES:
        return OTHERS_LEAD
    words = ", ".join(filter(None, (kind, old and f"from {old}", new and f"to {new}"))).replace("_", " ")
    return f"[who leads this chat may have changed: {words}]" if words else "[who leads this chat may have changed]"


def read_summary(value: dict[str, object]) -> str:
    """Returns what Meta's agent noted of a chat, "" when it noted nothing."""
    conversation = get_object(value, "conversation_context")
    return get_text(get_object(conversation, "summary"), "text", MAX_TEXT_CHARACTERS // 2)
