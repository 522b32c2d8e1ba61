"""Finds in SQL for which customers something waits, whatever Redis knows of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from bot.heartbeat import Heartbeat
from storage import outbox_reads
from storage.overdue import find_overdue_customers
from storage.redis.lanes import FRESH_SECONDS
from storage.sql.database import Database

DEAD_AFTER = timedelta(seconds=1.5)  # a little more than a heartbeat lasts
DEAD_AFTER_REDIS_LOSS = timedelta(seconds=60)  # while nobody can tell who is alive, nobody is dead
MAX_LANES_PER_SWEEP = 1000  # with items, and as many with rows


class WaitingLanes(NamedTuple):
    """The customers for whom something waits, and since when; `has_unsent`: some of it are messages to send."""

    since: Mapping[int, datetime]
    has_unsent: bool


async def find_waiting_lanes(
    database: Database, heartbeat: Heartbeat, now: datetime, *, least_wait: timedelta, may_send: bool
) -> WaitingLanes:
    """Finds items that have waited for `least_wait`, and rows of the outbox that are due. Raises DatabaseDown."""
    alive = await heartbeat.find_alive_owners()
    owners = sorted((alive or set()) | {heartbeat.owner})
    dead_before = now - (DEAD_AFTER if alive is not None else DEAD_AFTER_REDIS_LOSS)
    # while nothing may go out, one lane is enough to find out whether that is over
    max_unsent = MAX_LANES_PER_SWEEP if may_send else 1
    fresh_for = timedelta(seconds=FRESH_SECONDS)
    async with database.reading() as tx:
        unsent = await outbox_reads.find_due_customers(tx, now, dead_before, owners, max_unsent)
        overdue = await find_overdue_customers(tx, now, least_wait, MAX_LANES_PER_SWEEP, fresh_for=fresh_for)
    since = dict(unsent)
    for customer_id, at in overdue.items():
        since[customer_id] = min(at, since.get(customer_id, at))
    return WaitingLanes(since, bool(unsent))
