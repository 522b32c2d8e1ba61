"""Items that can't be handled: how often they were tried, and their end.

Invariants: only an exception from the item's own turn, or the death of the process that had it in a round, counts as an
attempt; errors of SQL, Redis or the Graph API never do. After MOST_ATTEMPTS the item is dead, somebody is told, the
customer gets a polite line, and the lane goes on. `tick journal replay` gives it another life.
"""

from collections.abc import Sequence

import structlog

from bot.clock import Clock
from bot.metrics import Metrics
from bot.worker.effects import Failure
from bot.worker.turns import Turns
from storage import fence, journal, outbox
from storage.journal import MAX_ATTEMPTS
from storage.sql.database import Database, Tx
from storage.statuses import Fate

DIED = "the process died while it had this item in a round"
log = structlog.get_logger(__name__)


class Poison:
    """Counts attempts, each in a transaction of its own."""

    def __init__(self, database: Database, turns: Turns, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._turns = turns
        self._clock = clock
        self._metrics = metrics

    async def failed(self, customer_id: int, failure: Failure) -> None:
        """The item's own turn raised."""
        await self._count({failure.item.item_id: customer_id}, failure.error)

    async def died(self, in_round: Sequence[int], waiting: Sequence[int]) -> dict[int, int]:
        """A process died with these lanes. The first item of each that was in a round may be why; of a lane that waited
        for its round, nothing is. Returns how often either sort was in a round that ended so, by lane."""
        first = await self._first(in_round)
        attempts = await self._count(first, DIED) if first else {}
        if suspects := await self._first(waiting):
            first |= suspects
            async with self._database.reading() as tx:
                attempts |= await journal.read_attempts(tx, sorted(suspects))
        return {first[item_id]: count for item_id, count in attempts.items()}

    async def _first(self, customer_ids: Sequence[int]) -> dict[int, int]:
        """The oldest item that waits in each lane, and whose it is."""
        if not customer_ids:
            return {}
        async with self._database.reading() as tx:
            waiting = await journal.list_waiting(tx, customer_ids)
        first: dict[int, int] = {}
        for item in sorted(waiting, key=lambda item: (item.meta_at, item.item_id)):
            first.setdefault(item.customer_id, item.item_id)
        return {item_id: customer_id for customer_id, item_id in first.items()}

    async def _count(self, customers: dict[int, int], error: str) -> dict[int, int]:
        attempts = await self._database.run(lambda tx: journal.add_attempt(tx, sorted(customers), error))
        for item_id, count in attempts.items():
            if count >= MAX_ATTEMPTS:
                await self._bury(customers[item_id], item_id)
        return attempts

    async def _bury(self, customer_id: int, item_id: int) -> None:
        log.error("item_dead", item_id=item_id, remedy=f"tick journal show {item_id}")
        now = self._clock()

        async def work(tx: Tx) -> bool:
            version, _ = await fence.raise_version(tx, customer_id)
            died = await journal.close(tx, [item_id], Fate.DEAD, now)
            if died:
                await outbox.insert(tx, [self._turns.sorry(customer_id, version, item_id, now)])
            return bool(died)

        if await self._database.run(work):
            self._metrics.count_items(Fate.DEAD)
