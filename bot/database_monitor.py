"""Tells of what makes work wait at the database while it lasts: rows that are held, idle transactions, a full pool; and
of lines that the log loses.

Invariants
- What is wrong is in /readyz, in a metric and, as an alert, in every process's status and at the desk. Its line in the
  log says when it begins and when it is over.
- Of several processes that see the same, each says so again and again; the alert ends once nobody has for SAID_SECONDS.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from bot.clock import Clock
from bot.metrics import Metrics
from storage import alerts
from storage.alerts import Alert
from storage.sql import sessions
from storage.sql.database import Database, DatabaseDown, Tx
from storage.sql.held_rows import HeldSummary
from storage.sql.sessions import IdleTransaction
from storage.statuses import AlertSeverity

LOOK_SECONDS = 1.0
SAID_SECONDS = 4.0  # several looks: another process may still see it
MIN_HELD_SECONDS = 2.0  # most locks are held for milliseconds
MAX_CUSTOMERS_SHOWN = 3
log = structlog.get_logger(__name__)


class DatabaseTrouble(StrEnum):
    """What the alerts are about, and the label of the metric."""

    HELD = "sql:held"
    IDLE = "sql:idle"
    POOL = "sql:pool"
    LOG = "log:dropped"


IN_SHORT = {  # for everybody who may reach /readyz: no user and no address
    DatabaseTrouble.HELD: "Rows in the database have been locked by another session",
    DatabaseTrouble.IDLE: "A session at the database has been idle in the middle of a transaction",
    DatabaseTrouble.POOL: "All connections to the database have been in use",
    DatabaseTrouble.LOG: "Lines of the log have been lost",
}


class DatabaseMonitor:
    """Watches for one process. `troubles`: what is wrong now, a sentence by subject, for whoever asks this process;
    `count_dropped_lines`: how many lines of the log are lost by now."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        troubles: MutableMapping[str, str],
        count_dropped_lines: Callable[[], int],
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._troubles = troubles
        self._count_dropped_lines = count_dropped_lines
        self._dropped = count_dropped_lines()
        self._was_full = False
        self._may_look = True  # at other sessions
        self._since: dict[DatabaseTrouble, datetime] = {}

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseDown as error:  # it is looked at again, and the metric tells
                log.debug("waits", error=str(error))
            except Exception:
                log.exception("database_monitor_failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Looks once. Raises DatabaseDown."""
        idle: list[IdleTransaction] = []
        try:
            idle = await self._find_idle()
        finally:  # without the database the rest is told all the same
            found = {
                DatabaseTrouble.HELD: self._describe_held(self._database.held.summarize(), idle),
                DatabaseTrouble.IDLE: self._describe_idle(idle),
                DatabaseTrouble.POOL: self._describe_pool(),
                DatabaseTrouble.LOG: self._describe_log(),
            }
            for trouble, wrong in found.items():
                self._note(trouble, wrong)
        await self._tell({trouble: wrong for trouble, wrong in found.items() if wrong})

    async def _find_idle(self) -> list[IdleTransaction]:
        found = await sessions.find_idle_transactions(self._database) if self._may_look else []
        self._may_look = found is not None
        return found or []

    def _begin(self, trouble: DatabaseTrouble, seconds: float) -> str:
        """Returns since when it has been so."""
        since = self._since.setdefault(trouble, self._clock() - timedelta(seconds=seconds))
        return f"{since:%Y-%m-%d %H:%M:%S} UTC"

    def _describe_held(self, summary: HeldSummary | None, idle: list[IdleTransaction]) -> str:
        if summary is None or summary.seconds < MIN_HELD_SECONDS:
            return ""
        since = self._begin(DatabaseTrouble.HELD, summary.seconds)
        by = f"session {idle[0].session_id} ({idle[0].address}), it seems," if idle else "another session"
        return (
            f"Rows in the database have been locked by {by} since {since}. Whose rows they are waits, and nobody else. "
            "SHOW PROCESSLIST there names the sessions, and KILL ends one."
        )

    def _describe_idle(self, idle: list[IdleTransaction]) -> str:
        if not idle:
            return ""
        since = self._begin(DatabaseTrouble.IDLE, idle[0].idle_seconds)
        return (
            f"A session at the database, {idle[0].session_id} ({idle[0].address}), has done nothing in the middle of a "
            f"transaction since {since}, and holds rows. KILL {idle[0].session_id} there ends it."
        )

    def _describe_pool(self) -> str:
        state = sessions.read_pool_state(self._database)
        was_full, self._was_full = self._was_full, state.is_full
        if not (state.is_full and was_full):  # for a moment that is nothing
            return ""
        since = self._begin(DatabaseTrouble.POOL, LOOK_SECONDS)
        return f"All {state.limit} connections of a process to the database have been in use since {since}: work waits."

    def _describe_log(self) -> str:
        dropped, self._dropped = self._dropped, self._count_dropped_lines()
        if self._dropped == dropped:
            return ""
        since = self._begin(DatabaseTrouble.LOG, LOOK_SECONDS)
        return f"Lines of the log have been lost since {since}: its disk is full, or who reads it does not keep up."

    def _note(self, trouble: DatabaseTrouble, wrong: str) -> None:
        """Notes it for whoever asks this process, and logs when it begins and when it is over."""
        self._metrics.set_trouble(trouble, is_there=bool(wrong))
        if wrong and trouble not in self._troubles:
            summary = self._database.held.summarize() if trouble is DatabaseTrouble.HELD else None
            more = {} if summary is None else {"customer_ids": summary.customer_ids[:MAX_CUSTOMERS_SHOWN]}
            counts = {} if summary is None else {kind.name.lower(): count for kind, count in summary.counts.items()}
            log.error("trouble", subject=trouble, message=wrong, **more, **counts)
        elif not wrong and trouble in self._troubles:
            log.info("trouble_over", subject=trouble, since=str(self._since.get(trouble)))
        if wrong:
            self._troubles[trouble] = f"{IN_SHORT[trouble]} since {self._since[trouble]:%Y-%m-%d %H:%M:%S} UTC."
        else:
            self._troubles.pop(trouble, None)
            self._since.pop(trouble, None)

    async def _tell(self, wrong: dict[DatabaseTrouble, str]) -> None:
        """Raises the alerts of what is wrong, and ends those of what nobody has told of lately."""
        async with self._database.reading() as tx:
            open_alerts = {alert.subject for alert in await alerts.list_open(tx)}
        over = [trouble for trouble in DatabaseTrouble if trouble in open_alerts and trouble not in wrong]
        if not wrong and not over:
            return
        at = self._clock()

        async def write(tx: Tx) -> None:
            for trouble, message in sorted(wrong.items()):
                await alerts.raise_alert(tx, Alert(trouble, AlertSeverity.RED, message, at))
            for trouble in over:
                await alerts.expire(tx, at - timedelta(seconds=SAID_SECONDS), trouble)

        await self._database.run(write)
