"""Carries out what admins decide about the connection to Meta.

Invariants
- A decision is an alert that is cleared, which every process looks at, so it needs no message between them.
"""

from bot.agents.actor import Actor
from bot.agents.transaction import AgentTransaction
from bot.delivery import circuit_breaker
from storage import alerts, audit
from storage.sql.database import Tx
from storage.statuses import AuditAction


class ConnectionCommands:
    """What admins do about the connection, for one process."""

    def __init__(self, transaction: AgentTransaction) -> None:
        self._transaction = transaction

    async def retry_stopped_channel(self, actor: Actor) -> bool:
        """Has sending tried again, because what stopped it was fixed at Meta: every process tries within a second, and
        stops again if it was not. Returns False where nothing was stopped."""
        line = self._transaction.make_audit_line(actor, AuditAction.CHANNEL_TRY, circuit_breaker.SUBJECT)

        async def write(tx: Tx) -> bool:
            if await audit.is_committed(tx, line.audit_id):
                return True
            if not await alerts.clear(tx, circuit_breaker.SUBJECT, line.at):
                return False
            await audit.write(tx, line)
            return True

        return await self._transaction.database.run(write)
