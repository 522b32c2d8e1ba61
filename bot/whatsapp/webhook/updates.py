"""What a piece of news is, and how the readers of it put one together."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from bot.whatsapp.json_access import get_line
from bot.whatsapp.sanitize import clean_line

Severity = Literal["red", "yellow", "info", "clear"]
Value = dict[str, object]

MAX_DETAIL_CHARACTERS = 300  # the most that one of Meta's texts takes of a message
_SUBJECT_CAP, _MESSAGE_CAP = 200, 500
_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What became of a template."""

    template_id: str
    name: str
    language: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """One piece of it; `clear` is good news, which ends whatever the subject's bad news was."""

    subject: str
    severity: Severity
    message: str
    template: TemplateChange | None = None


def make_update(
    subject: str, severity: Severity, message: str, template: TemplateChange | None = None
) -> AccountUpdate:
    """Texts come from Meta: a subject that is too long or strange for its column becomes a hash."""
    if len(subject) > _SUBJECT_CAP or not _PLAIN.fullmatch(subject):
        kind = subject.partition(":")[0]
        subject = f"{kind}:~{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return AccountUpdate(subject, severity, clean_line(message, _MESSAGE_CAP), template)


def get_event(value: Value, key: str = "event") -> str:
    return get_line(value, key, 60).upper()


def to_words(event: str) -> str:
    return event.lower().replace("_", " ")
