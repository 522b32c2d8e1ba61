"""Keeps us within Meta's rate limits, of our number and of each customer, which all processes count together in Redis.

Invariants
- Without Redis nothing is held back here. Then Meta itself refuses, and the row waits as its answer asks for.
"""

import structlog

from bot.whatsapp.errors import Scope
from storage.redis.client import RedisDown
from storage.redis.limits import Limits
from storage.redis.presence import RedisAway

log = structlog.get_logger(__name__)


class RateLimits:
    """The limits of one number. No method raises: a Redis that is down is logged."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def take(self, customer_id: int, *, is_fresh: bool) -> float:
        """Returns 0 when a message may go to this customer now, and counts it; else the seconds until one may.
        `is_fresh`: what it answers came just now."""
        try:
            return await self._limits.take(customer_id, is_fresh=is_fresh)
        except RedisAway:
            return 0.0
        except RedisDown as error:
            log.warning("redis_down", error=str(error))
            return 0.0

    async def slow_down(self, scope: Scope, customer_id: int, seconds: float) -> None:
        """Lowers the rate, of the customer or of the number: Meta said that it was too much, and to wait so long."""
        try:
            if scope is Scope.PAIR:
                await self._limits.slow_pair(customer_id, seconds)
            elif scope is Scope.NUMBER:
                await self._limits.slow_number()
        except RedisDown as error:
            log.warning("redis_down", error=str(error))
