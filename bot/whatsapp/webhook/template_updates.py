"""Reads updates about our templates: what Meta approves, pauses or rejects, and what customers think of them.

Invariants
- Nothing raises; an update that names no template, or says nothing of it, is None.

Source: Meta, webhooks/overview (the fields message_template_*_update and template_category_update).
"""

from typing import NamedTuple

from bot.whatsapp.json_access import get_line, get_object
from bot.whatsapp.webhook.updates import (
    MAX_DETAIL_CHARACTERS,
    AccountUpdate,
    Severity,
    TemplateChange,
    Value,
    get_event,
    make_update,
    to_words,
)

_MAX_NAME_CHARACTERS = 512  # Meta's limit


class _Template(NamedTuple):
    """Which template an update is about; the name is "" when there is none that Meta would take."""

    template_id: str
    name: str
    language: str


# The status that a template has after an event, and how bad that is.
_STATUSES: dict[str, tuple[str, Severity]] = {
    "APPROVED": ("APPROVED", "clear"),
    "REINSTATED": ("APPROVED", "clear"),
    "UNARCHIVED": ("APPROVED", "clear"),
    "UNLOCKED": ("APPROVED", "clear"),
    "IN_APPEAL": ("IN_APPEAL", "yellow"),
    "PENDING": ("PENDING", "info"),
    "PENDING_DELETION": ("PENDING_DELETION", "yellow"),
    "ARCHIVED": ("ARCHIVED", "yellow"),
    "DELETED": ("DELETED", "yellow"),
    "LOCKED": ("LOCKED", "red"),
    "LIMIT_EXCEEDED": ("LIMIT_EXCEEDED", "red"),
    "PAUSED": ("PAUSED", "red"),
    "REJECTED": ("REJECTED", "red"),
    "DISABLED": ("DISABLED", "red"),
}


def _read_template(value: Value) -> _Template:
    name = get_line(value, "message_template_name", 2 * _MAX_NAME_CHARACTERS)
    name = name if len(name) <= _MAX_NAME_CHARACTERS else ""  # a part of it would be another template's
    template_id, language = get_line(value, "message_template_id", 32), get_line(value, "message_template_language", 20)
    return _Template(template_id, name, language)


def read_template_status(value: Value) -> AccountUpdate | None:
    """Reads `message_template_status_update`: the template's status, or Meta's warning about it."""
    template_id, name, language = _read_template(value)
    event = get_event(value)
    if not name or not event:
        return None
    if event in ("FLAGGED", "UNFLAGGED"):  # a warning: it can still be sent
        message = f"Meta warns that customers dislike the template {name} ({language}): {to_words(event)}."
        return make_update(f"template-quality:{name}:{language}", "yellow" if event == "FLAGGED" else "clear", message)
    status, severity = _STATUSES.get(event, (event, "yellow"))
    reason = get_line(value, "reason", MAX_DETAIL_CHARACTERS)
    details = (
        get_line(get_object(value, "rejection_info"), "reason", MAX_DETAIL_CHARACTERS),
        get_line(get_object(value, "other_info"), "description", MAX_DETAIL_CHARACTERS),
        "" if reason.upper() == "NONE" else reason,
    )
    why = next(filter(None, details), "")
    change = TemplateChange(template_id=template_id, name=name, language=language, status=status, reason=why)
    message = f"Meta says of the template {name} ({language}): {to_words(event)}" + (f", {why}" if why else "")
    return make_update(f"template:{name}:{language}", severity, message, template=change)


def read_template_quality(value: Value) -> AccountUpdate | None:
    """Reads `message_template_quality_update`: what customers think of the template."""
    _, name, language = _read_template(value)
    score = get_event(value, "new_quality_score")
    if not name or not score:
        return None
    severity: Severity = "yellow" if score in ("RED", "YELLOW") else "clear"
    message = f"Customers' feedback on the template {name} ({language}) is {to_words(score)}. Meta pauses bad ones."
    return make_update(f"template-quality:{name}:{language}", severity, message)


def read_template_category(value: Value) -> AccountUpdate | None:
    """Reads `template_category_update`: Meta has put the template into another category, or is about to."""
    _, name, language = _read_template(value)
    category = get_event(value, "correct_category") or get_event(value, "new_category")
    if not name or not category:
        return None
    when = "will be" if value.get("correct_category") else "is now"
    message = f"The template {name} ({language}) {when} of the category {to_words(category)}, which has its own price."
    return make_update(f"template-category:{name}:{language}", "yellow" if category == "MARKETING" else "info", message)


def read_template_text(value: Value) -> AccountUpdate | None:
    """Reads `message_template_components_update`: somebody has changed the template's text."""
    _, name, language = _read_template(value)
    message = f"The text of the template {name} ({language}) was changed at Meta. Does it still fit what is filled in?"
    return make_update(f"template-text:{name}:{language}", "info", message) if name else None
