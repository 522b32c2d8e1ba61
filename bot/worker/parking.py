"""Parks a reaction, an edit or a deletion that comes before the message it is about: Meta promises no order. Pure.

What is parked stays pending like any other item, so neither a crash nor another worker changes anything.

Invariants
- Nothing waits with it: the lane's other items are played past it.
- It waits only while its message has not come, and no longer than a status that nobody knows. Then it is played without
  the message, and shown on a ticket for what it is.
- A lane parks few items, and fewer than a round takes of it, so no heap of edits keeps what comes after them waiting.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime

from bot.worker.statuses import count_wait_left
from flows import Event
from storage.journal import PendingItem

MAX_PARKED_PER_LANE = 20


def is_about_another(event: Event | Exception) -> bool:
    """Whether the event says something about another message, and nothing by itself.

    What is said to Meta's agent, or by it, is silent too, but says something of its own, whatever it quotes.
    """
    return isinstance(event, Event) and event.kind == "silent" and event.about


def park(
    items: Sequence[PendingItem],
    events: Mapping[int, Event | Exception],
    come: Container[str],
    now: datetime,
    max_items: int,
) -> dict[int, float]:
    """Returns those of a lane's items that are parked, and for how many seconds more. `come`: the wamids of messages
    that were handled before; `max_items`: as many as a round takes of the lane."""
    parked: dict[int, float] = {}
    played: set[str] = set()
    for item in items:
        event = events[item.item_id]
        left = count_wait_left(item, now)
        about = event.quoted_wamid if isinstance(event, Event) and is_about_another(event) else ""
        if (
            about
            and left > 0
            and len(parked) < min(MAX_PARKED_PER_LANE, max_items - 1)
            and not (about in come or about in played)
        ):
            parked[item.item_id] = left
        elif isinstance(event, Event):
            played.add(event.wamid)
    return parked
