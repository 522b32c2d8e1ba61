"""Decides about messages in doubt: what begins a doubt, how long it lasts, and what becomes of its row after it. Pure.

A message is in doubt when its request may have gone out and nobody knows whether Meta took it: the answer was lost, the
sender died, or a server answered that it failed (HTTP 5xx), which it may do after it has taken a message. Meta has no
idempotency key, so the row waits for a status that brings its id back. Without one:

- A lost answer: the bot's message is sent once more, an agent's waits for a person.
- A sender that died: the same, but the bot's is sent up to three times more, since only our own deaths are counted so.
- A server that failed: it is sent again, an agent's too, since most of these were never taken; five tries in all, each
  after a longer wait. Then the bot's is given up, and an agent's waits for a person.
- A server that failed over what every message meets (a token, a block, the number's limit): sent again as often as it
  takes. The circuit breaker and the limits keep it back, and an outage uses up nobody's tries.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

from bot.delivery.row_moves import Decision, Deferred, RowMove
from bot.delivery.side_effects import SideEffect, SlowDown, TripBreaker
from bot.whatsapp.errors import Action, Scope, describe_refusal
from bot.whatsapp.graph.client import Refused, ServerFailed, Unknown
from storage.answering import AnsweringSpan
from storage.outbox import OutboxRow
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

MAX_RESENDS_AFTER_LOST_ANSWER = 1
MAX_RESENDS_AFTER_DEATHS = 3
MAX_RESENDS_AFTER_SERVER_FAILURES = 4  # five tries in all


class DoubtEnd(Enum):
    """What becomes of a row whose doubt has lasted long enough."""

    SEND_AGAIN = "send_again"
    ASK_A_PERSON = "ask_a_person"  # only an agent sends it again
    GIVE_UP = "give_up"


def begin_doubt(row: OutboxRow, answer: Unknown | ServerFailed, doubt_seconds: float) -> Decision:
    """Decides about a row that is `sending`, and of which this answer leaves open whether Meta took it."""
    if isinstance(answer, Unknown):
        why = Why(OutboxReason.ANSWER_LOST, answer.reason)
        return Decision(RowMove(OutboxStatus.UNKNOWN, why, doubt_seconds), Deferred(doubt_seconds))
    said = answer.said
    reason = OutboxReason.REFUSED if _would_meet_all(said) else OutboxReason.SERVER_FAILED
    why = Why(reason, describe_refusal(said.reason, said.code))
    seconds = max(_grow_doubt_seconds(row, doubt_seconds), said.wait_seconds)
    effects: tuple[SideEffect, ...] = ()
    if said.action is Action.STOP:
        effects = (TripBreaker(said),)
    elif said.action is Action.RETRY_AFTER:
        effects = (SlowDown(said.scope, said.wait_seconds),)
    return Decision(RowMove(OutboxStatus.UNKNOWN, why, seconds), Deferred(seconds), effects)


def end_doubt(row: OutboxRow) -> DoubtEnd:
    """Decides about a row that is in doubt, and that no status has settled in time."""
    match row.why.reason:
        case OutboxReason.REFUSED:
            return DoubtEnd.SEND_AGAIN
        case OutboxReason.SERVER_FAILED if row.resent < MAX_RESENDS_AFTER_SERVER_FAILURES:
            return DoubtEnd.SEND_AGAIN
        case _ if row.origin is Origin.AGENT:
            return DoubtEnd.ASK_A_PERSON
        case OutboxReason.SENDER_DIED if row.resent < MAX_RESENDS_AFTER_DEATHS:
            return DoubtEnd.SEND_AGAIN
        case OutboxReason.SERVER_FAILED | OutboxReason.SENDER_DIED:
            return DoubtEnd.GIVE_UP
        case _:
            return DoubtEnd.SEND_AGAIN if row.resent < MAX_RESENDS_AFTER_LOST_ANSWER else DoubtEnd.GIVE_UP


def find_doubt_end(due_at: datetime, doubt: timedelta, spans: Sequence[AnsweringSpan]) -> datetime | None:
    """Returns when the doubt ends, at the earliest, of a row that is due since `due_at`; None: it has ended. `spans`:
    when webhooks were answered without a gap, the latest last.

    Of the time before a gap nothing counts. A `due_at` that lies further ahead of a span than a doubt lasts was made by
    a clock that has been set, or is another machine's, and is not waited for.
    """
    ends_at = due_at
    for span in spans:
        begun_at = max(span.begun_at, min(due_at, span.seen_at + doubt) - doubt)
        if span.seen_at - begun_at >= doubt:
            return None
        ends_at = begun_at + doubt
    return ends_at


def _would_meet_all(said: Refused) -> bool:
    """Whether any other message would have been answered so."""
    return said.action is Action.STOP or (said.action is Action.RETRY_AFTER and said.scope is Scope.NUMBER)


def _grow_doubt_seconds(row: OutboxRow, doubt_seconds: float) -> float:
    """Twice as long after each resend. What is more than the doubt is spread by the golden ratio over the ids: what a
    storm has put off does not come back as one."""
    spread = 0.75 + row.outbox_id * 618_034 % 1_000_000 / 2_000_000
    more = 2.0 ** min(row.resent, MAX_RESENDS_AFTER_SERVER_FAILURES) - 1.0
    return doubt_seconds * (1.0 + more * spread)
