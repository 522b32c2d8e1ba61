"""Remembers whose rows another session holds locked in the database, for one process: who they are, and since when.

Whoever meets such rows goes its way without those whose they are, and comes back to them after a back-off. Others who
come with the same customer meanwhile are told apart from the start, so that nobody else waits with them once more.

Invariants
- Who is remembered here waits; nobody else does.
- What is not met again for FORGET_SECONDS is forgotten, and what is got to is forgotten at once.
"""

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum

FORGET_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1  # most locks are held for milliseconds
MAX_PAUSE_SECONDS = 1.0


class HeldFor(StrEnum):
    """Whose work waits."""

    LANES = "customers' turns"
    WEBHOOKS = "webhooks"
    SENDING = "messages on their way out"
    AGENTS = "agents' changes"


@dataclass(slots=True)
class _Hold:
    since: float  # monotonic
    seen: float
    times: int = 0


@dataclass(frozen=True, slots=True)
class HeldSummary:
    """What waits: how much of each kind, and for how long the first of it has. `customer_ids`: where it is known."""

    counts: dict[HeldFor, int]
    seconds: float
    customer_ids: list[int]


class HeldKeys:
    """What is held for one kind of work, by any key."""

    def __init__(self) -> None:
        self._holds: dict[Hashable, _Hold] = {}

    def note(self, keys: Iterable[Hashable]) -> float:
        """Notes that these were met locked; returns after how many seconds to come back."""
        self._forget()
        now, times = time.monotonic(), 0
        for key in keys:
            hold = self._holds.setdefault(key, _Hold(now, now))
            hold.seen = now
            hold.times += 1
            times = max(times, hold.times)
        return min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(times - 1, 10)) if times else FIRST_PAUSE_SECONDS

    def clear(self, keys: Iterable[Hashable]) -> None:
        """Notes that these were got to."""
        if self._holds:
            for key in keys:
                self._holds.pop(key, None)

    def has_any(self, keys: Iterable[Hashable]) -> bool:
        """Whether one of these was met locked lately."""
        if not self._holds:
            return False
        self._forget()
        return any(key in self._holds for key in keys)

    def list_holds(self) -> dict[Hashable, float]:
        """Lists what is held, and since when by the monotonic clock."""
        self._forget()
        return {key: hold.since for key, hold in self._holds.items()}

    def _forget(self) -> None:
        before = time.monotonic() - FORGET_SECONDS
        for key in [key for key, hold in self._holds.items() if hold.seen < before]:
            del self._holds[key]


class HeldRows:
    """What is held for all the work of one process."""

    def __init__(self) -> None:
        self._kinds = {kind: HeldKeys() for kind in HeldFor}

    def __getitem__(self, kind: HeldFor) -> HeldKeys:
        return self._kinds[kind]

    def summarize(self) -> HeldSummary | None:
        """Returns what waits now; None where nothing does."""
        found = {kind: holds for kind, keys in self._kinds.items() if (holds := keys.list_holds())}
        if not found:
            return None
        customers = {key for kind in (HeldFor.LANES, HeldFor.AGENTS) for key in found.get(kind, ())}
        return HeldSummary(
            counts={kind: len(holds) for kind, holds in found.items()},
            seconds=time.monotonic() - min(since for holds in found.values() for since in holds.values()),
            customer_ids=sorted(key for key in customers if isinstance(key, int)),
        )
