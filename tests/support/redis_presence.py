"""Takes Redis away from a process of the tests, and gives it back, while the server itself goes on."""

from storage.redis.client import RedisDown
from storage.redis.presence import AWAY_SECONDS, MIN_FAILED_PROBES, RedisPresence


class SettablePresence:
    """`presence`: what the process goes by. Redis is there at first."""

    def __init__(self) -> None:
        self._now = 0.0
        self.presence = RedisPresence(read_time=lambda: self._now)

    async def take_away(self) -> "SettablePresence":
        """Has Redis be away."""
        self._now += AWAY_SECONDS
        for _ in range(MIN_FAILED_PROBES):
            await self.presence.probe(_fail)
        return self

    async def give_back(self) -> None:
        """Has Redis be there again."""
        await self.presence.probe(_succeed)


async def _fail() -> None:
    raise RedisDown("taken away by a test")


async def _succeed() -> None:
    pass
