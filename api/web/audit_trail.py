"""Writes into the audit what somebody did that changes no row of ours: what they had Meta do, and sign-ins refused.

Invariants
- What Meta is to do is written before Meta is asked: nothing happens there of which nobody knows who wanted it. So a
  line says that it was asked for, and not that Meta did it.
- Of what strangers cause at most MAX_REFUSALS_PER_HOUR lines an agent are written, each by and by: nobody fills the
  audit by guessing, or learns from the time that an answer takes whether there is such an agent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api.web.deferred_writes import DeferredWrites
from bot.clock import Clock
from bot.ids import IdMaker
from storage import audit
from storage.agents import StoredAgent
from storage.audit import AuditLine
from storage.sql.database import Database
from storage.statuses import AuditAction

MAX_REFUSALS_PER_HOUR = 10  # of one agent and in one process: enough to see that somebody guesses, and from where
REFUSALS_PERIOD = timedelta(hours=1)


@dataclass(slots=True)
class _Refusals:
    """How many refused sign-ins of an agent were written since `since`."""

    since: datetime
    count: int = 0


class AuditTrail:
    """Writes the audit of one process, where there is no other transaction to write it in."""

    def __init__(self, *, database: Database, ids: IdMaker, clock: Clock, deferred: DeferredWrites) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock
        self._deferred = deferred
        self._refusals: dict[int, _Refusals] = {}  # by the ids of agents, of whom there are few

    async def record(self, actor: str, action: AuditAction, *, object_id: str = "", detail: str = "") -> None:
        """Writes what somebody has us do, before it is done. Raises DatabaseDown."""
        line = AuditLine(self._ids.next(), self._clock(), actor, action, object_id, detail)
        await self._database.run(lambda tx: audit.write_once(tx, line))

    def record_refusal(self, agent: StoredAgent, network: str) -> None:
        """Has it written that somebody in this network gave a wrong password for this agent's address."""
        now = self._clock()
        kept = self._refusals.get(agent.agent_id)
        if kept is None or not timedelta(0) <= now - kept.since < REFUSALS_PERIOD:
            kept = self._refusals[agent.agent_id] = _Refusals(now)
        if kept.count < MAX_REFUSALS_PER_HOUR:
            kept.count += 1
            action, actor = AuditAction.AGENT_SIGN_IN_REFUSED, f"somebody at {network}"
            line = AuditLine(self._ids.next(), now, actor, action, agent.agent_id, agent.email)
            self._deferred.add(lambda tx: audit.write_once(tx, line))
