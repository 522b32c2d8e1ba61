"""Which message of ours a status is about, and what it changes: pure.

Invariants: a status moves its row only forward (storage/outbox.py has the table); it counts only for the customer it
came from; one that nobody knows waits, since it may have overtaken the answer to the very send that caused it. A code
in a status means what it means as an answer (whatsapp/errors.py has that table): outside of the window a message takes
another way, what may pass is tried again, a customer whom nothing reaches is marked, a template that was the trouble is
named, and what would stop the channel is told as an alert.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.templates.refusals import TemplateRefused
from bot.whatsapp.errors import Action, ErrorPolicy, Scope, classify_error, compute_backoff_seconds
from bot.whatsapp.webhook.events import read_status
from bot.whatsapp.webhook.items import IgnoredReason, MessageStatus
from storage.customers import NOBODY
from storage.journal import PendingItem
from storage.outbox import MOVES, Way
from storage.outbox_reads import SentRow
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

WAITS = timedelta(seconds=15)
ARRIVED = frozenset({OutboxStatus.DELIVERED, OutboxStatus.READ})
TEMPLATE_CODES = range(132000, 132100)
# A row with one of these that has Meta's id was refused under it, and goes out anew.
UNSENT = (OutboxStatus.QUEUED, OutboxStatus.HELD, OutboxStatus.SENDING, OutboxStatus.UNKNOWN)
MOST_WAYS = 3  # that a message takes one after the other, should Meta refuse each


@dataclass(frozen=True, slots=True)
class OtherWay:
    """A row of this customer is queued again, not to go out before `wait` is over, or held; `wamid`: what Meta refused
    it under, and `why`."""

    customer_id: int
    way: Way
    wamid: str
    why: Why
    wait: timedelta = timedelta()


@dataclass(slots=True)
class Matched:
    """What becomes of the statuses of one round."""

    advances: dict[OutboxStatus, dict[int, str]] = field(default_factory=dict)  # status -> row -> wamid
    failures: dict[int, Why] = field(default_factory=dict)  # by row
    other_ways: dict[int, OtherWay] = field(default_factory=dict)
    rerouted: set[int] = field(default_factory=set)  # customers of whom a row goes out again
    closed_windows: dict[int, datetime] = field(default_factory=dict)  # customer -> when what was refused was sent
    unreachable: dict[int, str] = field(default_factory=dict)  # customer -> why nothing gets through
    reached: set[int] = field(default_factory=set)  # customers at whom a message has arrived
    template_refusals: dict[int, TemplateRefused] = field(default_factory=dict)  # row -> what it says of its template
    stopping: dict[int, str] = field(default_factory=dict)  # code -> why; Meta would refuse others for it too
    done: list[int] = field(default_factory=list)
    ignored: dict[IgnoredReason, list[int]] = field(default_factory=dict)
    waiting: dict[int, float] = field(default_factory=dict)  # customer -> seconds until it is given up
    settled: set[int] = field(default_factory=set)  # customers of whom one came to its end


def read(items: Sequence[PendingItem]) -> list[tuple[PendingItem, MessageStatus]]:
    """The statuses, parsed."""
    return [(item, read_status(item.payload)) for item in items]


def row_ids(statuses: Sequence[tuple[PendingItem, MessageStatus]]) -> list[int]:
    """The outbox ids that they name."""
    return [int(status.opaque) for _, status in statuses if _is_id(status.opaque)]


def unnamed(statuses: Sequence[tuple[PendingItem, MessageStatus]], rows: Sequence[SentRow]) -> list[str]:
    """The wamids of those whose row was not found by the id that they name, so must be looked for by Meta's."""
    found = {row.outbox_id: row.wamid for row in rows}
    return [
        status.wamid
        for _, status in statuses
        if not _is_id(status.opaque) or found.get(int(status.opaque), "") not in (None, status.wamid)
    ]


def match(statuses: Sequence[tuple[PendingItem, MessageStatus]], rows: Sequence[SentRow], now: datetime) -> Matched:
    """Applies `statuses`, in their order, to `rows` in memory."""
    by_id = {row.outbox_id: row for row in rows}
    by_wamid = {row.wamid: row for row in rows if row.wamid}
    current = {row.outbox_id: row.status for row in rows}
    former = {row.outbox_id: row.wamid for row in rows if row.wamid and row.status in UNSENT}
    matched = Matched()
    for item, status in statuses:
        row = _row_of(item, status, by_id, by_wamid)
        if row is None:
            age = now - item.received_at
            if age < WAITS:
                rest = (WAITS - age).total_seconds()
                matched.waiting[item.customer_id] = min(rest, matched.waiting.get(item.customer_id, rest))
            else:
                matched.ignored.setdefault(IgnoredReason.UNKNOWN_MESSAGE, []).append(item.item_id)
                matched.settled.add(item.customer_id)
        elif former.get(row.outbox_id) == status.wamid:
            matched.ignored.setdefault(IgnoredReason.SUPERSEDED, []).append(item.item_id)
            matched.settled.add(item.customer_id)
        elif status.status == OutboxStatus.FAILED and _refuse(row, status, current, matched):
            former[row.outbox_id] = status.wamid
            _blame(row, status, matched)
            matched.settled.add(item.customer_id)
            matched.done.append(item.item_id)
        elif current[row.outbox_id] not in MOVES[OutboxStatus(status.status)]:
            matched.ignored.setdefault(IgnoredReason.SUPERSEDED, []).append(item.item_id)
            matched.settled.add(item.customer_id)
        else:
            matched.settled.add(item.customer_id)
            matched.done.append(item.item_id)
            _advance(row, status, current, matched)
    return matched


