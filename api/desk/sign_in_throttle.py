"""Throttles sign-ins with an exponential back-off, by account and by network.

The counts are kept in the memory of each process: they must hold when Redis is down, and a handful of tries more for
each further web process helps nobody who guesses.

Invariants
- A try is counted before its password is checked, so many at once gain nothing.
- A network that has not failed on an account gets its tries, whatever others do to that account: nobody can lock an
  agent out from elsewhere.
- A browser with which an agent has signed in before is counted by itself, whatever its network does: nobody can lock an
  agent out from the same office, or from behind the same proxy.
- At most MAX_KEPT_COUNTS are kept; the one that was touched longest ago goes first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.clock import Clock

FREE_TRIES = 4  # of one network on one account, before it waits
FREE_TRIES_UNDER_ATTACK = 1
FREE_TRIES_OF_A_NETWORK = 10  # on all accounts together: colleagues share an address
ATTACKED_AFTER = 20  # tries on one account, from everywhere
MAX_WAIT_SECONDS = 600.0
FORGOTTEN_AFTER = timedelta(hours=1)
MAX_KEPT_COUNTS = 10_000  # some megabytes, whatever an attacker makes up
_MAX_DOUBLINGS = 20  # far beyond MAX_WAIT_SECONDS, and far from where a float overflows
_Key = tuple[str | None, str | None]  # account, and network or browser; None stands for all of them


@dataclass(slots=True)
class _Tries:
    """The failed tries of one key, and when the last of them was."""

    count: int
    last_at: datetime

    def compute_wait_seconds(self, free_tries: int, now: datetime) -> float:
        if self.count < free_tries:
            return 0.0
        pause_seconds = min(2.0 ** min(self.count - free_tries + 1, _MAX_DOUBLINGS), MAX_WAIT_SECONDS)
        left_seconds = pause_seconds - (now - self.last_at).total_seconds()
        return left_seconds if 0 < left_seconds <= pause_seconds else 0.0  # longer is not meant: the clock was put back


class SignInThrottle:
    """Counts the tries that failed; each wait is twice as long as the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[_Key, _Tries] = OrderedDict()

    def admit(self, account: str, network: str, browser: str = "") -> float:
        """Returns the seconds to wait. At 0 the try may be made, and is counted. `browser`: one with which this account
        has signed in before."""
        now = self._clock()
        if browser:
            wait_seconds = self._read((account, browser), now).compute_wait_seconds(FREE_TRIES, now)
            if wait_seconds == 0:
                self._count(_list_keys(account, network, browser), now)
            return wait_seconds
        is_under_attack = self._read((account, None), now).count >= ATTACKED_AFTER
        free_tries = FREE_TRIES_UNDER_ATTACK if is_under_attack else FREE_TRIES
        wait_seconds = max(
            self._read((account, network), now).compute_wait_seconds(free_tries, now),
            self._read((None, network), now).compute_wait_seconds(FREE_TRIES_OF_A_NETWORK, now),
        )
        if wait_seconds == 0:
            self._count(_list_keys(account, network, browser), now)
        return wait_seconds

    def take_back(self, account: str, network: str, browser: str = "") -> None:
        """Takes one try off the counts, because its password was right or could not be checked. The other tries of its
        network and its account still count."""
        for key in _list_keys(account, network, browser):
            if tries := self._kept.get(key):
                tries.count -= 1

    def clear(self, account: str, network: str, browser: str = "") -> None:
        """Forgets what was mistyped on this account from there, because the password was right in the end."""
        self.take_back(account, network, browser)
        self._kept.pop((account, browser or network), None)

    def _read(self, key: _Key, now: datetime) -> _Tries:
        tries = self._kept.get(key)
        return _Tries(0, now) if tries is None or now - tries.last_at > FORGOTTEN_AFTER else tries

    def _count(self, keys: Sequence[_Key], now: datetime) -> None:
        for key in keys:
            self._kept[key] = _Tries(self._read(key, now).count + 1, now)
            self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT_COUNTS:
            self._kept.popitem(last=False)


def _list_keys(account: str, network: str, browser: str) -> tuple[_Key, ...]:
    return ((account, browser),) if browser else ((account, network), (None, network), (account, None))
