"""Reserves short numbers for tickets, which customers read and type, in blocks (table `counter`).

Invariants
- A number is given out once, whatever dies.
- No process of ours holds the counter: on MySQL a block is reserved by one statement that commits itself.
- A process that is killed leaves a gap of at most one block. One that stops leaves none if nobody reserved after it.
"""

import time
from collections import deque
from functools import partial

from tortoise.exceptions import IntegrityError

from storage.sql.database import Database, RowsHeld, Tx

BLOCK_SIZE = 50
HELD_SECONDS = 2.0  # for which a counter that was met locked is not tried again
MAX_GIVE_BACK_SECONDS = 1.0  # a stop waits no longer for this


class TicketNumbers:
    """The numbers that this process has reserved. Call `top_up` before a transaction that may need some; `take` never
    waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._free: deque[int] = deque()
        self._held_until = 0.0

    async def top_up(self, wanted: int) -> None:
        """Reserves whole blocks, each in a transaction of its own, until there are `wanted` numbers. Raises RowsHeld
        when another session holds the counter, once that is known at once."""
        while (lacking := wanted - len(self._free)) > 0:
            if time.monotonic() < self._held_until:
                raise RowsHeld("the counter of the tickets' numbers is locked")
            count = -(-lacking // BLOCK_SIZE) * BLOCK_SIZE
            try:
                last = await self._reserve(count)
            except IntegrityError:
                continue  # two processes made the counter at once: the other's is there now
            except RowsHeld:
                self._held_until = time.monotonic() + HELD_SECONDS
                raise
            self._free.extend(range(last - count + 1, last + 1))

    async def _reserve(self, count: int) -> int:
        """Reserves a block; returns its last number."""
        if self._database.dialect != "sqlite":
            async with self._database.reading() as tx:
                last = await tx.execute_for_id(
                    "UPDATE counter SET value = LAST_INSERT_ID(value + ?) WHERE name = 'ticket'", [count]
                )
            if last is not None:
                return last
        return await self._database.run(partial(reserve, count=count))

    @property
    def available(self) -> int:
        """How many numbers there are without another block."""
        return len(self._free)

    def peek(self) -> int:
        """Returns the number that `take` will give."""
        return self._free[0]

    def take(self) -> int:
        """Gives out the next number."""
        return self._free.popleft()

    async def give_back(self) -> None:
        """Gives back what is left at the end of the counter, unless somebody reserved more since. To be called before
        the process ends."""
        if not self._free:
            return
        last = first = self._free[-1]
        while self._free and self._free[-1] == first:
            first = self._free.pop() - 1
        async with self._database.transaction(MAX_GIVE_BACK_SECONDS) as tx:
            await tx.execute("UPDATE counter SET value = ? WHERE name = 'ticket' AND value = ?", [first, last])


async def raise_above(tx: Tx, number: int) -> None:
    """Sees to it that new tickets get numbers above this one, and above all that there are. Only for MySQL."""
    await tx.execute(
        "INSERT INTO counter (name, value) SELECT 'ticket', GREATEST(?, COALESCE(MAX(id), 0)) FROM ticket "
        "ON DUPLICATE KEY UPDATE value = GREATEST(value, VALUES(value))",
        [number],
    )


async def find_last(tx: Tx) -> int:
    """Finds the last number that is given out or reserved."""
    rows = await tx.fetch("SELECT value FROM counter WHERE name = 'ticket'")
    return int(rows[0][0]) if rows else 0


async def reserve(tx: Tx, count: int) -> int:
    """Reserves so many numbers in this transaction; returns the last of them."""
    if not await tx.execute("UPDATE counter SET value = value + ? WHERE name = 'ticket'", [count]):
        # a database that was taken over goes on after the numbers it has
        rows = await tx.fetch("SELECT COALESCE(MAX(id), 0) FROM ticket")
        await tx.insert("counter", ("name", "value"), [("ticket", int(rows[0][0]) + count)])
    rows = await tx.fetch("SELECT value FROM counter WHERE name = 'ticket'")
    return int(rows[0][0])
