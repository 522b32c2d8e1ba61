"""Notices a reverse proxy that TRUSTED_PROXIES does not name: behind it all people have one address.

Invariants
- Only a request that has proved whose it is tells of a proxy: anybody can write X-Forwarded-For, and who followed an
  advice that a stranger gave would trust that stranger.
- It is said once a process: a line in the log, and an alert, which ends with the next start.
"""

import structlog

from api.server.front_door import Visit
from api.web.deferred_writes import DeferredWrites
from bot.clock import Clock
from storage import alerts
from storage.alerts import Alert
from storage.statuses import AlertSeverity

SUBJECT = "proxy:undeclared"
log = structlog.get_logger(__name__)


class UndeclaredProxies:
    """Notices them for one process."""

    def __init__(self, deferred: DeferredWrites, clock: Clock) -> None:
        self._deferred = deferred
        self._clock = clock
        self._is_said = False

    def begin(self) -> None:
        """Ends what an earlier process has said, whose settings may have been others."""
        now = self._clock()
        self._deferred.add(lambda tx: alerts.clear(tx, SUBJECT, now))

    def look_at(self, visit: Visit) -> None:
        """Looks at a request that has proved whose it is: Meta's by its signature, or an agent's by their password."""
        if self._is_said or not visit.has_undeclared_proxy:
            return
        self._is_said = True
        peer = visit.peer[0]
        message = (
            f"Requests come through a proxy at {peer} that TRUSTED_PROXIES does not name: to Tick everybody behind it "
            "has one address, and who guesses passwords slows the sign-in for all. "
            f"Set TRUSTED_PROXIES={peer}, see that the proxy sets X-Forwarded-For, and restart Tick."
        )
        log.warning("undeclared_proxy", peer=peer, consequence="everybody behind it counts as one")
        alert = Alert(SUBJECT, AlertSeverity.YELLOW, message, self._clock())
        self._deferred.add(lambda tx: alerts.raise_alert(tx, alert))
