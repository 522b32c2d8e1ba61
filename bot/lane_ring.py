"""Rings lanes for those who wait for nobody: the intake, and an agent's change.

Invariants
- Redis never fails or delays a caller for longer than RING_SECONDS.
- A ring that is lost costs the lane a second, until the worker's sweep finds what waits in SQL.
"""

import asyncio
from collections.abc import Collection, Mapping

import structlog

from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.redis.presence import RedisAway

RING_SECONDS = 0.2
log = structlog.get_logger(__name__)


async def ring_soon(lanes: Lanes, delays: Mapping[int, float], *, forget: Collection[int] = ()) -> None:
    """Rings as `Lanes.ring` does (customer id -> seconds until it is due). A Redis that is down or slow is logged."""
    try:
        async with asyncio.timeout(RING_SECONDS):
            await lanes.ring(delays, forget=forget)
    except RedisAway as error:
        log.debug("ring_failed", error=str(error))  # which is known, and need not be said for each webhook
    except (RedisDown, TimeoutError) as error:
        log.warning("ring_failed", error=str(error))
