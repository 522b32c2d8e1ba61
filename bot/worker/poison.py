"""Counts the attempts at items that can't be handled (poison), and ends them.

Invariants
- Only an exception from the item's own turn, or the death of the process that had it in a round, counts as an attempt.
  Errors of SQL, Redis or the Graph API never do.
- After MAX_ATTEMPTS the item is dead: the log says so, the customer gets a polite line, and the lane goes on.
  `tick journal replay` gives the item another life.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import structlog

from bot.clock import Clock
from bot.metrics import Metrics
from bot.worker.effects import Failure
from bot.worker.rounds import MAX_ITEMS_PER_LANE
from bot.worker.turns import Turns
from storage import fence, journal, outbox
from storage.fence import CustomerGone
from storage.journal import MAX_ATTEMPTS
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Database, Tx
from storage.statuses import Fate

MAX_ROUNDS_OF_SUSPECTS = 16  # of those that shared a round with the deadly: the last of them waits for all
DIED = "the process died while it had this item in a round"
log = structlog.get_logger(__name__)


class Suspicion(Enum):
    """How likely it is that a round ends with its process."""

    NONE = "none"
    SHARED = "shared"  # one did, with these lanes and others in it
    STRONG = "strong"  # more than one did


class LanesOfRound(NamedTuple):
    """Lanes to be played together, and how many items of each."""

    lanes: Sequence[ClaimedLane]
    max_items: int
    suspicion: Suspicion


class Poison:
    """Counts attempts for one process, each in a transaction of its own."""

    def __init__(self, *, database: Database, turns: Turns, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._turns = turns
        self._clock = clock
        self._metrics = metrics

    async def count_failure(self, customer_id: int, failure: Failure) -> None:
        """Counts an attempt of an item whose own turn raised."""
        await self._count_attempts({failure.item.item_id: customer_id}, failure.error)

    async def count_deaths(self, in_round: Sequence[int], waiting: Sequence[int]) -> dict[int, int]:
        """Counts the death of a process that had these lanes; returns how often each was in a round that ended so.

        The first item of a lane that was in a round may be why, and counts an attempt. A lane that waited for its round
        is not to blame.
        """
        first = await self._find_first(in_round)
        attempts = await self._count_attempts(first, DIED) if first else {}
        if suspects := await self._find_first(waiting):
            first |= suspects
            async with self._database.reading() as tx:
                attempts |= await journal.read_attempts(tx, sorted(suspects))
        return {first[item_id]: count for item_id, count in attempts.items()}

    async def _find_first(self, customer_ids: Sequence[int]) -> dict[int, int]:
        """Returns the oldest item that waits in each lane, and whose it is."""
        if not customer_ids:
            return {}
        async with self._database.reading() as tx:
            waiting = await journal.list_waiting(tx, customer_ids)
        first: dict[int, int] = {}
        for item in sorted(waiting, key=lambda item: (item.meta_at, item.item_id)):
            first.setdefault(item.customer_id, item.item_id)
        return {item_id: customer_id for customer_id, item_id in first.items()}

    async def _count_attempts(self, customers: dict[int, int], error: str) -> dict[int, int]:
        attempts = await self._database.run(lambda tx: journal.add_attempt(tx, sorted(customers), error))
        for item_id, count in attempts.items():
            if count >= MAX_ATTEMPTS:
                await self._end_life(customers[item_id], item_id)
        return attempts

    async def _end_life(self, customer_id: int, item_id: int) -> None:
        """Closes the item as dead, with the apology to its customer."""
        log.error("item_dead", item_id=item_id, remedy=f"tick journal show {item_id}")
        now = self._clock()

        async def work(tx: Tx) -> bool:
            try:
                version, _ = await fence.raise_version(tx, customer_id)
            except CustomerGone:
                return False  # it is in the lane of whom they have become, and ends there
            died = await journal.close(tx, [item_id], Fate.DEAD, now)
            if died:
                await outbox.insert(tx, [self._turns.apologize(customer_id, version, item_id, now)])
            return bool(died)

        if await self._database.run(work):
            self._metrics.count_items(Fate.DEAD)


def divide_into_rounds(claimed: Sequence[ClaimedLane], deaths: Mapping[int, int]) -> Iterator[LanesOfRound]:
    """Divides claimed lanes into rounds, in the order in which to play them. `deaths`: how often a lane was in a round
    that ended with its process.

    What killed a process is among the lanes that it had in its round. Those are played a few at a time, and up to
    MAX_ROUNDS_OF_SUSPECTS of them each alone; after a second death all are alone. The least suspect come first: when
    the deadly one kills again, those behind it have waited, and the next time they are played before it. From the third
    death on one item is played at a time, so that the right one is found.
    """
    if unsuspected := [lane for lane in claimed if not deaths.get(lane.customer_id)]:
        yield LanesOfRound(unsuspected, MAX_ITEMS_PER_LANE, Suspicion.NONE)
    once = [lane for lane in claimed if deaths.get(lane.customer_id) == 1]
    size = max(1, -(-len(once) // MAX_ROUNDS_OF_SUSPECTS))
    for start in range(0, len(once), size):
        yield LanesOfRound(once[start : start + size], MAX_ITEMS_PER_LANE, Suspicion.SHARED)
    often = [lane for lane in claimed if deaths.get(lane.customer_id, 0) > 1]
    for lane in sorted(often, key=lambda lane: deaths[lane.customer_id]):
        yield LanesOfRound([lane], MAX_ITEMS_PER_LANE if deaths[lane.customer_id] == 2 else 1, Suspicion.STRONG)
