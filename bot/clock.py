"""Reads the clock, in one place: everything below gets instants as values, and tests hand in another clock.

Invariants
- Tick's clock goes by the monotonic one, so what waits for an instant waits about as long as was meant, whatever
  somebody does to the machine's clock meanwhile. A step of that is made up for by and by.
- It never goes back, but for more than MAX_STEP_SECONDS: so far off, the machine's clock was wrong before.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]  # gives the instant, aware, in UTC

MAX_STEP_SECONDS = 86_400.0  # a wrong time zone is less; a machine without a clock of its own begins years ago
CATCH_UP = 0.25  # seconds in each second: meanwhile a doubt of 15 s lasts 12 to 20 s, and in four hours one is made up
MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the former goes on while the machine sleeps


def utc_now() -> datetime:
    """Returns the machine's instant, aware, in UTC, in whole milliseconds: as it is stored, so it reads the same
    again."""
    return _to_instant(time.time())


def _to_instant(seconds: float) -> datetime:
    """Returns the instant of so many seconds since 1970, cut to milliseconds."""
    instant = datetime.fromtimestamp(seconds, UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _read_monotonic() -> float:
    return time.clock_gettime(MONOTONIC)


class SteadyClock:
    """Tick's clock for one process. `read_wall` gives the machine's time in seconds since 1970, `read_monotonic`
    seconds that nobody can set."""

    def __init__(
        self, read_wall: Callable[[], float] = time.time, read_monotonic: Callable[[], float] = _read_monotonic
    ) -> None:
        self._read_wall = read_wall
        self._read_monotonic = read_monotonic
        self._last = (read_monotonic(), read_wall())  # one value, so that threads never meet half of it

    def __call__(self) -> datetime:
        """Returns the instant, aware, in UTC, in whole milliseconds."""
        return _to_instant(self._move_on())

    def _move_on(self) -> float:
        now, wall = self._read_monotonic(), self._read_wall()
        then, shown = self._last
        passed = max(0.0, now - then)
        ahead = shown + passed - wall
        if abs(ahead) > MAX_STEP_SECONDS:
            shown = wall
        else:
            catches_up = CATCH_UP * passed
            shown += passed - max(-catches_up, min(ahead, catches_up))
        self._last = (now, shown)
        return shown

    def start_after(self, instant: datetime) -> None:
        """Has the clock show no less than this from now on: what was written before the start was written then. Does
        nothing where that lies so far ahead that it can't be right."""
        shown, wanted = self._move_on(), instant.timestamp()
        if shown < wanted <= shown + MAX_STEP_SECONDS:
            self._last = (self._last[0], wanted)
