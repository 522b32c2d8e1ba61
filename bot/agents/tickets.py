"""Opens tickets for agents and moves them: each change with its audit line and its notice to the customer, as one.

Invariants
- Only moves that MOVES has are made, from the status that is read while the customer is locked.
- A number that nobody has written from becomes a customer once, whoever is first.
- A notice that can't go out now is held.
"""

from dataclasses import dataclass, replace

from bot.agents import notices
from bot.agents.actor import Actor
from bot.agents.enqueue import compose, enqueue, find_delivery
from bot.agents.errors import IllegalStatusChange, TicketNotFound
from bot.agents.transaction import AgentTransaction, LockedCustomer
from bot.templates.notice_kinds import NoticeKind
from storage import audit, event_log, tickets
from storage.sql.database import Tx
from storage.statuses import AuditAction, Origin, OutboxStatus, TicketEventKind, TicketStatus
from storage.ticket_numbers import TicketNumbers
from storage.tickets import MOVES, StoredTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicket:
    """The ticket that an agent wants to open. `phone`: digits, or "" when the customer has none."""

    name: str
    phone: str
    email: str | None
    issue_type: str
    issue_type_other: str | None
    issue_title: str | None
    description: str
    whatsapp_notifications: bool


@dataclass(frozen=True, slots=True)
class TicketChange:
    """A ticket after a change. `delivery`: where the notice about it stands, None when there is none."""

    ticket: StoredTicket
    delivery: OutboxStatus | None


class TicketCommands:
    """What agents do with tickets, for one process."""

    def __init__(self, transaction: AgentTransaction, numbers: TicketNumbers) -> None:
        self._transaction = transaction
        self._numbers = numbers

    async def open(self, actor: Actor, new: NewTicket) -> TicketChange:
        """Opens a ticket for a customer, who may be new, or for nobody on WhatsApp."""
        await self._numbers.top_up(1)
        now, ticket_id = self._transaction.read_clock(), self._numbers.take()
        line = self._transaction.make_audit_line(actor, AuditAction.TICKET_OPEN, ticket_id)
        ticket = StoredTicket(
            ticket_id=ticket_id,
            customer_id=None,
            name=new.name,
            email=new.email,
            mobile=f"+{new.phone}" if new.phone else None,
            description=new.description,
            issue_type=new.issue_type,
            issue_type_other=new.issue_type_other,
            issue_title=new.issue_title,
            attachment_name=None,
            attachment_type=None,
            status=TicketStatus.NEW,
            whatsapp_enabled=bool(new.phone),
            whatsapp_notifications=new.whatsapp_notifications,
            created_at=now,
            updated_at=now,
        )
        content = notices.compose_notice(NoticeKind.OPENED, ticket)
        notice = compose(Origin.NOTICE, [content], ticket_id=ticket_id, make_id=self._transaction.make_id)
        opened = self._transaction.make_event(actor, ticket, TicketEventKind.OPENED, now, became=ticket.status)

        async def write(tx: Tx, customer: LockedCustomer | None) -> TicketChange:
            filed = replace(ticket, customer_id=customer.customer_id if customer else None)
            if await audit.is_committed(tx, line.audit_id):
                return TicketChange(filed, await find_delivery(tx, notice))
            await tickets.insert(tx, [filed])
            await event_log.write(tx, [replace(opened, customer_id=filed.customer_id)])
            await audit.write(tx, line)
            return TicketChange(filed, await enqueue(tx, customer, notice, now) if new.whatsapp_notifications else None)

        if not new.phone:
            return await self._transaction.run_for_nobody(write)
        return await self._transaction.run_for_phone(new.phone, new.name, write)

    async def set_status(self, actor: Actor, ticket_id: int, status: TicketStatus) -> TicketChange:
        """Moves a ticket to another status; raises TicketNotFound, IllegalStatusChange. To the one that it has, nothing
        changes."""
        found = await self._transaction.read_ticket(ticket_id)
        now = self._transaction.read_clock()
        line = self._transaction.make_audit_line(actor, AuditAction.TICKET_STATUS, ticket_id)
        content = notices.compose_notice(NoticeKind(status), found)
        notice = compose(Origin.NOTICE, [content], ticket_id=ticket_id, make_id=self._transaction.make_id)
        change = self._transaction.make_event(actor, found, TicketEventKind.STATUS, now, became=status)

        async def write(tx: Tx, customer: LockedCustomer | None) -> TicketChange:
            ticket = await tickets.find(tx, ticket_id)
            if ticket is None:
                raise TicketNotFound
            if await audit.is_committed(tx, line.audit_id):
                return TicketChange(ticket, await find_delivery(tx, notice))
            if ticket.status == status:
                return TicketChange(ticket, None)
            if status not in MOVES[ticket.status]:
                raise IllegalStatusChange(ticket.status, status)
            await tickets.set_status(tx, replace(change, was=ticket.status), ticket.issue_type)
            await audit.write(tx, replace(line, detail=f"{ticket.status} -> {status}"))
            is_wanted = ticket.whatsapp_enabled and ticket.whatsapp_notifications
            delivery = await enqueue(tx, customer, notice, now) if is_wanted else None
            return TicketChange(replace(ticket, status=status, updated_at=now), delivery)

        return await self._transaction.run_for_ticket(found, write)
