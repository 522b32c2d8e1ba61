"""Decides what an answer of Meta's, or a status that it sends long after, means for a row of the outbox. Pure.

The sender asks about answers, the matching of statuses about statuses, and whoever asked writes what was decided. What
an error code asks for is in one table, whatsapp/errors.py, and means the same in both. An answer of HTTP 5xx is no
refusal, whatever its code: it begins a doubt (doubt.py). Answers below that and statuses differ in this alone:

- What stops all sending trips the circuit breaker when it is an answer. In a status it raises an alert and stops
  nothing, since Meta takes the next message all the same and refuses it as late; this one is lost.
- A row that may go out again counts a refusal each time. It is lost after MAX_REFUSALS by answers, and after
  MAX_REFUSALS_FOR_STATUS by statuses: the customer has waited for each of those sends.
- A rate limit that is an answer slows the sender down, has the row wait as often as it takes, and counts as no refusal
  when it is the number's. In a status it is one refusal like another.
- A closed window that is an answer queues the row, which then finds its window closed. A status closes the window
  whatever has become of the row, and queues it for another try by a template; a prompt is lost.
- An answer blames the template when the message was one, unless it is the recipient whom nothing reaches, and holds the
  row. A row does not record as what it went out, so a status blames by the code alone, and holds the row while it has
  tries left; a prompt is lost.
- A status without a code says nothing but that the message is lost.

Of a send that is over, since its row was put back after it, only that it has arrived counts: Meta may take a failure
back, and what has arrived is not sent again. Nor does a refusal count while nothing of the row is on its way.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.delivery.doubt import begin_doubt
from bot.delivery.row_moves import Decision, Deferred, RowMove
from bot.delivery.side_effects import (
    AlertOperator,
    BlameTemplate,
    CloseWindow,
    MarkReachable,
    MarkUnreachable,
    ResetBreaker,
    SideEffect,
    SlowDown,
    TripBreaker,
)
from bot.media.uploader import UploadFailed
from bot.whatsapp.errors import Action, Scope, classify_error, compute_backoff_seconds, describe_refusal
from bot.whatsapp.graph.client import Accepted, NotSent, Outcome, Refused, ServerFailed, Unknown
from bot.whatsapp.webhook.items import MessageStatus
from storage.outbox import MOVES, OutboxRow
from storage.outbox_reads import SentRow
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

WINDOW_CLOSED = Why(OutboxReason.WINDOW_CLOSED)
MOMENTARY_TYPES = ("reaction", "location_request", "contact_request")  # worth nothing later
ARRIVED = (OutboxStatus.DELIVERED, OutboxStatus.READ)
WAITING = (OutboxStatus.QUEUED, OutboxStatus.HELD)  # nothing of such a row is on its way
TEMPLATE_CODES = range(132000, 132100)
RECIPIENT_CODES = (131021, 131030)  # our own number, or one that a test number may not write to: no template's fault
MAX_REFUSALS = 5
MAX_REFUSALS_FOR_STATUS = 3  # the customer has waited for each of these sends already
FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0


class Row(Protocol):
    """What a refusal is judged by: an OutboxRow, or a SentRow."""

    @property
    def origin(self) -> Origin: ...
    @property
    def refusals(self) -> int: ...


ACCEPTED = Decision(RowMove(OutboxStatus.ACCEPTED), effects=(ResetBreaker(),))
SUPERSEDED = Decision(None)
REPORTED = {
    OutboxStatus.SENT: Decision(RowMove(OutboxStatus.SENT)),
    OutboxStatus.DELIVERED: Decision(RowMove(OutboxStatus.DELIVERED), effects=(MarkReachable(),)),
    OutboxStatus.READ: Decision(RowMove(OutboxStatus.READ), effects=(MarkReachable(),)),
}


def decide_answer(
    row: OutboxRow, answer: Outcome, sent_at: datetime, *, is_template: bool, doubt_seconds: float
) -> Decision:
    """Decides about a row that is `sending` since `sent_at`, once its request has ended."""
    match answer:
        case Accepted():
            return ACCEPTED
        case Unknown() | ServerFailed():
            return begin_doubt(row, answer, doubt_seconds)
        case NotSent(reason=reason):
            return _queue_again(Why(OutboxReason.NOT_SENT, reason), _compute_backoff_seconds(row))
        case Refused():
            blames_template = is_template and answer.code not in RECIPIENT_CODES
            return _decide_refusal(_Refusal(row=row, refused=answer, sent_at=sent_at, blames_template=blames_template))


def decide_status(row: SentRow, status: MessageStatus, current: OutboxStatus, *, is_over: bool = False) -> Decision:
    """Decides about a row that a status is about, and that is `current` by now. `is_over`: it is about an earlier send
    of the row than the latest."""
    reported = OutboxStatus(status.status)
    if is_over and reported not in ARRIVED:
        return SUPERSEDED
    if reported is not OutboxStatus.FAILED:
        return REPORTED[reported] if current in MOVES[reported] else SUPERSEDED
    verdict = classify_error(status.error_code)
    refused = Refused(
        code=status.error_code,
        action=verdict.action,
        wait_seconds=verdict.wait_seconds,
        reason=verdict.reason,
        detail=status.error_text,
        scope=verdict.scope,
    )
    return _decide_refusal(
        _Refusal(
            row=row,
            refused=refused,
            sent_at=row.marked_at or status.at,
            blames_template=status.error_code in TEMPLATE_CODES,
            current=current,
            is_late=True,
        )
    )


def decide_failed_upload(row: OutboxRow, failed: UploadFailed) -> Decision:
    """Decides about a queued row whose file Meta has not got: there was no request."""
    seconds, why = failed.retry_seconds, Why(OutboxReason.NOT_UPLOADED, failed.reason)
    if seconds is None or (failed.refused and row.refusals >= MAX_REFUSALS):
        return Decision(RowMove(OutboxStatus.FAILED, why))
    if failed.refused:
        return _queue_again(why, seconds * 2.0**row.refusals, refusals=1)
    return _queue_again(why, seconds)


def decide_closed_window(row: OutboxRow, message_type: object, why: Why) -> Decision:
    """Decides about a queued row whose window is closed, and which no template carries for this reason.

    What belongs to a moment fails: a prompt too, since the customer's next message gets its own. Anything else is held.
    """
    if row.origin is Origin.PROMPT or message_type in MOMENTARY_TYPES:
        return Decision(RowMove(OutboxStatus.FAILED, WINDOW_CLOSED, unless_open=True))
    return Decision(RowMove(OutboxStatus.HELD, why, unless_open=True, unless_carried=True))


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Meta's refusal of one row, which is `current` by now. `is_late`: it came in a status."""

    row: Row
    refused: Refused
    sent_at: datetime
    blames_template: bool
    current: OutboxStatus = OutboxStatus.SENDING
    is_late: bool = False

    @property
    def text(self) -> str:
        """What an agent reads beside the message: what was wrong, and Meta's code for it."""
        if self.is_late and self.refused.code is None:
            return self.refused.detail
        return describe_refusal(self.refused.reason, self.refused.code, self._words)

    @property
    def sentence(self) -> str:
        """What was wrong, without the code."""
        return describe_refusal(self.refused.reason, None, self._words)

    @property
    def _words(self) -> str:
        """Meta's own words, where they say more than ours: of a status, or of a template's fault."""
        is_explained = self.is_late or (self.blames_template and self.refused.action is Action.DROP)
        return self.refused.detail if is_explained else ""

    def may_become(self, status: OutboxStatus) -> bool:
        """Whether the row has another try left, and can still take this way."""
        most = MAX_REFUSALS_FOR_STATUS if self.is_late else MAX_REFUSALS
        return self.row.refusals < most and self.current in MOVES[status] - {status}


