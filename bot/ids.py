"""Makes ids of rows in the process, so that rows go in by bulk statements and their ids are known before the commit.

Invariants
- Ids of one process rise in the order in which they were made, so rows sort by arrival.
- Ids of two processes clash about once in a million within the same millisecond, which the database reports as an
  error and never takes for a duplicate.
"""

import random

from bot.clock import Clock
from storage.sql.columns import to_millis

EPOCH_MILLIS = 1_735_689_600_000  # 2025-01-01: 41 bits of milliseconds last until 2094
RANDOM_BITS = 22


class IdMaker:
    """Makes time-ordered ids of 63 bits: milliseconds, then 22 bits that begin at random and count on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """Returns an id that is greater than all before."""
        millis = max(0, to_millis(self._clock()) - EPOCH_MILLIS)
        # The highest of the random bits is left 0, which is room to count on within the millisecond.
        fresh = millis << RANDOM_BITS | random.getrandbits(RANDOM_BITS - 1)
        self._last = max(self._last + 1, fresh)
        return self._last
