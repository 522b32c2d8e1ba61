"""Breaks the circuit between us and Meta on a refusal that every message would meet, and lets probes through.

Such refusals are a token that expired or a number that Meta has blocked; the table of errors calls them STOP. An alert,
which every process shows, says why nothing goes out.

Invariants
- While the breaker is tripped, rows stay queued and lose no try.
- One message at a time goes out as the probe, at the pace that the table of errors states; the first that Meta takes
  resets the breaker. Nobody has to tell Tick that something was fixed.
- When somebody clears the alert, the next message is a probe at once, in every process.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.whatsapp.errors import Action, describe_refusal
from bot.whatsapp.graph.client import GraphClient, Refused
from bot.whatsapp.graph.response import GraphError
from storage import alerts
from storage.alerts import Alert
from storage.sql.database import Database, DatabaseDown, Tx
from storage.statuses import AlertSeverity

SUBJECT = "channel"  # of the alert
NUMBER_PROBE_SECONDS = 60.0  # Meta counts these questions
CLEARED_PROBE_SECONDS = 5.0  # as long as no alert tells people that nothing goes out, probes follow each other faster
log = structlog.get_logger(__name__)


class CircuitBreaker:
    """One process's breaker. `read_token`: the token as the settings have it now, "" when they can't be read."""

    def __init__(self, *, database: Database, graph: GraphClient, clock: Clock, read_token: Callable[[], str]) -> None:
        self._database = database
        self._graph = graph
        self._clock = clock
        self._read_token = read_token
        self._probe_at: datetime | None = None  # None: not tripped
        self._pause = timedelta()  # between probes
        self._tripped_for = ""
        self._asked_at: datetime | None = None
        self._knows_no_alert = False  # nor one that an earlier process left

    @property
    def is_tripped(self) -> bool:
        """Whether nothing but a probe may go out."""
        return self._probe_at is not None

    def admit(self) -> float:
        """Returns 0 when the caller may send, else the seconds to wait. While tripped, who is admitted is the probe."""
        if self._probe_at is None:
            return 0.0
        now = self._clock()
        if timedelta() < self._probe_at - now <= self._pause:  # longer is not meant: the clock was put back
            return (self._probe_at - now).total_seconds()
        self._probe_at = now + self._pause  # the next who asks waits for what becomes of this one
        self._renew_token()
        return 0.0

    async def trip(self, refused: Refused | GraphError) -> float:
        """Stops all sending, since Meta would refuse every message so; returns the seconds until the next probe."""
        now = self._clock()
        self._pause = timedelta(seconds=refused.wait_seconds)
        self._probe_at = now + self._pause
        self._asked_at = now  # to ask at once would tell less: many a question is answered where no message goes out
        if self._tripped_for != refused.reason:
            log.error("channel_stopped", code=refused.code, reason=refused.reason, detail=refused.detail)
            words = describe_refusal(refused.reason, refused.code, refused.detail) if refused.detail else refused.reason
            self._tripped_for = refused.reason
            if not await self._write_alert(Alert(SUBJECT, AlertSeverity.RED, words[:500], now)):
                self._tripped_for = ""  # the next refusal writes it
        self._knows_no_alert = False
        return refused.wait_seconds

    async def reset(self) -> None:
        """Lets all messages go out again: Meta took one, or refused it for its own sake alone."""
        if self._probe_at is None and self._knows_no_alert:
            return
        if self._probe_at is not None:
            log.warning("channel_open_again", was=self._tripped_for)
        self._probe_at, self._tripped_for, self._knows_no_alert = None, "", True  # before others are admitted
        self._knows_no_alert = await self._write_alert(None)

    async def follow_alert(self) -> None:
        """Makes the next message a probe when the breaker is tripped and somebody has cleared its alert."""
        if self._tripped_for and not await self._has_alert():
            self._probe_at, self._tripped_for, self._asked_at = self._clock(), "", None
            self._pause = timedelta(seconds=CLEARED_PROBE_SECONDS)

    async def probe_number(self) -> None:
        """Asks Meta about our number where no message waits that could be the probe: once a minute, while there is an
        alert, which another process may have left at any time."""
        now = self._clock()
        if self._asked_at is not None and abs(now - self._asked_at) < timedelta(seconds=NUMBER_PROBE_SECONDS):
            return
        self._asked_at = now
        self._knows_no_alert = not await self._has_alert() and not self.is_tripped
        if self._knows_no_alert:
            return
        self._renew_token()
        before = self._probe_at
        answer = await self._graph.get(self._graph.settings.phone_number_id, {"fields": "health_status"})
        if answer.error is not None and answer.error.action is Action.STOP:
            await self.trip(answer.error)
        # a message that was refused meanwhile knows better than the answer to a question
        elif answer.value and not _is_blocked(answer.value) and self._probe_at == before:
            await self.reset()

    def _renew_token(self) -> None:
        if token := self._read_token():
            self._graph.replace_token(token)

    async def _has_alert(self) -> bool:
        async with self._database.reading() as tx:
            return await alerts.find(tx, SUBJECT) is not None

    async def _write_alert(self, alert: Alert | None) -> bool:
        """Raises the alert, or clears it (None); returns False when the database did not take it."""

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


def _is_blocked(number: Mapping[str, object]) -> bool:
    """Whether Meta says that the number is blocked: it answers questions also where it refuses every message."""
    health = number.get("health_status")
    return isinstance(health, Mapping) and health.get("can_send_message") == "BLOCKED"