def _decide_refusal(refusal: _Refusal) -> Decision:
    move = _choose_move(refusal)
    effects = _list_effects(refusal, move)
    if refusal.current not in MOVES[move.status] or refusal.current in WAITING:
        # the window was closed for the customer, whatever has become of the row
        return Decision(None, effects=tuple(effect for effect in effects if isinstance(effect, CloseWindow)))
    if move.status is not OutboxStatus.QUEUED:
        return Decision(move, effects=effects)
    return Decision(move, Deferred(compute_backoff_seconds(refusal.refused, refusal.row.refusals)), effects)


def _choose_move(refusal: _Refusal) -> RowMove:
    refused, row, is_late = refusal.refused, refusal.row, refusal.is_late
    why = Why(OutboxReason.REFUSED, refusal.text)
    wait_seconds = compute_backoff_seconds(refused, row.refusals)
    is_lost_prompt = is_late and row.origin is Origin.PROMPT
    match refused.action:
        case _ if is_late and refused.code is None:
            pass
        case Action.STOP if not is_late:
            return RowMove(OutboxStatus.QUEUED, why)
        case Action.RETRY if refusal.may_become(OutboxStatus.QUEUED):
            return RowMove(OutboxStatus.QUEUED, why, wait_seconds, refusals=1)
        case Action.RETRY_AFTER if not is_late or refusal.may_become(OutboxStatus.QUEUED):
            counts = is_late or refused.scope is not Scope.NUMBER
            return RowMove(OutboxStatus.QUEUED, why, wait_seconds, refusals=1 if counts else 0)
        case Action.TEMPLATE if refusal.may_become(OutboxStatus.QUEUED) and not is_lost_prompt:
            return RowMove(OutboxStatus.QUEUED, why if is_late else WINDOW_CLOSED, wait_seconds, refusals=1)
        case Action.DROP if refusal.blames_template and not is_lost_prompt:
            if not is_late or refusal.may_become(OutboxStatus.HELD):
                return RowMove(OutboxStatus.HELD, why, refusals=1, unless_open=True)
    return RowMove(OutboxStatus.FAILED, why)


