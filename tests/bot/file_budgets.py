"""Budgets for tests in which nobody reaches Redis."""

from bot.clock import Clock
from bot.ids import IdMaker
from bot.media.file_budget import FileBudget
from storage.redis.client import RedisSettings, open_redis
from storage.redis.lanes import Lanes
from storage.sql.database import Database

NO_REDIS = "redis://127.0.0.1:9/0"  # nobody listens there


def make_budget(database: Database, clock: Clock, megabytes_per_day: float = 500.0) -> FileBudget:
    """Makes what keeps to the customers' budgets."""
    lanes = Lanes(open_redis(RedisSettings(NO_REDIS)), "tests")
    return FileBudget(
        database=database, lanes=lanes, ids=IdMaker(clock), clock=clock, megabytes_per_day=megabytes_per_day
    )
