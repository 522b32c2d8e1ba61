"""Whether anything may go out at all: what closes the channel to Meta, and what opens it again.

Invariants: once Meta has refused a message for a reason that every other would meet too (a token that expired, a
number that is blocked), nothing more is sent and everything stays queued; then one message at a time is tried, at the
pace that the table of errors states, and the first that goes through opens the channel for all. Nobody has to tell Tick
that something was mended, and no row loses a try meanwhile. Why it stands still is an alert, which every process shows.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.whatsapp.errors import Action
from bot.whatsapp.graph.client import GraphClient, Refused
from bot.whatsapp.graph.response import GraphError
from storage import alerts
from storage.alerts import Alert
from storage.sql.database import Database, DatabaseDown, Tx

SUBJECT = "channel"
ASK_SECONDS = 60.0
UNTOLD_SECONDS = 5.0
log = structlog.get_logger(__name__)


class Channel:
    """One process's view of it. `read_token`: the token as the settings have it now, "" when they can't be read."""

    def __init__(self, database: Database, graph: GraphClient, clock: Clock, read_token: Callable[[], str]) -> None:
        self._database = database
        self._graph = graph
        self._clock = clock
        self._read_token = read_token
        self._probe_at: datetime | None = None  # None: open
        self._pause = timedelta()
        self._stopped_for = ""
        self._asked_at: datetime | None = None
        self._sure = False  # that no alert of an earlier process is left

    @property
    def stopped(self) -> bool:
        """Nothing but a probe goes out."""
        return self._probe_at is not None

    def wait_seconds(self) -> float:
        """0: the caller may send, and while the channel is closed, it is the probe. Else how long it has to wait."""
        if self._probe_at is None:
            return 0.0
        now = self._clock()
        if timedelta() < self._probe_at - now <= self._pause:  # longer is not meant: the clock was put back
            return (self._probe_at - now).total_seconds()
        self._probe_at = now + self._pause  # the next who asks waits for what becomes of this one
        self._renew()
        return 0.0

    async def stop(self, refused: Refused | GraphError) -> float:
        """Meta refused what it would refuse every time; returns the seconds until the next probe."""
        now = self._clock()
        self._pause = timedelta(seconds=refused.wait_seconds)
        self._probe_at = now + self._pause
        self._asked_at = now  # to ask at once would tell less: many a question is answered where no message goes out
        if self._stopped_for != refused.reason:
            log.error("channel_stopped", code=refused.code, reason=refused.reason, detail=refused.detail)
            words = f"{refused.reason} ({refused.code}: {refused.detail})" if refused.detail else refused.reason
            self._stopped_for = refused.reason
            if not await self._tell(Alert(SUBJECT, "red", words[:500], now)):
                self._stopped_for = ""  # the next refusal tells it
        self._sure = False
        return refused.wait_seconds

    async def works(self) -> None:
        """Meta took something, or refused it for its own sake: the channel is open."""
        if self._probe_at is None and self._sure:
            return
        if self._probe_at is not None:
            log.warning("channel_open_again", was=self._stopped_for)
        self._probe_at, self._stopped_for, self._sure = None, "", True  # before the others ask
        self._sure = await self._tell(None)

    async def look(self) -> None:
        """While it is closed, whether somebody has cleared the alert: then the next send is a probe. Until Meta has
        answered one, nobody is told that it stands still, so they follow each other at a pace of seconds."""
        if self._stopped_for and not await self._told():
            self._probe_at, self._stopped_for, self._asked_at = self._clock(), "", None  # a refusal is told again
            self._pause = timedelta(seconds=UNTOLD_SECONDS)

    async def ask(self) -> None:
        """While nothing waits that could be the probe, a question about our number is: once a minute, since Meta counts
        these. It is asked only while there is an alert, which another process may have left at any time."""
        now = self._clock()
        if self._asked_at is not None and abs(now - self._asked_at) < timedelta(seconds=ASK_SECONDS):
            return
        self._asked_at = now
        self._sure = not await self._told() and not self.stopped
        if self._sure:
            return
        self._renew()
        before = self._probe_at
        answer = await self._graph.get(self._graph.settings.phone_number_id, {"fields": "health_status"})
        if answer.error is not None and answer.error.action is Action.STOP:
            await self.stop(answer.error)
        elif answer.value and not _blocked(answer.value) and self._probe_at == before:  # no message was refused since
            await self.works()

    def _renew(self) -> None:
        if token := self._read_token():
            self._graph.renew(token)

    async def _told(self) -> bool:
        async with self._database.reading() as tx:
            return await alerts.find(tx, SUBJECT) is not None

    async def _tell(self, alert: Alert | None) -> bool:
        """False when it could not be written."""

        async def work(tx: Tx) -> None:
            if alert is not None:
                await alerts.raise_alert(tx, alert)
            else:
                await alerts.clear(tx, SUBJECT, self._clock())

        try:
            await self._database.run(work)
        except DatabaseDown as error:
            log.warning("alert_not_written", error=str(error))
            return False
        return True


def _blocked(number: Mapping[str, object]) -> bool:
    """Whether Meta says so of its own accord: a question is answered also where every message is refused."""
    health = number.get("health_status")
    return isinstance(health, Mapping) and health.get("can_send_message") == "BLOCKED"
