"""Limits how fast the number may send, where the set-up says so: in all (130429), and to one customer (131056).

Source: Meta's page on throughput and the pair rate limit: one message each six seconds to the same customer; a burst of
45 may be borrowed, and what was borrowed is waited for.
"""

from typing import Final

from api.simulator.graph_error import GraphError
from api.simulator.setup import Setup

NUMBER_LIMIT: Final = 130429
PAIR_LIMIT: Final = 131056
PAIR_SECONDS: Final = 6.0
MAX_PAIR_BURST: Final = 45  # messages


class RateLimits:
    """Counts what is sent, by the simulator's clock, and refuses what comes too soon."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._second = 0
        self._sent_in_second = 0
        self._paid_until: dict[str, float] = {}  # when nothing that was borrowed is left, by phone

    def clear(self) -> None:
        """Forgets what was sent."""
        self._second, self._sent_in_second = 0, 0
        self._paid_until.clear()

    def admit(self, phone: str, now: float) -> GraphError | None:
        """Counts a message to this customer; returns the error when it comes too soon, and then counts nothing."""
        max_per_second = self._setup.messages_per_second
        if int(now) != self._second:
            self._second, self._sent_in_second = int(now), 0
        if 0 < max_per_second <= self._sent_in_second:
            return GraphError(NUMBER_LIMIT)
        if self._setup.pair_limit:
            until = max(self._paid_until.get(phone, 0.0), now) + PAIR_SECONDS
            if until - now > PAIR_SECONDS * MAX_PAIR_BURST:
                return GraphError(PAIR_LIMIT)
            self._paid_until[phone] = until
        self._sent_in_second += 1
        return None
