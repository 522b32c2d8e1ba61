"""Reads updates about our account and our number, for an operator; those about templates: `template_updates.py`.

Invariants
- Nothing raises, whatever Meta sends.
- What says nothing that an operator could act on is no update.

Source: Meta, webhooks/overview (a page for each field).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple

from bot.whatsapp.json_access import get_instant, get_line, get_object, get_objects, get_text, load_object
from bot.whatsapp.webhook.template_updates import (
    read_template_category,
    read_template_quality,
    read_template_status,
    read_template_text,
)
from bot.whatsapp.webhook.updates import (
    MAX_DETAIL_CHARACTERS,
    AccountUpdate,
    Severity,
    Value,
    get_event,
    make_update,
    to_words,
)

# How long an alert lasts that Meta may never take back, by how its subject begins; any other is open until Meta does.
# Meta's restrictions last 30 days at most.
EXPIRES_AFTER: Mapping[str, timedelta] = {
    "account:alert:": timedelta(days=31),
    "account:restriction": timedelta(days=31),
    "account:security": timedelta(days=7),
    "account:violation": timedelta(days=31),
    "number:removed": timedelta(days=7),  # it may be another than ours, which is asked about anyway
    "sending:": timedelta(days=1),
    "template-category:": timedelta(days=7),
    "template-refused:": timedelta(days=7),
    "webhook:errors": timedelta(days=1),
}

_MAX_ERRORS, _MAX_RESTRICTIONS = 3, 5  # that one message names
_DECISIONS: dict[str, Severity] = {"APPROVED": "clear", "REJECTED": "red", "DECLINED": "red"}
_ALERT_SEVERITIES: dict[str, Severity] = {"CRITICAL": "red", "WARNING": "yellow"}
_BETTER = ("UPGRADE", "THROUGHPUT_UPGRADE", "ONBOARDING")
_BANS = {
    "SCHEDULE_FOR_DISABLE": "is going to be disabled",
    "DISABLE": "is disabled",
    "REINSTATE": "is active again",
}


class _AccountEvent(NamedTuple):
    """How an event of `account_update` reads."""

    subject: str
    severity: Severity
    message: str


# Another event than these is shown as Meta names it.
_ACCOUNT_EVENTS = {
    "ACCOUNT_DELETED": _AccountEvent("account:deleted", "red", "Our WhatsApp business account was deleted."),
    "ACCOUNT_OFFBOARDED": _AccountEvent("account:connection", "red", "Our account is no longer connected to this app."),
    "PARTNER_REMOVED": _AccountEvent("account:connection", "red", "Our account was taken from this app."),
    "PARTNER_APP_UNINSTALLED": _AccountEvent("account:connection", "red", "This app was removed from our account."),
    "ACCOUNT_RECONNECTED": _AccountEvent("account:connection", "clear", "Our account is connected to this app again."),
    "PARTNER_ADDED": _AccountEvent("account:connection", "clear", "Our account was given to this app."),
    "PARTNER_APP_INSTALLED": _AccountEvent("account:connection", "clear", "This app was added to our account."),
    "PHONE_NUMBER_REMOVED": _AccountEvent("number:removed", "red", "A number was removed from our account."),
    "PHONE_NUMBER_ADDED": _AccountEvent("number:removed", "clear", "A number was added to our account."),
    "VERIFIED_ACCOUNT": _AccountEvent("account:review", "clear", "Our account is verified."),
}
_OF_NO_USE = (
    "AD_ACCOUNT_LINKED",
    "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE",
    "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE",
    "MM_LITE_TERMS_SIGNED",
    "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE",
    "VOLUME_BASED_PRICING_TIER_UPDATE",
)


def read_account_updates(payload: str) -> list[AccountUpdate]:
    """Returns the update in the payload of an item of the kind ACCOUNT; [] when an operator need not know of it."""
    stored = load_object(payload)
    read = _READERS.get(get_text(stored, "field"))
    found = read(get_object(stored, "value")) if read else None
    return [found] if found else []


def _describe_number(value: Value) -> str:
    digits = get_line(value, "display_phone_number", 30).lstrip("+")
    return f"our number +{digits}" if digits else "our number"


def _read_number_quality(value: Value) -> AccountUpdate | None:
    event, number = get_event(value), _describe_number(value)
    limit = get_line(value, "max_daily_conversations_per_business", 40) or get_line(value, "current_limit", 40)
    now = f" Limit: {limit}." if limit else ""
    if not event:
        return None
    if event == "FLAGGED":
        return make_update("number:quality", "red", f"Customers' feedback on {number} is bad: it is flagged.{now}")
    if event == "UNFLAGGED":
        return make_update("number:quality", "clear", f"Customers' feedback on {number} is good again.{now}")
    severity: Severity = "yellow" if event == "DOWNGRADE" else "clear" if event in _BETTER else "info"
    return make_update("number:limit", severity, f"Meta says of {number}: {to_words(event)}.{now}")


def _read_number_name(value: Value) -> AccountUpdate | None:
    decision, name = get_event(value, "decision"), get_line(value, "requested_verified_name", 100)
    if not decision:
        return None
    why = get_line(value, "rejection_reason", 100)
    message = f"The name {name} of {_describe_number(value)} is {to_words(decision)}"
    message += f": {to_words(why)}." if why else "."
    return make_update("number:name", _DECISIONS.get(decision, "info"), message)


def _read_account_review(value: Value) -> AccountUpdate | None:
    decision = get_event(value, "decision")
    message = f"Meta's review of our account: {to_words(decision)}."
    return make_update("account:review", _DECISIONS.get(decision, "info"), message) if decision else None


def _read_account_event(value: Value) -> AccountUpdate | None:
    event = get_event(value)
    if not event or event in _OF_NO_USE:
        return None
    if event == "ACCOUNT_RESTRICTION":
        return _read_restrictions(value)
    if event == "ACCOUNT_VIOLATION":
        kind = get_line(get_object(value, "violation_info"), "violation_type", 100)
        return make_update("account:violation", "red", f"Meta says that our account broke its rules: {to_words(kind)}.")
    if event == "DISABLED_UPDATE":
        return _read_ban(get_object(value, "ban_info"))
    unknown = _AccountEvent(f"account:{event.lower()}", "info", f"Meta says of our account: {to_words(event)}.")
    return make_update(*_ACCOUNT_EVENTS.get(event, unknown))


def _read_ban(ban: Value) -> AccountUpdate | None:
    state, date = get_event(ban, "waba_ban_state"), get_line(ban, "waba_ban_date", 40)
    if not state:
        return None
    message = f"Our account {_BANS.get(state, f'has the state {to_words(state)}')}" + (f" ({date})." if date else ".")
    return make_update("account:ban", "clear" if state == "REINSTATE" else "red", message)


def _read_restrictions(value: Value) -> AccountUpdate:
    restrictions, entries = [], get_objects(value, "restriction_info")
    for one in entries[:_MAX_RESTRICTIONS]:
        until = get_instant(one, "expiration")
        words = to_words(get_line(one, "restriction_type", 80))
        restrictions.append(words + (f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""))
    restrictions += _count_rest(len(entries) - _MAX_RESTRICTIONS)
    if not restrictions:
        return make_update("account:restriction", "clear", "Our account is not restricted.")
    return make_update("account:restriction", "red", f"Our account is restricted: {'; '.join(restrictions)}.")


def _count_rest(count: int) -> list[str]:
    return [f"and {count} more"] if count > 0 else []


def _read_alert(value: Value) -> AccountUpdate | None:
    alert = get_object(value, "alert_info") or value
    kind, words = get_event(alert, "alert_type"), get_line(alert, "alert_description", MAX_DETAIL_CHARACTERS)
    if not kind and not words:
        return None
    is_over = get_event(alert, "alert_status") in ("NONE", "RESOLVED", "INACTIVE")
    severity = "clear" if is_over else _ALERT_SEVERITIES.get(get_event(alert, "alert_severity"), "info")
    return make_update(f"account:alert:{kind or 'OTHER'}", severity, words or f"Meta's alert: {to_words(kind)}.")


def _read_capability(value: Value) -> AccountUpdate | None:
    keys = ("max_daily_conversations_per_business", "max_daily_conversation_per_phone")
    limit = next(filter(None, (get_line(value, key, 40) for key in keys)), "")
    message = f"Meta's limit of people that we may write to first in 24 hours: {limit}."
    return make_update("account:limit", "info", message) if limit else None


def _read_settings(value: Value) -> AccountUpdate:
    event = get_event(value)
    message = "Our account's settings were changed at Meta" + (f": {to_words(event)}." if event else ".")
    return make_update("account:settings", "info", message)


def _read_security(value: Value) -> AccountUpdate:
    event = to_words(get_event(value)) or "a change"
    message = f"Security of {_describe_number(value)}: {event}. If nobody of yours did this, act now."
    return make_update("account:security", "yellow", message)


def _read_errors(value: Value) -> AccountUpdate | None:
    entries = get_objects(value, "errors")
    errors = [
        f"{get_line(error, 'code', 20)} {get_line(error, 'title', 100) or get_line(error, 'message', 100)}".strip()
        for error in entries[:_MAX_ERRORS]
    ]
    errors += _count_rest(len(entries) - _MAX_ERRORS)
    return make_update("webhook:errors", "yellow", f"Meta reports errors: {'; '.join(errors)}.") if errors else None


# The field of a webhook, and what reads its value.
_READERS: dict[str, Callable[[Value], AccountUpdate | None]] = {
    "account_alerts": _read_alert,
    "account_review_update": _read_account_review,
    "account_settings_update": _read_settings,
    "account_update": _read_account_event,
    "business_capability_update": _read_capability,
    "message_template_components_update": read_template_text,
    "message_template_quality_update": read_template_quality,
    "message_template_status_update": read_template_status,
    "messages": _read_errors,
    "phone_number_name_update": _read_number_name,
    "phone_number_quality_update": _read_number_quality,
    "security": _read_security,
    "standby": _read_errors,
    "template_category_update": read_template_category,
}