def _list_effects(refusal: _Refusal, move: RowMove) -> tuple[SideEffect, ...]:
    """Lists what the refusal means beyond its row."""
    refused, is_late = refusal.refused, refusal.is_late
    # what is to be retried may come from a server on the way that knows nothing of us
    effects: list[SideEffect] = [] if is_late or refused.action in (Action.STOP, Action.RETRY) else [ResetBreaker()]
    match refused.action:
        case Action.STOP:
            effects.append(AlertOperator(refused.code or 0, refusal.text) if is_late else TripBreaker(refused))
        case Action.RETRY_AFTER if not is_late and move.due_seconds is not None:
            effects.append(SlowDown(refused.scope, move.due_seconds))
        case Action.TEMPLATE if is_late or move.status is OutboxStatus.QUEUED:
            effects.append(CloseWindow(refusal.sent_at))
        case Action.RECIPIENT if refused.scope is Scope.PAIR:
            effects.append(MarkUnreachable(refusal.text))
        case Action.DROP if refusal.blames_template:
            effects.append(BlameTemplate(refused.code or 0, refusal.sentence, refusal.sent_at))
    return tuple(effects)


def _queue_again(why: Why, seconds: float, refusals: int = 0) -> Decision:
    return Decision(RowMove(OutboxStatus.QUEUED, why, seconds, refusals), Deferred(seconds))


def _compute_backoff_seconds(row: OutboxRow) -> float:
    """Doubles with each attempt, and is spread by the golden ratio over the ids: a recovery is no stampede."""
    spread = 0.75 + row.outbox_id * 618_034 % 1_000_000 / 2_000_000
    return spread * min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(row.attempts, 10))
