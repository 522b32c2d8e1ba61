"""What Meta tells of our account, our number and our templates becomes news for an operator.

Invariant: pure and total. A subject is the same for the same thing whatever is said of it, so that good news clears
what bad news raised; what is not understood here raises nothing.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["red", "yellow", "info", "clear"]


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What became of a template."""

    template_id: str
    name: str
    language: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """One piece of it; `clear` is good news, which ends whatever the subject's bad news was."""

    subject: str
    severity: Severity
    message: str
    template: TemplateChange | None = None


def read_news(payload: str) -> list[News]:
    """The news in the payload of an item of kind `account`."""
    return []
