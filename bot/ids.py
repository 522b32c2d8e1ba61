"""Makes ids of rows in the process, so that rows go in by bulk statements and their ids are known before the commit.

Invariants
- Ids of one process rise in the order in which they were made, whatever the clock does, so rows sort by arrival.
- The first is greater than all that the process knew of, also where the clock was put back before its start.
- Ids of two processes clash about once in a million within the same millisecond, which the database reports as an
  error and never takes for a duplicate.
"""

import random
from datetime import datetime

from bot.clock import Clock
from storage.sql.columns import from_millis, to_millis

EPOCH_MILLIS = 1_735_689_600_000  # 2025-01-01: 41 bits of milliseconds last until 2094
RANDOM_BITS = 22


class IdMaker:
    """Makes time-ordered ids of 63 bits: milliseconds, then 22 bits that begin at random and count on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._ahead_millis = 0  # of the clock

    def start_above(self, highest_id: int) -> None:
        """Has all ids from now on be greater than this one, which is in the database. Where its time is yet to come,
        the ids' time goes on from there: to count on from one id would give two processes the same ones."""
        self._ahead_millis = max(self._ahead_millis, (highest_id >> RANDOM_BITS) + 1 - self._read_millis())

    def next(self) -> int:
        """Returns an id that is greater than all before."""
        millis = max(0, self._read_millis()) + self._ahead_millis
        # The highest of the random bits is left 0, which is room to count on within the millisecond.
        fresh = millis << RANDOM_BITS | random.getrandbits(RANDOM_BITS - 1)
        self._last = max(self._last + 1, fresh)
        return self._last

    def _read_millis(self) -> int:
        return to_millis(self._clock()) - EPOCH_MILLIS


def read_instant(made_id: int) -> datetime:
    """Returns when an id was made."""
    return from_millis((made_id >> RANDOM_BITS) + EPOCH_MILLIS)
