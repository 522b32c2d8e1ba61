"""Defines, as values, what a decision about a row asks for beyond the row itself. Pure.

Who asked for the decision carries them out: the sender at once, a round in its transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from bot.whatsapp.errors import Scope
from bot.whatsapp.graph.client import Refused


@dataclass(frozen=True, slots=True)
class TripBreaker:
    """Nothing goes out to anybody: Meta would refuse every message so."""

    refused: Refused


@dataclass(frozen=True, slots=True)
class ResetBreaker:
    """Meta took the message, or refused it for its own sake alone: messages go out."""


@dataclass(frozen=True, slots=True)
class SlowDown:
    """Meta's rate limit was hit, of the customer or of the number, and Meta asks to wait so long."""

    scope: Scope
    seconds: float


@dataclass(frozen=True, slots=True)
class CloseWindow:
    """The customer's window was closed for what was sent at `sent_at`."""

    sent_at: datetime


@dataclass(frozen=True, slots=True)
class MarkReachable:
    """A message has arrived at the customer's phone."""


@dataclass(frozen=True, slots=True)
class MarkUnreachable:
    """Nothing gets through to the customer; `reason` is what agents read."""

    reason: str


@dataclass(frozen=True, slots=True)
class BlameTemplate:
    """Meta refused the message, sent at `sent_at`, for the template that it was made of."""

    code: int
    reason: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class AlertOperator:
    """Meta took a message and refused it afterwards, for what others would meet too."""

    code: int
    reason: str


SideEffect = (
    TripBreaker
    | ResetBreaker
    | SlowDown
    | CloseWindow
    | MarkReachable
    | MarkUnreachable
    | BlameTemplate
    | AlertOperator
)
