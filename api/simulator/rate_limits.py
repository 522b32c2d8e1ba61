"""How fast the number may send, where the set-up says so: in all (130429), and to one customer (131056).

A message to the same customer each six seconds; a burst of 45 may be borrowed, and what was borrowed is waited for.
"""

from typing import Final

from api.simulator.graph_error import Refusal
from api.simulator.setup import Setup

PAIR_SECONDS: Final = 6.0
PAIR_BURST: Final = 45


class Pace:
    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._second = 0
        self._in_this_second = 0
        self._paid_until: dict[str, float] = {}  # when nothing that was borrowed is left, by phone

    def refusal(self, phone: str, now: float) -> Refusal | None:
        """Count a message, or say why it is too soon for it."""
        most = self._setup.messages_per_second
        if int(now) != self._second:
            self._second, self._in_this_second = int(now), 0
        if 0 < most <= self._in_this_second:
            return Refusal(130429)
        if self._setup.pair_limit:
            until = max(self._paid_until.get(phone, 0.0), now) + PAIR_SECONDS
            if until - now > PAIR_SECONDS * PAIR_BURST:
                return Refusal(131056)
            self._paid_until[phone] = until
        self._in_this_second += 1
        return None
