"""Watches what a process stands on, Redis and the disk of the files, and tells of what is wrong with it.

Invariants
- What is wrong is an alert as long as it is so, and a metric of each process.
- A Redis that is away is no alert of this kind: it may be restarting, and the work goes on when it is back.
"""

import asyncio
from enum import StrEnum

import structlog

from bot.clock import Clock
from bot.metrics import Metrics
from bot.redis_watch import RedisWatch
from storage import alerts
from storage.alerts import Alert
from storage.blobs.store import FileStore
from storage.redis.client import RedisDown, describe_refusal
from storage.redis.lanes import Lanes
from storage.sql.database import Database, DatabaseDown, Tx
from storage.statuses import AlertSeverity

LOOK_SECONDS = 2.0
REDIS_SECONDS = 2.0
CONSEQUENCE = "Messages are answered by SQL alone meanwhile, which takes seconds longer."
EVICTION = "What it throws away is brought back from SQL, and answers take seconds longer then."
FILES_WAIT = "Customers' files wait at Meta meanwhile, which keeps them for seven days."
log = structlog.get_logger(__name__)


class Subject(StrEnum):
    """What the alerts are about, and the label of the metric."""

    REDIS = "redis:refuses"
    REDIS_SETTINGS = "redis:settings"
    FILES = "files:disk"


SEVERITIES = {
    Subject.REDIS: AlertSeverity.RED,
    Subject.REDIS_SETTINGS: AlertSeverity.YELLOW,
    Subject.FILES: AlertSeverity.RED,
}


class ResourceMonitor:
    """Watches for one process. `is_redis_embedded`: Redis is Tick's own."""

    def __init__(
        self,
        *,
        database: Database,
        lanes: Lanes,
        store: FileStore,
        clock: Clock,
        metrics: Metrics,
        redis_watch: RedisWatch,
        is_redis_embedded: bool,
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._redis_watch = redis_watch
        self._is_redis_embedded = is_redis_embedded

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseDown as error:  # it is looked at again, and the metric tells
                log.warning("database_down", error=str(error))
            except Exception:
                log.exception("resource_monitor_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Looks once. Raises DatabaseDown."""
        refusal, no_room = await self._ask_redis(), await self._store.check_room()
        unfit = await self._inspect_redis() if refusal == "" else None
        found = {
            Subject.REDIS: refusal and f"{refusal} {CONSEQUENCE}",
            Subject.REDIS_SETTINGS: unfit and f"{unfit} {EVICTION}",
            Subject.FILES: no_room and f"{no_room} {FILES_WAIT}",
        }
        for subject, wrong in found.items():
            if wrong is not None:
                self._metrics.set_trouble(subject, is_there=bool(wrong))
        for subject, wrong in found.items():
            if wrong is not None:
                await self._tell(subject, wrong)

    async def _ask_redis(self) -> str | None:
        """Returns what Redis refuses, "" when it refuses nothing, None when it does not answer."""
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await self._lanes.check_writes()
        except TimeoutError:
            self._redis_watch.expect_change()
            return None
        except RedisDown as error:
            self._redis_watch.expect_change()
            if error.refusal is None:
                return None
            return describe_refusal(error.refusal, is_embedded=self._is_redis_embedded)
        return ""

    async def _inspect_redis(self) -> str:
        """Returns why Tick would not start with Redis as it is set by now, "" if it would."""
        await self._redis_watch.look()
        return self._redis_watch.unfit

    async def _tell(self, subject: Subject, wrong: str) -> None:
        """Raises the alert, or clears it where nothing is wrong."""
        async with self._database.reading() as tx:
            open_alert = await alerts.find(tx, subject)
        if wrong == (open_alert.message if open_alert else ""):
            return
        at = self._clock()

        async def write(tx: Tx) -> None:
            if wrong:
                await alerts.raise_alert(tx, Alert(subject, SEVERITIES[subject], wrong, at))
            else:
                await alerts.clear(tx, subject, at)

        await self._database.run(write)
        if wrong:
            log.error("trouble", subject=subject, message=wrong)
        else:
            log.info("trouble_over", subject=subject)
