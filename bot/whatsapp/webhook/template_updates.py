"""News of our templates: what Meta approves, pauses, turns down, and what customers think of them."""

from bot.whatsapp.json_access import line_in, object_in
from bot.whatsapp.webhook.updates import WORDS, News, Severity, TemplateChange, Value, event_in, in_words, news

_LONGEST_NAME = 512  # Meta's limit

# What a template's event makes of it, and how bad that is.
_TEMPLATE_EVENTS: dict[str, tuple[str, Severity]] = {
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


def _template_of(value: Value) -> tuple[str, str, str]:
    """(id, name, language), the name "" when it is none."""
    name = line_in(value, "message_template_name", 2 * _LONGEST_NAME)
    name = name if len(name) <= _LONGEST_NAME else ""
    return line_in(value, "message_template_id", 32), name, line_in(value, "message_template_language", 20)


def template_status(value: Value) -> News | None:
    template_id, name, language = _template_of(value)
    event = event_in(value)
    if not name or not event:
        return None
    if event in ("FLAGGED", "UNFLAGGED"):  # a warning: it can still be sent
        message = f"Meta warns that customers dislike the template {name} ({language}): {in_words(event)}."
        return news(f"template-quality:{name}:{language}", "yellow" if event == "FLAGGED" else "clear", message)
    status, severity = _TEMPLATE_EVENTS.get(event, (event, "yellow"))
    reason = line_in(value, "reason", WORDS)
    details = (
        line_in(object_in(value, "rejection_info"), "reason", WORDS),
        line_in(object_in(value, "other_info"), "description", WORDS),
        "" if reason.upper() == "NONE" else reason,
    )
    why = next(filter(None, details), "")
    change = TemplateChange(template_id, name, language, status, why)
    message = f"Meta says of the template {name} ({language}): {in_words(event)}" + (f", {why}" if why else "")
    return news(f"template:{name}:{language}", severity, message, change)


def template_quality(value: Value) -> News | None:
    _, name, language = _template_of(value)
    score = event_in(value, "new_quality_score")
    if not name or not score:
        return None
    severity: Severity = "yellow" if score in ("RED", "YELLOW") else "clear"
    message = f"Customers' feedback on the template {name} ({language}) is {in_words(score)}. Meta pauses bad ones."
    return news(f"template-quality:{name}:{language}", severity, message)


def template_category(value: Value) -> News | None:
    _, name, language = _template_of(value)
    category = event_in(value, "correct_category") or event_in(value, "new_category")
    if not name or not category:
        return None
    when = "will be" if value.get("correct_category") else "is now"
    message = f"The template {name} ({language}) {when} of the category {in_words(category)}, which has its own price."
    return news(f"template-category:{name}:{language}", "yellow" if category == "MARKETING" else "info", message)


def template_text(value: Value) -> News | None:
    _, name, language = _template_of(value)
    message = f"The text of the template {name} ({language}) was changed at Meta. Does it still fit what is filled in?"
    return news(f"template-text:{name}:{language}", "info", message) if name else None
