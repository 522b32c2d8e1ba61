"""Reads what a round needs to know before its turns are played.

Invariants
- Nothing here is locked. What the turns rest on is checked again behind the fence (round_transaction.py).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.whatsapp.webhook.items import ItemKind
from bot.worker import parking
from bot.worker.turns import EventOrError
from storage import fence, journal, outbox_reads, turn_writes
from storage.fence import StoredLaneState
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.sql.database import Database, Tx
from storage.turn_writes import KnownMessage, OpenTicketRow

MAX_ROWS_PER_LANE = 100  # of the outbox, to be delivered after the round


@dataclass(slots=True)
class RoundInput:
    """What waits in the lanes of a round, and what their turns may know. The keys are customers."""

    versions: dict[int, StoredLaneState]
    messages: dict[int, list[PendingItem]] = field(default_factory=dict)
    statuses: list[PendingItem] = field(default_factory=list)
    tickets: Mapping[int, Sequence[OpenTicketRow]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)  # of those whom Meta's agent hands over
    rows: dict[int, list[OutboxRow]] = field(default_factory=dict)
    # lanes that may have more messages than were loaded, and when the last that was loaded came: the next came then
    full: Mapping[int, datetime] = field(default_factory=dict)
    crowded: Mapping[int, datetime] = field(default_factory=dict)  # the same of statuses
    postponed: set[int] = field(default_factory=set)  # lanes whose messages wait for numbers of tickets

    def find_rest_since(self, customer_id: int, *, is_settled: bool) -> datetime | None:
        """Finds when the next item of a lane came that was not loaded; None when there is none. Of its statuses that
        counts only where one of the loaded came to its end (`is_settled`)."""
        messages, statuses = self.full.get(customer_id), self.crowded.get(customer_id) if is_settled else None
        return min((at for at in (messages, statuses) if at is not None), default=None)

    def postpone(self, max_messages: int) -> None:
        """Leaves out the messages of those lanes that come after so many messages of others."""
        for customer_id, items in list(self.messages.items()):
            max_messages -= len(items)
            if max_messages < 0:
                del self.messages[customer_id]
                self.postponed.add(customer_id)


@dataclass(frozen=True, slots=True)
class QuotedMessages:
    """What is known of messages that others quote, edit, delete or react to."""

    on_tickets: Mapping[int, Mapping[str, KnownMessage]] = field(
        default_factory=dict
    )  # customer -> wamid -> what it is
    come: frozenset[str] = frozenset()  # wamids of those that were handled before, or that we sent


async def read_input(
    tx: Tx, customer_ids: Sequence[int], copies: Mapping[int, StoredLaneState], max_items: int
) -> RoundInput:
    """Reads what waits in these lanes, at most `max_items` messages and as many statuses of each. `copies`: the states
    that Redis had."""
    items = await journal.load_pending(tx, customer_ids, max_items)
    missing = [customer_id for customer_id in customer_ids if customer_id not in copies]
    loaded = RoundInput({**copies, **await fence.load_lane_states(tx, missing)})
    for item in items:
        if item.kind == ItemKind.STATUS:
            loaded.statuses.append(item)
        elif item.customer_id in loaded.versions:
            loaded.messages.setdefault(item.customer_id, []).append(item)
    loaded.full = _find_full((item for some in loaded.messages.values() for item in some), max_items)
    loaded.crowded = _find_full(loaded.statuses, max_items)
    loaded.tickets = await turn_writes.list_open_tickets(tx, sorted(loaded.messages))
    handed_over = {item.customer_id for item in items if item.kind == ItemKind.HANDOVER}
    loaded.names = await turn_writes.load_names(tx, sorted(handed_over))
    for row in await outbox_reads.load_open_rows(tx, customer_ids, MAX_ROWS_PER_LANE):
        loaded.rows.setdefault(row.customer_id, []).append(row)
    return loaded


async def find_quoted(
    database: Database, customer_ids: Sequence[int], events: Iterable[EventOrError], phone_number_id: str
) -> QuotedMessages:
    """Finds the messages that these events are about. A tap quotes the question that it answers, and needs none."""
    read = [event for event in events if not isinstance(event, Exception)]
    quoted = {event.quoted_wamid for event in read if event.kind != "option"} - {""}
    if not quoted:
        return QuotedMessages()
    about = sorted({event.quoted_wamid for event in read if parking.is_about_another(event)})
    async with database.reading() as tx:
        come = await journal.find_handled_messages(tx, phone_number_id, about)
        ours = await outbox_reads.find_sent_as(tx, about)
        on_tickets = await turn_writes.find_known_messages(tx, customer_ids, sorted(quoted))
    return QuotedMessages(on_tickets, frozenset(come).union(*(row.wamids for row in ours)))


def _find_full(items: Iterable[PendingItem], max_items: int) -> dict[int, datetime]:
    """Returns the customers of whom more of the kind may wait than were loaded, with the arrival of the last of these
    items."""
    counts = Counter[int]()
    last: dict[int, datetime] = {}
    for item in items:
        counts[item.customer_id] += 1
        last[item.customer_id] = item.received_at
    return {customer_id: last[customer_id] for customer_id, count in counts.items() if count >= max_items}
