"""What an agent does with tickets: each change with its line in the audit and its notice to the customer, as one. And
what an admin does about a channel that stands still.

Invariants: only moves that MOVES has are made, from the status that is read behind the fence; a number that nobody has
written from becomes a customer once, whoever is first; a notice that can't go out now is held.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from bot.agents import notices
from bot.agents.enqueue import Behind, delivery, post
from bot.agents.replies import Answers
from bot.agents.transaction import NoTicket, WindowClosed
from bot.clock import Clock
from bot.delivery import circuit_breaker
from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.phones import lookup_forms
from storage import alerts, audit, customers, tickets
from storage.customers import phone_alias
from storage.redis.lanes import Lanes
from storage.sql.database import Clash, Database, Tx
from storage.statuses import Origin, OutboxStatus, TicketStatus
from storage.ticket_numbers import TicketNumbers
from storage.tickets import MOVES, StoredTicket

__all__ = ["AgentDesk", "Changed", "IllegalMove", "NoTicket", "WindowClosed", "Wish"]
T = TypeVar("T")


class IllegalMove(Exception):
    """The ticket can't go from the status it has to this one."""

    def __init__(self, current: TicketStatus) -> None:
        super().__init__(current)
        self.current = current


class _Appeared(Exception):
    """The customer, who was not there before the transaction, is there now."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The ticket that an agent wants. `phone`: digits, or "" when the customer has none."""

    name: str
    phone: str
    email: str | None
    issue_type: str
    issue_type_other: str | None
    issue_title: str | None
    description: str
    notifications: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A ticket after the change; `delivery`: where its notice stands, None when there is none."""

    ticket: StoredTicket
    delivery: OutboxStatus | None


class AgentDesk(Answers):
    """The agents' side of the bot: what they say, and what they do with tickets."""

    def __init__(self, database: Database, lanes: Lanes, ids: IdMaker, numbers: TicketNumbers, clock: Clock) -> None:
        super().__init__(database, lanes, ids, clock)
        self._numbers = numbers

    async def open_ticket(self, actor: str, wish: Wish) -> Changed:
        """Opens a ticket for a customer, who may be new, or for nobody on WhatsApp."""
        await self._numbers.top_up(1)
        now, ticket_id, new_customer_id = self._clock(), self._numbers.take(), self._ids.next()
        line = self._line(actor, "ticket.open", ticket_id)
        ticket = StoredTicket(
            ticket_id, None, wish.name, wish.email, f"+{wish.phone}" if wish.phone else None, wish.description,
            wish.issue_type, wish.issue_type_other, wish.issue_title, None, None, TicketStatus.NEW, bool(wish.phone),
            wish.notifications, now, now,
        )  # fmt: skip
        notice = self._letter(Origin.NOTICE, [notices.notice(notices.OPENED, ticket)], ticket_id)

        async def write(tx: Tx, behind: Behind | None) -> Changed:
            filed = replace(ticket, customer_id=behind.customer_id if behind else None)
            if await audit.landed(tx, line.audit_id):
                return Changed(filed, await delivery(tx, notice))
            await tickets.insert(tx, filed)
            await audit.write(tx, line)
            return Changed(filed, await post(tx, behind, notice, now) if wish.notifications else None)

        if not wish.phone:
            return await self._database.run(lambda tx: write(tx, None))
        while True:
            customer_id = await self.customer_of(wish.phone)
            try:
                if customer_id is not None:
                    return await self.behind_fence(customer_id, write)
                return await self._with_new_customer(new_customer_id, wish, now, write)
            except _Appeared:
                continue

    async def set_status(self, actor: str, ticket_id: int, status: TicketStatus) -> Changed:
        """Gives a ticket another status; raises NoTicket, IllegalMove. The one it has changes nothing."""
        found = await self.ticket(ticket_id)
        now = self._clock()
        line = self._line(actor, "ticket.status", ticket_id)
        notice = self._letter(Origin.NOTICE, [notices.notice(status, found)], ticket_id)

        async def write(tx: Tx, behind: Behind | None) -> Changed:
            ticket = await tickets.find(tx, ticket_id)
            if ticket is None:
                raise NoTicket
            if await audit.landed(tx, line.audit_id):
                return Changed(ticket, await delivery(tx, notice))
            if ticket.status == status:
                return Changed(ticket, None)
            if status not in MOVES[ticket.status]:
                raise IllegalMove(ticket.status)
            await tickets.set_status(tx, ticket_id, status, now)
            await audit.write(tx, replace(line, detail=f"{ticket.status} -> {status}"))
            wanted = ticket.whatsapp_enabled and ticket.whatsapp_notifications
            told = await post(tx, behind, notice, now) if wanted else None
            return Changed(replace(ticket, status=status, updated_at=now), told)

        return await self.change(found, write)

    async def try_channel(self, actor: str) -> bool:
        """What stopped the channel was mended at Meta, says an admin: every process tries within a second, and stops
        again if it was not. False when nothing stands still."""
        line = self._line(actor, "channel.try", circuit_breaker.SUBJECT)

        async def work(tx: Tx) -> bool:
            if await audit.landed(tx, line.audit_id):
                return True
            if not await alerts.clear(tx, circuit_breaker.SUBJECT, line.at):
                return False
            await audit.write(tx, line)
            return True

        return await self._database.run(work)

    async def _with_new_customer(
        self, customer_id: int, wish: Wish, now: datetime, write: Callable[[Tx, Behind | None], Awaitable[T]]
    ) -> T:
        aliases = [phone_alias(form) for form in lookup_forms(wish.phone)]
        body = LaneState(address=wish.phone).to_json()

        async def work(tx: Tx) -> T:
            directory = await customers.read_directory(tx, aliases, now, body)
            if directory.find(aliases) is not None:
                raise _Appeared
            directory.add(customer_id, wish.name, aliases[:1])
            await customers.write_directory(tx, directory)
            return await write(tx, await self.fence(tx, customer_id))

        result = await self._database.run(work, clash=Clash.RUN_AGAIN)
        await self.ring(customer_id)
        return result
