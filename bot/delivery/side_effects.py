"""Defines, as values, what a decision about a row asks for beyond the row itself. Pure.

Who asked for the decision carries them out: the sender at once, a round in its transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from bot.whatsapp.errors import Scope
from bot.whatsapp.graph.client import Refused


@dataclass(frozen=True, slots=True)
class TripBreaker:
    """Trips the circuit breaker: Meta would refuse every message as it did this one."""

    refused: Refused


@dataclass(frozen=True, slots=True)
class ResetBreaker:
    """Resets the circuit breaker: Meta took the message, or refused it for its own sake alone, so messages go out."""


@dataclass(frozen=True, slots=True)
class SlowDown:
    """Makes what `scope` names (the customer, or our number) wait for so many seconds, because Meta's rate limit was
    hit."""

    scope: Scope
    seconds: float


@dataclass(frozen=True, slots=True)
class CloseWindow:
    """Closes the customer's window: Meta says that it was closed for what was sent at `sent_at`."""

    sent_at: datetime


@dataclass(frozen=True, slots=True)
class MarkReachable:
    """Notes that a message has arrived at the customer's phone."""


@dataclass(frozen=True, slots=True)
class MarkUnreachable:
    """Notes that nothing gets through to the customer; `reason` is what agents read."""

    reason: str


@dataclass(frozen=True, slots=True)
class BlameTemplate:
    """Notes that Meta refused the message, sent at `sent_at`, for the template that it was made of."""

    code: int
    reason: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class AlertOperator:
    """Alerts an operator: Meta took a message and refused it afterwards, for what other messages would meet too."""

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
