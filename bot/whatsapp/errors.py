"""Says what each error code of the Graph API means for the message it came for: the only table of it.

Invariants
- The code alone decides. It may come as the answer to a send or in a status long after; HTTP statuses differ for the
  same code, and Meta's own words are in the language of the account.
- A reason is read by an agent beside the message that did not go out, so it says what happened and whose move it is.
- `wait_seconds` is the wait after the first refusal, and `compute_backoff_seconds` says how it grows. For what stops
  all sending it is the time until one message may go out to see whether it was fixed.

Source: Meta, support/error-codes.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol


class Action(StrEnum):
    """What is done with a message that Meta refused."""

    RETRY = "retry"  # a few times, with a growing wait
    RETRY_AFTER = "retry_after"  # a limit was hit: not before the wait is over
    TEMPLATE = "template"  # only a template may go out now
    DROP = "drop"  # this message can't go out as it is
    RECIPIENT = "recipient"  # nothing goes out to this customer
    STOP = "stop"  # nothing goes out at all until somebody fixes it


class Scope(StrEnum):
    """How much has to wait with the message that was refused."""

    ROW = "row"  # nothing else
    PAIR = "pair"  # everything to this customer
    NUMBER = "number"  # everything that this number sends goes more slowly
    CHANNEL = "channel"  # nothing goes out


class ErrorPolicy(NamedTuple):
    """What one error code means: what to do, after how many seconds, and the sentence for agents."""

    action: Action
    wait_seconds: float
    reason: str
    scope: Scope = Scope.ROW


def _retry(reason: str, wait_seconds: float = 5) -> ErrorPolicy:
    return ErrorPolicy(Action.RETRY, wait_seconds, reason)


def _retry_after(wait_seconds: float, reason: str, scope: Scope = Scope.NUMBER) -> ErrorPolicy:
    return ErrorPolicy(Action.RETRY_AFTER, wait_seconds, reason, scope=scope)


def _drop(reason: str) -> ErrorPolicy:
    return ErrorPolicy(Action.DROP, 0, reason)


def _drop_recipient(reason: str, scope: Scope = Scope.PAIR) -> ErrorPolicy:
    return ErrorPolicy(Action.RECIPIENT, 0, reason, scope=scope)


def _stop(reason: str, probe_seconds: float = 60) -> ErrorPolicy:
    return ErrorPolicy(Action.STOP, probe_seconds, reason, scope=Scope.CHANNEL)


_TOKEN = "The access token is missing, expired or revoked. Make a new one in Meta's Business settings."  # noqa: S105
_PERMISSION = "The access token does not have the permission for this. It needs whatsapp_business_messaging."
_LIMIT = "Meta's limit for calls is reached. Sending goes on when it is over."
_BUSY = "Meta's servers could not take it just now."
_BUG = "Meta did not accept the form of this message. This is a fault of the program: please report it."
_TEMPLATE = "The template does not fit what Meta has on file: compare its name, language and parameters there."
_GROUPS = "Messages in groups are not supported."
_ACCOUNT = "Meta has restricted or locked the WhatsApp account. See the Account Quality page of the Business manager."
_REGISTER = "The phone number is not registered with the Cloud API. Register it again."
_PIN = "The two-step verification PIN is wrong, or the phone number must be verified first."
_SETUP = "This belongs to the setting up of the number, and says nothing about this message."

ERROR_POLICIES: Mapping[int, ErrorPolicy] = MappingProxyType(
    {
        0: _stop(_TOKEN, 5),
        1: _retry("Meta could not say what was wrong."),
        2: _retry(_BUSY),
        3: _stop(_PERMISSION),
        4: _retry_after(60, _LIMIT),
        10: _stop(_PERMISSION),
        17: _retry_after(60, _LIMIT),
        33: _stop("Meta knows nothing under this id, or the token may not use it. Check WHATSAPP_PHONE_NUMBER_ID."),
        100: _drop(_BUG),
        104: _stop(_TOKEN, 5),
        190: _stop(_TOKEN, 5),
        368: _stop(_ACCOUNT, 300),
        613: _retry_after(60, _LIMIT),
        80007: _retry_after(300, _LIMIT),
        130403: _drop_recipient("This customer is blocked by your business on WhatsApp."),
        130429: _retry_after(1, "Too many messages at once from this number. Sending goes on more slowly."),
        130472: _drop("Meta holds this message back: the customer is part of one of its experiments."),
        130497: _drop_recipient("Your account may not write to customers in this country. See Meta's rules for it."),
        130501: _drop(_GROUPS),
        131000: _retry("Something went wrong on Meta's side."),
        131005: _stop(_PERMISSION),
        131008: _drop(_BUG),
        131009: _drop("Meta did not accept a value in it, such as what fills a template or a message that is too old."),
        131016: _retry(_BUSY),
        131020: _drop(_GROUPS),
        131021: _drop("A number can't write to itself."),
        131026: _drop_recipient("Can't be delivered: not on WhatsApp, too old a version of it, or you are blocked."),
        131030: _drop("Your test number may write only to the numbers on its list in Meta's dashboard."),
        131031: _stop(_ACCOUNT, 300),
        131037: _stop(
            "The display name of your number is not approved yet. Ask for its approval in WhatsApp Manager.", 300
        ),
        131041: _drop(_GROUPS),
        131042: _stop("There is a problem with the payment method of the WhatsApp account.", 300),
        131045: _stop(_REGISTER),
        131047: ErrorPolicy(
            Action.TEMPLATE, 0, "More than 24 hours since the customer wrote: only a template may go out."
        ),
        131048: _stop("Meta limits this number: customers blocked or reported it. Wait some hours.", 3600),
        131049: _drop("Meta held this message back to spare the customer. Not before 24 hours from now."),
        131050: _drop_recipient(
            "The customer does not want marketing messages from you: send no more of them.", Scope.ROW
        ),
        131051: _drop("Meta does not support this kind of message."),
        131052: _drop("Meta could not fetch the customer's file. Ask them to send it again."),
        131053: _drop("Meta could not take our file: check its type and size."),
        131056: _retry_after(
            1, "Too many messages to this customer in a short time. Sending goes on in a moment.", Scope.PAIR
        ),
        131057: _retry_after(60, "The account is in maintenance at Meta for a minute."),
        131059: _drop(_GROUPS),
        131060: _drop("WhatsApp could not show us this message. Ask the customer to send it again."),
        131062: _drop("This message needs the customer's phone number, and WhatsApp gives us only their user id."),
        131063: _drop("Marketing templates are switched off for this account."),
        131064: _stop("The account is limited because templates had the wrong category.", 3600),
        132000: _drop(_TEMPLATE),
        132001: _drop(_TEMPLATE),
        132005: _drop("The template is too long with these parameters."),
        132007: _drop("The template breaks one of Meta's rules."),
        132008: _drop(_TEMPLATE),
        132012: _drop(_TEMPLATE),
        132015: _drop("Meta has paused this template for its low quality. Use another."),
        132016: _drop("Meta has disabled this template for good. Use another."),
        132018: _drop("A parameter of the template holds what it may not, such as a line break."),
        132068: _drop("Meta has blocked this form."),
        132069: _retry("Meta slows this form down.", 60),
        133000: _stop("An earlier deregistration of the number was not finished. Deregister it again."),
        133004: _retry(_BUSY),
        133005: _stop(_PIN),
        133006: _stop(_PIN),
        133008: _retry_after(3600, "Too many wrong PINs. Wait."),
        133009: _retry_after(60, "The PIN was entered too fast. Wait a moment."),
        133010: _stop(_REGISTER),
        133015: _retry_after(300, "The number was deleted a moment ago. Wait five minutes."),
        133016: _stop("The number was registered too often. Wait 72 hours.", 3600),
        134011: _drop("The terms of WhatsApp payments are not accepted."),
        134100: _drop("Only marketing messages may take this way."),
        134101: _drop(_TEMPLATE),
        134102: _drop(_TEMPLATE),
        135000: _drop("Meta did not accept this message and did not say why."),
        137000: _drop_recipient("The customer's phone or app has changed. Make sure it is still them."),
        2494100: _retry_after(60, "The number is in maintenance at Meta."),
    }
)

_POLICIES_OF_RANGES: tuple[tuple[range, ErrorPolicy], ...] = (
    (range(200, 300), _stop(_PERMISSION)),
    (range(131200, 131300), _drop(_GROUPS)),
    (range(138000, 139000), _drop("Calls are not supported.")),
    (range(139100, 139200), _drop("Meta could not block or unblock this customer.")),
    (range(147001, 147006), _drop(_SETUP)),
    (range(2388000, 2389000), _drop(_SETUP)),
)


_MAX_WAIT_SECONDS: Final = 3600.0
_MAX_PAIR_WAIT_SECONDS: Final = 300.0  # a burst of 45 is paid back in 270 s


class Backoff(Protocol):
    """What a backoff is computed from: an ErrorPolicy, or what was made of one and the response's headers."""

    @property
    def action(self) -> Action: ...
    @property
    def wait_seconds(self) -> float: ...
    @property
    def scope(self) -> Scope: ...


