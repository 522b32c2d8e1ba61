"""Meta's limits, as sending asks for them.

Invariant: without Redis nothing is held back here: then Meta itself says no, and the row waits as its answer asks for.
"""

import structlog

from bot.whatsapp.errors import Scope
from storage.redis.client import RedisDown
from storage.redis.limits import Limits

log = structlog.get_logger(__name__)


class Throttle:
    """The limits of one number."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def take(self, customer_id: int) -> float:
        """0 when a message may go to this customer now, else the seconds until it may."""
        try:
            return await self._limits.take(customer_id)
        except RedisDown as error:
            log.warning("redis_down", error=str(error))
            return 0.0

    async def slow(self, scope: Scope, customer_id: int, seconds: float) -> None:
        """Meta said that it was too much, for this customer or for the number."""
        if scope not in (Scope.PAIR, Scope.NUMBER):
            return
        try:
            await self._limits.slow("pair" if scope is Scope.PAIR else "number", customer_id, seconds)
        except RedisDown as error:
            log.warning("redis_down", error=str(error))
