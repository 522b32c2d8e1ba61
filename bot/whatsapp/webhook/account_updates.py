"""What Meta tells of our account, our number and our templates becomes news for an operator.

Invariant: pure and total. A subject is the same for the same thing whatever is said of it, so that good news clears
what bad news raised; what says nothing that an operator could act on is no news. The words are for people, the
template's state is for us.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

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

# How long bad news stand that nobody need take back, by how their subjects begin; whatever else is bad is so until Meta
# says otherwise. Its restrictions last 30 days at most.
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

_ERRORS, _RESTRICTIONS = 3, 5


def read_account_updates(payload: str) -> list[AccountUpdate]:
    """The news in the payload of an item of kind `account`."""
    held = load_object(payload)
    read = _READERS.get(get_text(held, "field"))
    found = read(get_object(held, "value")) if read else None
    return [found] if found else []


def _number(value: Value) -> str:
    digits = get_line(value, "display_phone_number", 30).lstrip("+")
    return f"our number +{digits}" if digits else "our number"


def _quality(value: Value) -> AccountUpdate | None:
    event = get_event(value)
    limit = get_line(value, "max_daily_conversations_per_business", 40) or get_line(value, "current_limit", 40)
    now = f" Limit: {limit}." if limit else ""
    if event == "FLAGGED":
        return make_update(
            "number:quality", "red", f"Customers' feedback on {_number(value)} is bad: it is flagged.{now}"
        )
    if event == "UNFLAGGED":
        return make_update("number:quality", "clear", f"Customers' feedback on {_number(value)} is good again.{now}")
    severity: Severity = "yellow" if event == "DOWNGRADE" else "info" if event not in _BETTER else "clear"
    return (
        make_update("number:limit", severity, f"Meta says of {_number(value)}: {to_words(event)}.{now}")
        if event
        else None
    )


_BETTER = ("UPGRADE", "THROUGHPUT_UPGRADE", "ONBOARDING")


def _name(value: Value) -> AccountUpdate | None:
    decision, name = get_event(value, "decision"), get_line(value, "requested_verified_name", 100)
    why = get_line(value, "rejection_reason", 100)
    message = f"The name {name} of {_number(value)} is {to_words(decision)}" + (f": {to_words(why)}." if why else ".")
    return make_update("number:name", _DECISIONS.get(decision, "info"), message) if decision else None


_DECISIONS: dict[str, Severity] = {"APPROVED": "clear", "REJECTED": "red", "DECLINED": "red"}


def _review(value: Value) -> AccountUpdate | None:
    decision = get_event(value, "decision")
    message = f"Meta's review of our account: {to_words(decision)}."
    return make_update("account:review", _DECISIONS.get(decision, "info"), message) if decision else None


# Events of an account: the subject, how bad, and the words. What is in no line here is told as it is.
_ACCOUNT_EVENTS: dict[str, tuple[str, Severity, str]] = {
    "ACCOUNT_DELETED": ("account:deleted", "red", "Our WhatsApp business account was deleted."),
    "ACCOUNT_OFFBOARDED": ("account:connection", "red", "Our account is no longer connected to this app."),
    "PARTNER_REMOVED": ("account:connection", "red", "Our account was taken from this app."),
    "PARTNER_APP_UNINSTALLED": ("account:connection", "red", "This app was removed from our account."),
    "ACCOUNT_RECONNECTED": ("account:connection", "clear", "Our account is connected to this app again."),
    "PARTNER_ADDED": ("account:connection", "clear", "Our account was given to this app."),
    "PARTNER_APP_INSTALLED": ("account:connection", "clear", "This app was added to our account."),
    "PHONE_NUMBER_REMOVED": ("number:removed", "red", "A number was removed from our account."),
    "PHONE_NUMBER_ADDED": ("number:removed", "clear", "A number was added to our account."),
    "VERIFIED_ACCOUNT": ("account:review", "clear", "Our account is verified."),
}
_BANS = {
    "SCHEDULE_FOR_DISABLE": "is going to be disabled",
    "DISABLE": "is disabled",
    "REINSTATE": "is active again",
}
_NO_NEWS = (
    "AD_ACCOUNT_LINKED",
    "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE",
    "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE",
    "MM_LITE_TERMS_SIGNED",
    "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE",
    "VOLUME_BASED_PRICING_TIER_UPDATE",
)


def _account(value: Value) -> AccountUpdate | None:
    event = get_event(value)
    if not event or event in _NO_NEWS:
        return None
    if event == "ACCOUNT_RESTRICTION":
        return _restriction(value)
    if event == "ACCOUNT_VIOLATION":
        kind = get_line(get_object(value, "violation_info"), "violation_type", 100)
        return make_update("account:violation", "red", f"Meta says that our account broke its rules: {to_words(kind)}.")
    if event == "DISABLED_UPDATE":
        ban = get_object(value, "ban_info")
        state, date = get_event(ban, "waba_ban_state"), get_line(ban, "waba_ban_date", 40)
        if not state:
            return None
        message = f"Our account {_BANS.get(state, f'has the state {to_words(state)}')}" + (
            f" ({date})." if date else "."
        )
        return make_update("account:ban", "clear" if state == "REINSTATE" else "red", message)
    subject, severity, message = _ACCOUNT_EVENTS.get(
        event, (f"account:{event.lower()}", "info", f"Meta says of our account: {to_words(event)}.")
    )
    return make_update(subject, severity, message)


def _restriction(value: Value) -> AccountUpdate:
    told, held = [], get_objects(value, "restriction_info")
    for one in held[:_RESTRICTIONS]:
        until = get_instant(one, "expiration")
        told.append(
            to_words(get_line(one, "restriction_type", 80)) + (f" until {until:%Y-%m-%d %H:%M} UTC" if until else "")
        )
    told += _more(len(held) - _RESTRICTIONS)
    if not told:
        return make_update("account:restriction", "clear", "Our account is not restricted.")
    return make_update("account:restriction", "red", f"Our account is restricted: {'; '.join(told)}.")


def _more(count: int) -> list[str]:
    return [f"and {count} more"] if count > 0 else []


_SEVERITIES: dict[str, Severity] = {"CRITICAL": "red", "WARNING": "yellow"}


def _alert(value: Value) -> AccountUpdate | None:
    told = get_object(value, "alert_info") or value
    kind, words = get_event(told, "alert_type"), get_line(told, "alert_description", MAX_DETAIL_CHARACTERS)
    if not kind and not words:
        return None
    over = get_event(told, "alert_status") in ("NONE", "RESOLVED", "INACTIVE")
    severity = "clear" if over else _SEVERITIES.get(get_event(told, "alert_severity"), "info")
    return make_update(f"account:alert:{kind or 'OTHER'}", severity, words or f"Meta's alert: {to_words(kind)}.")


def _capability(value: Value) -> AccountUpdate | None:
    keys = ("max_daily_conversations_per_business", "max_daily_conversation_per_phone")
    limit = next(filter(None, (get_line(value, key, 40) for key in keys)), "")
    message = f"Meta's limit of people that we may write to first in 24 hours: {limit}."
    return make_update("account:limit", "info", message) if limit else None


def _settings(value: Value) -> AccountUpdate:
    event = get_event(value)
    return make_update(
        "account:settings",
        "info",
        "Our account's settings were changed at Meta" + (f": {to_words(event)}." if event else "."),
    )


def _security(value: Value) -> AccountUpdate:
    event = to_words(get_event(value)) or "a change"
    message = f"Security of {_number(value)}: {event}. If nobody of yours did this, act now."
    return make_update("account:security", "yellow", message)


def _errors(value: Value) -> AccountUpdate | None:
    held = get_objects(value, "errors")
    errors = [
        f"{get_line(error, 'code', 20)} {get_line(error, 'title', 100) or get_line(error, 'message', 100)}".strip()
        for error in held[:_ERRORS]
    ]
    errors += _more(len(held) - _ERRORS)
    return make_update("webhook:errors", "yellow", f"Meta reports errors: {'; '.join(errors)}.") if errors else None


_READERS: dict[str, Callable[[Value], AccountUpdate | None]] = {
    "account_alerts": _alert,
    "account_review_update": _review,
    "account_settings_update": _settings,
    "account_update": _account,
    "business_capability_update": _capability,
    "message_template_components_update": read_template_text,
    "message_template_quality_update": read_template_quality,
    "message_template_status_update": read_template_status,
    "messages": _errors,
    "phone_number_name_update": _name,
    "phone_number_quality_update": _quality,
    "security": _security,
    "standby": _errors,
    "template_category_update": read_template_category,
}
