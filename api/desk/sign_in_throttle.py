"""How often a password may be tried.

Kept in the memory of each process: it must hold when Redis is down, and a handful of tries more for each further web
process helps nobody who guesses. Invariants: a try is counted before it is looked at, so many at once gain nothing; a
network that has not failed on an account gets its tries, whatever others do to that account, so nobody can lock an
agent out from elsewhere; and what is kept is bounded.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.clock import Clock

FREE_TRIES = 4  # of one network on one account, before it waits
FREE_TRIES_UNDER_ATTACK = 1
FREE_TRIES_OF_A_NETWORK = 10  # on all accounts together: colleagues share an address
ATTACKED_AFTER = 20  # tries on one account, from everywhere
LONGEST_WAIT_SECONDS = 600.0
FORGOTTEN_AFTER = timedelta(hours=1)
MOST_KEPT = 10_000
_Key = tuple[str | None, str | None]  # account and network; None stands for all of them


@dataclass(slots=True)
class _Tries:
    count: int
    last_at: datetime

    def wait_seconds(self, free: int, now: datetime) -> float:
        if self.count < free:
            return 0.0
        pause = min(2.0 ** min(self.count - free + 1, 20), LONGEST_WAIT_SECONDS)
        return max(0.0, pause - (now - self.last_at).total_seconds())


class Throttle:
    """Counts the tries that were not right, each wait twice as long as the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[_Key, _Tries] = OrderedDict()

    def admit(self, account: str, network: str) -> float:
        """Seconds to wait; at 0 the try may be made, and is counted."""
        now = self._clock()
        under_attack = self._of((account, None), now).count >= ATTACKED_AFTER
        free = FREE_TRIES_UNDER_ATTACK if under_attack else FREE_TRIES
        wait = max(
            self._of((account, network), now).wait_seconds(free, now),
            self._of((None, network), now).wait_seconds(FREE_TRIES_OF_A_NETWORK, now),
        )
        if wait == 0:
            for key in self._keys(account, network):
                tries = self._of(key, now)
                self._kept[key] = _Tries(tries.count + 1, now)
                self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return wait

    def forgive(self, account: str, network: str) -> None:
        """The try was right, or could not be looked at. The others of its network and its account still count."""
        for key in self._keys(account, network):
            if tries := self._kept.get(key):
                tries.count -= 1

    def welcome(self, account: str, network: str) -> None:
        """The password was right: this network is at home here."""
        self.forgive(account, network)
        self._kept.pop((account, network), None)

    def _of(self, key: _Key, now: datetime) -> _Tries:
        tries = self._kept.get(key)
        return _Tries(0, now) if tries is None or now - tries.last_at > FORGOTTEN_AFTER else tries

    @staticmethod
    def _keys(account: str, network: str) -> tuple[_Key, ...]:
        return (account, network), (None, network), (account, None)