def _advance(row: SentRow, status: MessageStatus, current: dict[int, OutboxStatus], matched: Matched) -> None:
    reached = current[row.outbox_id] = OutboxStatus(status.status)
    for others in matched.advances.values():
        others.pop(row.outbox_id, None)
    matched.advances.setdefault(reached, {})[row.outbox_id] = status.wamid
    if reached in ARRIVED:
        matched.reached.add(row.customer_id)
        matched.unreachable.pop(row.customer_id, None)
    if reached is not OutboxStatus.FAILED:
        return
    _blame(row, status, matched)
    verdict = classify_error(status.error_code)
    matched.failures[row.outbox_id] = Why(OutboxReason.REFUSED, _why(status, verdict))
    if verdict.action is Action.RECIPIENT and verdict.scope is Scope.PAIR:
        matched.unreachable[row.customer_id] = _why(status, verdict)
        matched.reached.discard(row.customer_id)
    if verdict.action is Action.STOP and status.error_code is not None:
        matched.stopping[status.error_code] = _why(status, verdict)


def _refuse(row: SentRow, status: MessageStatus, current: dict[int, OutboxStatus], matched: Matched) -> bool:
    """Whether the message is not lost: refused for the closed window, it takes another way; what a template could not
    carry waits for the customer; and what may pass is tried again, a prompt too."""
    verdict = classify_error(status.error_code)
    passes = status.error_code is not None and verdict.action in (Action.RETRY, Action.RETRY_AFTER)
    if verdict.action is Action.TEMPLATE:
        sent_at = row.marked_at or status.at
        matched.closed_windows[row.customer_id] = max(sent_at, matched.closed_windows.get(row.customer_id, sent_at))
        way: Way = OutboxStatus.QUEUED
    elif passes:
        way = OutboxStatus.QUEUED
    elif status.error_code in TEMPLATE_CODES:
        way = OutboxStatus.HELD
    else:
        return False
    if (
        (row.origin is Origin.PROMPT and not passes)
        or row.refusals >= MOST_WAYS
        or current[row.outbox_id] not in MOVES[way] - {way}
    ):
        return False
    current[row.outbox_id] = way
    for others in matched.advances.values():
        others.pop(row.outbox_id, None)
    wait = timedelta(seconds=compute_backoff_seconds(verdict, row.refusals))
    why = Why(OutboxReason.REFUSED, _why(status, verdict))
    matched.other_ways[row.outbox_id] = OtherWay(row.customer_id, way, status.wamid, why, wait)
    matched.rerouted.add(row.customer_id)
    return True


def _blame(row: SentRow, status: MessageStatus, matched: Matched) -> None:
    """A template's trouble is told of the template too."""
    code, verdict = status.error_code, classify_error(status.error_code)
    if code is not None and code in TEMPLATE_CODES and verdict.action is Action.DROP:
        refused = TemplateRefused(code, verdict.reason, status.at, row.marked_at or status.at)
        matched.template_refusals.setdefault(row.outbox_id, refused)


def _why(status: MessageStatus, verdict: ErrorPolicy) -> str:
    """For the agent beside the message: the code, our sentence, and Meta's own words, which may say more."""
    if status.error_code is None:
        return status.error_text
    said = f" ({status.error_text})" if status.error_text else ""
    return f"{status.error_code}: {verdict.reason}{said}"


def _row_of(
    item: PendingItem, status: MessageStatus, by_id: dict[int, SentRow], by_wamid: dict[str, SentRow]
) -> SentRow | None:
    named = by_id.get(int(status.opaque)) if _is_id(status.opaque) else None
    if named is not None and named.wamid not in (None, status.wamid) and named.status not in UNSENT:
        named = None
    row = named or by_wamid.get(status.wamid)
    if row is None or item.customer_id not in (NOBODY, row.customer_id):
        return None
    if item.customer_id == NOBODY and row is named and row.wamid != status.wamid:
        return None  # a stranger's word that this row went out is not enough: any id can be written there
    return row


def _is_id(opaque: str) -> bool:
    return opaque.isascii() and opaque.isdecimal() and len(opaque) < 20 and int(opaque) < 1 << 63
