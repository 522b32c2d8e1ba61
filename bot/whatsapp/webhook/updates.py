"""Defines an update about our account, number or templates, and how its readers put one together.

Invariants
- `subject` is the same for the same thing whatever is said of it, so that an update can clear the alert that an earlier
  one raised.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from bot.whatsapp.json_access import get_line
from bot.whatsapp.sanitize import clean_line

Severity = Literal["red", "yellow", "info", "clear"]  # "clear": it ends the alert of the same subject
Value = dict[str, object]  # the `value` of a change in a webhook

MAX_DETAIL_CHARACTERS = 300  # of one of Meta's texts in a message
_MAX_EVENT_CHARACTERS = 60
_MAX_SUBJECT_CHARACTERS, _MAX_MESSAGE_CHARACTERS = 200, 500  # as the columns of alerts take them
_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """The status that a template has now, as Meta's list of templates names it, and why."""

    template_id: str
    name: str
    language: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """What Meta says of our account, our number or a template, as an operator reads it."""

    subject: str
    severity: Severity
    message: str
    template: TemplateChange | None = None


def make_update(
    subject: str, severity: Severity, message: str, *, template: TemplateChange | None = None
) -> AccountUpdate:
    """Makes an update of Meta's texts: a subject that is too long or strange for its column becomes a hash."""
    if len(subject) > _MAX_SUBJECT_CHARACTERS or not _PLAIN.fullmatch(subject):
        kind = subject.partition(":")[0]
        subject = f"{kind}:~{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"
    message = clean_line(message, _MAX_MESSAGE_CHARACTERS)
    return AccountUpdate(subject=subject, severity=severity, message=message, template=template)


def get_event(value: Value, key: str = "event") -> str:
    """Returns one of Meta's constants in capitals, such as "DISABLED_UPDATE"; "" when there is none."""
    return get_line(value, key, _MAX_EVENT_CHARACTERS).upper()


def to_words(event: str) -> str:
    """Turns one of Meta's constants into words: "disabled update"."""
    return event.lower().replace("_", " ")