def compute_backoff_seconds(refused: Backoff, refusals: int) -> float:
    """Returns the seconds until a refused message may be tried again, after `refusals` refusals before this one.

    A retry waits twice as long each time, the pair limit four times as Meta asks (1, 4, 16 ... s). The number's own
    limits and the probes of stopped sending keep the wait that is stated: it is others who used them up.
    """
    growth = {Action.RETRY: 2.0, Action.RETRY_AFTER: 4.0 if refused.scope is Scope.PAIR else 1.0, Action.STOP: 1.0}
    if refused.action not in growth:
        return 0.0
    longest = _MAX_PAIR_WAIT_SECONDS if refused.scope is Scope.PAIR else _MAX_WAIT_SECONDS
    grown = min(longest, refused.wait_seconds * growth[refused.action] ** min(refusals, 20))
    return min(_MAX_WAIT_SECONDS, max(refused.wait_seconds, grown))


def describe_refusal(reason: str, code: int | None, detail: str = "") -> str:
    """Says why Meta refused something: our sentence first, then Meta's code and words, as far as there are any."""
    said = ": ".join(part for part in ("" if code is None else f"Meta's code {code}", detail) if part)
    return f"{reason.rstrip('.')} ({said})." if said else reason


def classify_error(code: int | None, http_status: int = 0, is_transient: bool = False) -> ErrorPolicy:
    """Returns what an error means. A status has no `http_status`; a response without a code has None for it.

    A code that nobody knows is tried again when Meta says so or answered 5xx, and else given up: repeating what was
    refused for an unknown reason can only make it worse.
    """
    if code is not None and code in ERROR_POLICIES:
        return ERROR_POLICIES[code]
    if code is not None:
        for codes, policy in _POLICIES_OF_RANGES:
            if code in codes:
                return policy
    if http_status == 429:
        return _retry_after(60, _LIMIT)
    if is_transient or http_status >= 500:
        return _retry(_BUSY)
    if code is None:
        return _retry(f"Something between us and Meta answered HTTP {http_status} in its place.", 30)
    return _drop(f"Meta refused it with an error this version does not know ({code}).")
