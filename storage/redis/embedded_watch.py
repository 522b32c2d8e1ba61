"""Looks after the embedded Redis while it runs, and starts it anew when it has ended or hangs.

Invariants
- A server that is silent for HANG_SECONDS, through two looks at least, is ended by SIGKILL. What it had appended to its
  file is there when it is back.
- A server that does not come up twice in a row begins anew, without its file: nothing in Redis is a promise.
- Nothing here is waited for: the event loop goes on, also beside a disk that hangs.
"""

import time
from collections.abc import Callable
from enum import StrEnum

from storage.redis.embedded import LOADING_SECONDS, START_SECONDS, EmbeddedRedis
from storage.redis.server_state import ServerState

HANG_SECONDS = 3.0  # longer than a call of a client's waits
MIN_SILENT_LOOKS = 2  # we may have stood still ourselves, and then one look in vain tells nothing
MAX_FAILED_STARTS = 2  # with the same file


class EmbeddedRedisEvent(StrEnum):
    """What a look came to, where it is worth a line in the log."""

    HANGS = "hangs"  # and is ended
    LOADS_TOO_LONG = "loads_too_long"  # and is ended
    ENDED = "ended"  # by itself, and is started again
    STARTED_EMPTY = "started_empty"  # what it could not read was put aside
    REVIVED = "revived"  # it answers again


class EmbeddedRedisWatch:
    """Watches the server of one process, look after look. `read_time`: a monotonic clock, in seconds."""

    def __init__(self, server: EmbeddedRedis, *, read_time: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._read_time = read_time
        self._started_at = self._well_at = read_time()
        self._silent_looks = 0
        self._failed_starts = 0
        self._is_up = True
        self._is_starting = False  # it was started, and has not answered yet
        self._is_killed = False

    async def look(self) -> EmbeddedRedisEvent | None:
        """Looks once, and does what is needed; to be called again and again, from the main thread.

        Raises OSError and RedisInUse where the server can't be started now, which may pass.
        """
        if self._server.url is None:  # it lives in this process
            return None
        if self._server.has_ended:
            return self._start_again()
        state, now = await self._server.ask(), self._read_time()
        if state is ServerState.SILENT:
            self._silent_looks += 1
            patience = HANG_SECONDS if self._is_up else START_SECONDS
            is_over = self._silent_looks >= MIN_SILENT_LOOKS and now - self._well_at >= patience
            return self._kill(EmbeddedRedisEvent.HANGS) if is_over else None
        self._well_at, self._silent_looks = now, 0
        if state is ServerState.LOADING:
            is_over = self._is_starting and now - self._started_at >= LOADING_SECONDS
            return self._kill(EmbeddedRedisEvent.LOADS_TOO_LONG) if is_over else None
        self._failed_starts, self._is_starting = 0, False
        was_up, self._is_up = self._is_up, True
        return None if was_up else EmbeddedRedisEvent.REVIVED

    def _kill(self, why: EmbeddedRedisEvent) -> EmbeddedRedisEvent | None:
        """Ends the server; says so once, since one that waits for a disk ends when the disk lets it."""
        self._server.kill()
        was_killed, self._is_killed = self._is_killed, True
        return None if was_killed else why

    def _start_again(self) -> EmbeddedRedisEvent | None:
        event = EmbeddedRedisEvent.ENDED if self._is_up and not self._is_killed else None
        if self._is_starting:
            self._failed_starts += 1
            if self._failed_starts == MAX_FAILED_STARTS and self._server.put_data_aside():
                event = EmbeddedRedisEvent.STARTED_EMPTY
        self._is_up = self._is_starting = self._is_killed = False
        self._silent_looks = 0
        self._server.start_again()
        self._is_starting = True
        self._started_at = self._well_at = self._read_time()
        return event
