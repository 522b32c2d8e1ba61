"""Writes to customers outside of any ticket.

Invariants
- What can't go out now is refused, and never queued or held: no ticket would show it.
"""

from dataclasses import dataclass

from bot.agents.actor import Actor
from bot.agents.enqueue import compose, enqueue, find_delivery, requeue
from bot.agents.errors import MessageNotFound, WindowClosed
from bot.agents.transaction import AgentTransaction, LockedCustomer
from storage import audit, replies
from storage.fence import CustomerGone
from storage.sql.database import Tx
from storage.statuses import AuditAction, Origin, OutboxStatus


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that is no reply. `outbox_id`: the first row that carries it."""

    outbox_id: int
    delivery: OutboxStatus | None


class MessageCommands:
    """What agents send outside of tickets, for one process."""

    def __init__(self, transaction: AgentTransaction) -> None:
        self._transaction = transaction

    async def send(self, actor: Actor, phone: str, text: str) -> SentMessage:
        """Sends a text to the customer with this phone; raises WindowClosed."""
        customer_id = await self._transaction.find_customer(phone)
        if customer_id is None:
            raise WindowClosed  # who never wrote has no window
        content = {"type": "text", "text": text}
        message = compose(Origin.AGENT, [content], ticket_id=None, make_id=self._transaction.make_id)
        line = self._transaction.make_audit_line(actor, AuditAction.MESSAGE_SEND, customer_id)

        async def write(tx: Tx, customer: LockedCustomer | None) -> SentMessage:
            if await audit.is_committed(tx, line.audit_id):
                return SentMessage(message.outbox_ids[0], await find_delivery(tx, message))
            if customer is None or not customer.window_open:
                raise WindowClosed
            await audit.write(tx, line)
            return SentMessage(message.outbox_ids[0], await enqueue(tx, customer, message, line.at))

        try:
            return await self._transaction.run_for_customer(customer_id, write)
        except CustomerGone:
            return await self.send(actor, phone, text)

    async def send_again(self, actor: Actor, outbox_id: int) -> None:
        """Sends a message again of which it is not known whether the customer has it, at the risk that they get it
        twice; raises MessageNotFound, NotInDoubt."""
        async with self._transaction.database.reading() as tx:
            found = await replies.find_unticketed(tx, outbox_id)
        if found is None:
            raise MessageNotFound
        line = self._transaction.make_audit_line(actor, AuditAction.MESSAGE_SEND_AGAIN, found.customer_id)

        async def write(tx: Tx, _customer: LockedCustomer | None) -> None:
            await requeue(tx, outbox_id, line)

        try:
            await self._transaction.run_for_customer(found.customer_id, write)
        except CustomerGone:
            await self.send_again(actor, outbox_id)
