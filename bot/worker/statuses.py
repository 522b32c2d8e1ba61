"""Matches Meta's statuses with the rows of the outbox, and gathers what they change. Pure.

Invariants
- What a status means for its row is decided in bot/delivery/decision.py, together with what an answer means.
- A status moves its row only forward; storage/outbox.py has the table.
- Any id that Meta ever gave to a row finds it. What has arrived under one settles it; nothing else that is said of an
  earlier send is a word on the latest.
- A status counts only for the customer whom it came from.
- A status of a message that nobody knows waits for MAX_WAIT: it may have overtaken the answer to the send it is about.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bot.delivery.decision import ARRIVED, decide_status
from bot.delivery.row_moves import Decision, RowMove
from bot.delivery.side_effects import AlertOperator, BlameTemplate, CloseWindow, MarkReachable, MarkUnreachable
from bot.templates.refusals import ReportedRefusal
from bot.whatsapp.webhook.events import read_status
from bot.whatsapp.webhook.items import IgnoredReason, MessageStatus
from storage.customers import NOBODY
from storage.journal import PendingItem
from storage.outbox_reads import SentRow
from storage.statuses import OutboxStatus, Why

MAX_WAIT = timedelta(seconds=15)
# A row with one of these that has Meta's id was refused under it, and goes out anew.
UNSENT = (OutboxStatus.QUEUED, OutboxStatus.HELD, OutboxStatus.SENDING, OutboxStatus.UNKNOWN)

StatusItem = tuple[PendingItem, MessageStatus]  # an item of the journal, and what it says


class Reroute(NamedTuple):
    """What Meta took as `wamid` and refused afterwards goes out again, or is held: a row of this customer, which had
    been sent `attempts` times."""

    customer_id: int
    wamid: str
    move: RowMove
    attempts: int


@dataclass(slots=True)
class MatchedStatuses:
    """What becomes of the statuses of one round, to be written in bulk."""

    advances: dict[OutboxStatus, dict[int, str]] = field(default_factory=dict)  # new status -> row -> wamid
    failures: dict[int, Why] = field(default_factory=dict)  # row -> why it failed
    reroutes: dict[int, Reroute] = field(default_factory=dict)  # by row
    rerouted: set[int] = field(default_factory=set)  # the customers of these rows
    closed_windows: dict[int, datetime] = field(default_factory=dict)  # customer -> when what was refused was sent
    unreachable: dict[int, str] = field(default_factory=dict)  # customer -> why nothing gets through
    reached: set[int] = field(default_factory=set)  # customers at whom a message has arrived
    template_refusals: dict[int, ReportedRefusal] = field(default_factory=dict)  # row -> what it says of its template
    alerts: dict[int, str] = field(default_factory=dict)  # code -> why; Meta would refuse others for it too
    done: list[int] = field(default_factory=list)  # items
    ignored: dict[IgnoredReason, list[int]] = field(default_factory=dict)  # items by reason
    waiting: dict[int, float] = field(default_factory=dict)  # customer -> seconds until a status is given up
    settled: set[int] = field(default_factory=set)  # customers of whom a status came to its end

    row_owners: dict[int, int] = field(default_factory=dict)  # row -> customer
    item_owners: dict[int, int] = field(default_factory=dict)  # item -> customer of its row, or its own

    def drop(self, customer_ids: Set[int]) -> None:
        """Leaves out what concerns these customers: their statuses stay pending."""
        rows = {row_id for row_id, customer_id in self.row_owners.items() if customer_id in customer_ids}
        items = {item_id for item_id, customer_id in self.item_owners.items() if customer_id in customer_ids}
        by_row: list[dict[int, Any]] = [*self.advances.values(), self.failures, self.reroutes, self.template_refusals]
        for found in by_row:
            for row_id in rows & found.keys():
                del found[row_id]
        for customer_id in customer_ids:
            self.closed_windows.pop(customer_id, None)
            self.unreachable.pop(customer_id, None)
        self.rerouted -= customer_ids
        self.reached -= customer_ids
        self.done = [item_id for item_id in self.done if item_id not in items]
        self.ignored = {
            reason: left
            for reason, ids in self.ignored.items()
            if (left := [item_id for item_id in ids if item_id not in items])
        }

    def wait(self, item: PendingItem, seconds: float) -> None:
        """Leaves a status pending, for so many seconds at most."""
        self.waiting[item.customer_id] = min(seconds, self.waiting.get(item.customer_id, seconds))

    def ignore(self, item: PendingItem, reason: IgnoredReason) -> None:
        """Closes a status without any effect on its row."""
        self.ignored.setdefault(reason, []).append(item.item_id)
        self.item_owners.setdefault(item.item_id, item.customer_id)
        self.settled.add(item.customer_id)

    def apply(self, item: PendingItem, row: SentRow, status: MessageStatus, decision: Decision) -> None:
        """Closes a status with what was decided about its row."""
        self.row_owners[row.outbox_id] = self.item_owners[item.item_id] = row.customer_id
        for effect in decision.effects:
            match effect:
                case MarkReachable():
                    self.reached.add(row.customer_id)
                    self.unreachable.pop(row.customer_id, None)
                    self.template_refusals.pop(row.outbox_id, None)
                case MarkUnreachable(reason=reason):
                    self.unreachable[row.customer_id] = reason
                    self.reached.discard(row.customer_id)
                case CloseWindow(sent_at=sent_at):
                    latest = self.closed_windows.get(row.customer_id, sent_at)
                    self.closed_windows[row.customer_id] = max(sent_at, latest)
                case BlameTemplate(code=code, reason=reason, sent_at=sent_at):
                    refused = ReportedRefusal(code, reason, status.at, sent_at)
                    self.template_refusals.setdefault(row.outbox_id, refused)
                case AlertOperator(code=code, reason=reason):
                    self.alerts[code] = reason
        if decision.move is None:
            self.ignore(item, IgnoredReason.SUPERSEDED)
            return
        self._move(row, status.wamid, decision.move)
        self.done.append(item.item_id)
        self.settled.add(item.customer_id)

    def _move(self, row: SentRow, wamid: str, move: RowMove) -> None:
        for rows in self.advances.values():
            rows.pop(row.outbox_id, None)
        self.reroutes.pop(row.outbox_id, None)
        if move.status in UNSENT:
            self.reroutes[row.outbox_id] = Reroute(row.customer_id, wamid, move, row.attempts)
            self.rerouted.add(row.customer_id)
            return
        self.advances.setdefault(move.status, {})[row.outbox_id] = wamid
        if move.status is OutboxStatus.FAILED:
            self.failures[row.outbox_id] = move.why


def read_statuses(items: Sequence[PendingItem]) -> list[StatusItem]:
    """Parses status items."""
    return [(item, read_status(item.payload)) for item in items]


def list_row_ids(statuses: Sequence[StatusItem]) -> list[int]:
    """The outbox ids that the statuses name."""
    return [int(status.opaque) for _, status in statuses if _is_id(status.opaque)]


def list_unfound_wamids(statuses: Sequence[StatusItem], rows: Sequence[SentRow]) -> list[str]:
    """The wamids of those statuses whose row is not among `rows`, found by the ids that they name."""
    known = frozenset[str]().union(*(row.wamids for row in rows))
    unnamed = {str(row.outbox_id) for row in rows if row.wamid is None}
    return [status.wamid for _, status in statuses if status.wamid not in known and status.opaque not in unnamed]


def match_statuses(statuses: Sequence[StatusItem], rows: Sequence[SentRow], now: datetime) -> MatchedStatuses:
    """Decides about `statuses`, in their order, each on what the ones before made of its row."""
    by_id = {row.outbox_id: row for row in rows}
    by_wamid = {wamid: row for row in rows for wamid in row.wamids}
    current = {row.outbox_id: row.status for row in rows}
    over = {row.outbox_id: set(row.wamids if row.status in UNSENT else row.earlier) for row in rows}
    matched = MatchedStatuses()
    for item, status in statuses:
        row = _find_row(item, status, by_id, by_wamid)
        if row is None:
            if (left := count_wait_left(item, now)) > 0:
                matched.wait(item, left)
            else:
                matched.ignore(item, IgnoredReason.UNKNOWN_MESSAGE)
            continue
        is_over = status.wamid in over[row.outbox_id]
        decision = decide_status(row, status, current[row.outbox_id], is_over=is_over)
        if decision.move is not None:
            current[row.outbox_id] = decision.move.status
            if decision.move.status in UNSENT:
                over[row.outbox_id].add(status.wamid)
        matched.apply(item, row, status, decision)
    return matched


def count_wait_left(item: PendingItem, now: datetime) -> float:
    """Returns for how many seconds more an item may wait for the message that it is about; none for one that came at an
    instant which is yet to come, since the clock was put back meanwhile."""
    left = MAX_WAIT - (now - item.received_at)
    return 0.0 if left > 2 * MAX_WAIT else min(left, MAX_WAIT).total_seconds()


def _find_row(
    item: PendingItem, status: MessageStatus, by_id: dict[int, SentRow], by_wamid: dict[str, SentRow]
) -> SentRow | None:
    """Finds the row by Meta's id, or by our own that the status brings back, where it may be about a send of which
    Meta's answer was not heard."""
    row = by_wamid.get(status.wamid)
    named = by_id.get(int(status.opaque)) if row is None and _is_id(status.opaque) else None
    # who was named otherwise is not waiting for an answer; but what has arrived is this row's, sent when in doubt
    if named is not None and (named.wamid is None or named.status in UNSENT or status.status in ARRIVED):
        row = named
    if row is None or item.customer_id not in (NOBODY, row.customer_id):
        return None
    if item.customer_id == NOBODY and row is named:
        return None  # a stranger's word that this row went out is not enough: any id can be written there
    return row


def _is_id(opaque: str) -> bool:
    return opaque.isascii() and opaque.isdecimal() and len(opaque) < 20 and int(opaque) < 1 << 63
