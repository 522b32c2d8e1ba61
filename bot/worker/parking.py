"""What came before the message that it is about: a reaction, an edit, a deletion. Meta promises no order. Pure.

It waits at the side of its lane, as pending as any other item, so neither a crash nor another worker changes anything.
Invariants: nothing waits with it, the lane's other items are played past it; it waits only while its message has not
come, and no longer than a status that nobody knows; then it is played without, and shown on a ticket for what it is. A
lane has a few such places, and fewer than a round takes of it, so no heap of edits keeps what comes after it waiting.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime

from bot.worker.statuses import WAITS
from flows import Event
from storage.journal import PendingItem

MOST = 20


def is_about(event: Event | Exception) -> bool:
    """Whether it says nothing by itself, and something about another message. What is said to Meta's agent or by it is
    silent too, but says something of its own, whatever it quotes."""
    return isinstance(event, Event) and event.kind == "silent" and event.about


def park(
    items: Sequence[PendingItem],
    events: Mapping[int, Event | Exception],
    come: Container[str],
    now: datetime,
    most_items: int,
) -> dict[int, float]:
    """Those of a lane's items that wait, and how many seconds each still may. `come`: messages that were handled
    before; `most_items`: that a round takes of the lane."""
    parked: dict[int, float] = {}
    played: set[str] = set()
    for item in items:
        event = events[item.item_id]
        rest = (WAITS - (now - item.received_at)).total_seconds()
        about = event.quoted_wamid if isinstance(event, Event) and is_about(event) else ""
        if about and rest > 0 and len(parked) < min(MOST, most_items - 1) and not (about in come or about in played):
            parked[item.item_id] = rest
        elif isinstance(event, Event):
            played.add(event.wamid)
    return parked
