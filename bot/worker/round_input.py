"""Reads what a round needs to know before its turns are played.

Invariants
- Nothing here is locked. What the turns rest on is checked again behind the fence (round_transaction.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
    full: set[int] = field(default_factory=set)  # lanes that may have more messages than were loaded
    crowded: set[int] = field(default_factory=set)  # the same of statuses


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
    loaded.full = {lane for lane, found in loaded.messages.items() if len(found) >= max_items}
    loaded.crowded = _find_crowded(loaded.statuses, max_items)
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


def _find_crowded(items: Sequence[PendingItem], max_items: int) -> set[int]:
    """Returns the customers of whom more statuses may wait than were loaded."""
    counts: dict[int, int] = {}
    for item in items:
        counts[item.customer_id] = counts.get(item.customer_id, 0) + 1
    return {customer_id for customer_id, count in counts.items() if count >= max_items}
