"""Has customers' files fetched now that could not be fetched, or that were left at Meta."""

from collections.abc import Callable

from bot.agents.actor import Actor
from bot.agents.transaction import AgentTransaction
from storage import audit, file_fetches
from storage.sql.database import Tx
from storage.statuses import AuditAction


class FileCommands:
    """What agents do about files, for one process."""

    def __init__(self, transaction: AgentTransaction, ring: Callable[[], None]) -> None:
        """`ring`: tells what fetches files in this process, if anything does, that there is work."""
        self._transaction = transaction
        self._ring = ring

    async def retry(self, actor: Actor, file_id: int) -> None:
        """Has a file fetched now whose last try failed, or that was left at Meta; another is left as it is."""
        line = self._transaction.make_audit_line(actor, AuditAction.FILE_RETRY, file_id)

        async def write(tx: Tx) -> None:
            if await file_fetches.retry(tx, file_id, line.at):
                await audit.write(tx, line)

        await self._transaction.database.run(write)
        self._ring()
