"""Defines, as values, what is decided about a row of the outbox. Pure."""

from dataclasses import dataclass

from bot.delivery.side_effects import SideEffect
from storage.statuses import NO_REASON, OutboxStatus, Why


@dataclass(frozen=True, slots=True)
class RowMove:
    """The move that a row is to make. `due_seconds`: from now on, None: it is due at once; `refusals`: how many more it
    counts. With `unless_open` it is queued instead where the customer's window turns out to be open, and with
    `unless_carried` where a template turns out to carry it."""

    status: OutboxStatus
    why: Why = NO_REASON
    due_seconds: float | None = None
    refusals: int = 0
    unless_open: bool = False
    unless_carried: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """The row and those behind it have to wait: the lane has nothing to send for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What Meta's word means for one row. `move`: None when it stays where it is; `deferred`: None when the rows behind
    it may go out; `effects`: what it means beyond the row."""

    move: RowMove | None
    deferred: Deferred | None = None
    effects: tuple[SideEffect, ...] = ()
