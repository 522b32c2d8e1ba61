"""What an agent does, each as one transaction: the change, its line in the audit, and the messages to the customer.

Invariants: a change to a customer's ticket begins with their fence, so no turn of theirs overlooks it; all ids are made
before, and the audit's says whether an earlier try has landed, so nothing happens twice when a commit's outcome was not
heard; what can't go out now is written as held, in the same transaction. Redis is told afterwards, and may be down.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import structlog

from bot import notices
from bot.clock import Clock
from bot.ids import IdMaker
from bot.letters import Behind, Letter, delivery, post
from bot.phones import lookup_forms
from bot.place import Place
from bot.whatsapp.outgoing import split_text
from bot.window import window_open
from storage import audit, conversations, customers, tickets
from storage.audit import Line
from storage.customers import phone_alias
from storage.database import Clash, Database, Tx
from storage.lanes import Lanes
from storage.numbers import TicketNumbers
from storage.redis_client import RedisDown
from storage.tickets import MOVES, StoredReply, StoredTicket

RING_SECONDS = 0.2
T = TypeVar("T")
log = structlog.get_logger(__name__)


class NoTicket(Exception):
    """There is no ticket with this number."""


class IllegalMove(Exception):
    """The ticket can't go from the status it has to this one."""

    def __init__(self, current: str) -> None:
        super().__init__(current)
        self.current = current


class WindowClosed(Exception):
    """The customer has not written within 24 hours: only a template may go out."""


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
    delivery: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and where its delivery stands."""

    reply: StoredReply
    delivery: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of its own, outside of any ticket."""

    outbox_id: int
    delivery: str | None


class AgentDesk:
    """The agents' side of the bot."""

    def __init__(self, database: Database, lanes: Lanes, ids: IdMaker, numbers: TicketNumbers, clock: Clock) -> None:
        self._database = database
        self._lanes = lanes
        self._ids = ids
        self._numbers = numbers
        self._clock = clock

    async def open_ticket(self, actor: str, wish: Wish) -> Changed:
        """Opens a ticket for a customer, who may be new, or for nobody on WhatsApp."""
        await self._numbers.top_up(1)
        now, ticket_id, new_customer_id = self._clock(), self._numbers.take(), self._ids.next()
        line = Line(self._ids.next(), now, actor, "ticket.open", ticket_id)
        notice = self._letter("notice", notices.opened(ticket_id), ticket_id)
        ticket = StoredTicket(
            ticket_id, None, wish.name, wish.email, f"+{wish.phone}" if wish.phone else None, wish.description,
            wish.issue_type, wish.issue_type_other, wish.issue_title, None, None, "new", bool(wish.phone),
            wish.notifications, now, now,
        )  # fmt: skip

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
            customer_id = await self._customer_of(wish.phone)
            try:
                if customer_id is not None:
                    return await self._behind_fence(customer_id, write)
                return await self._with_new_customer(new_customer_id, wish, now, write)
            except _Appeared:
                continue

    async def set_status(self, actor: str, ticket_id: int, status: str) -> Changed:
        """Gives a ticket another status; raises NoTicket, IllegalMove. The one it has changes nothing."""
        found = await self._ticket(ticket_id)
        now = self._clock()
        line = Line(self._ids.next(), now, actor, "ticket.status", ticket_id)
        notice = self._letter("notice", notices.moved(ticket_id, status), ticket_id)

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

        return await self._change(found, write)

    def once(self) -> int:
        """The id of a change that is yet to be made: what is asked for twice with one happens once."""
        return self._ids.next()

    async def reply(
        self, actor: str, author_name: str, ticket_id: int, message: str, once: int | None = None
    ) -> Answered:
        """Answers the customer on a ticket; raises NoTicket. A long answer goes out in several messages."""
        found = await self._ticket(ticket_id)
        now = self._clock()
        line = Line(self.once() if once is None else once, now, actor, "ticket.reply", ticket_id)
        letter = self._letter("agent", message, ticket_id)
        sends = found.customer_id is not None and found.whatsapp_enabled
        outbox_id = letter.outbox_ids[0] if sends else None
        reply = StoredReply(self._ids.next(), ticket_id, "agent", message, None, outbox_id, now)

        async def write(tx: Tx, behind: Behind | None) -> Answered:
            if await audit.landed(tx, line.audit_id):
                return Answered(reply, await delivery(tx, letter))
            await tickets.insert_reply(tx, reply, author_name)
            await audit.write(tx, line)
            return Answered(reply, await post(tx, behind, letter, now) if sends else None)

        return await self._change(found, write)

    async def send(self, actor: str, phone: str, text: str) -> Sent:
        """Writes to a customer outside of any ticket; raises WindowClosed, and then nothing is queued."""
        customer_id = await self._customer_of(phone)
        if customer_id is None:
            raise WindowClosed  # who never wrote has no window
        now = self._clock()
        letter = self._letter("agent", text, None)
        line = Line(self._ids.next(), now, actor, "message.send", customer_id)

        async def write(tx: Tx, behind: Behind | None) -> Sent:
            if await audit.landed(tx, line.audit_id):
                return Sent(letter.outbox_ids[0], await delivery(tx, letter))
            if behind is None or not behind.window_open:
                raise WindowClosed
            await audit.write(tx, line)
            return Sent(letter.outbox_ids[0], await post(tx, behind, letter, now))

        return await self._behind_fence(customer_id, write)

    async def _ticket(self, ticket_id: int) -> StoredTicket:
        async with self._database.reading() as tx:
            found = await tickets.find(tx, ticket_id)
        if found is None:
            raise NoTicket
        return found

    async def _customer_of(self, phone: str) -> int | None:
        aliases = [phone_alias(form) for form in lookup_forms(phone)]
        async with self._database.reading() as tx:
            directory = await customers.read_directory(tx, aliases, self._clock(), "")
        return directory.find(aliases)

    async def _change(self, ticket: StoredTicket, write: Callable[[Tx, Behind | None], Awaitable[T]]) -> T:
        """`write` behind the fence of the ticket's customer, or holding the ticket where it is nobody's."""
        if ticket.customer_id is not None:
            return await self._behind_fence(ticket.customer_id, write)

        async def work(tx: Tx) -> T:
            await tickets.hold(tx, ticket.ticket_id)
            return await write(tx, None)

        return await self._database.run(work)

    async def _behind_fence(self, customer_id: int, write: Callable[[Tx, Behind | None], Awaitable[T]]) -> T:
        async def work(tx: Tx) -> T:
            return await write(tx, await self._fence(tx, customer_id))

        result = await self._database.run(work)
        await self._ring(customer_id)
        return result

    async def _with_new_customer(
        self, customer_id: int, wish: Wish, now: datetime, write: Callable[[Tx, Behind | None], Awaitable[T]]
    ) -> T:
        aliases = [phone_alias(form) for form in lookup_forms(wish.phone)]
        body = Place(address=wish.phone).to_json()

        async def work(tx: Tx) -> T:
            directory = await customers.read_directory(tx, aliases, now, body)
            if directory.find(aliases) is not None:
                raise _Appeared
            directory.add(customer_id, wish.name, aliases[:1])
            await customers.write_directory(tx, directory)
            return await write(tx, await self._fence(tx, customer_id))

        result = await self._database.run(work, clash=Clash.RUN_AGAIN)
        await self._ring(customer_id)
        return result

    async def _fence(self, tx: Tx, customer_id: int) -> Behind:
        version, body = await conversations.raise_version(tx, customer_id)
        return Behind(customer_id, version, window_open(Place.from_json(body).last_inbound_at, self._clock()))

    def _letter(self, origin: str, text: str, ticket_id: int | None) -> Letter:
        return Letter(origin, [(self._ids.next(), piece) for piece in split_text(text)], ticket_id)

    async def _ring(self, customer_id: int) -> None:
        """Their lane has something to do, and its copy of the conversation is behind. Lost, it costs a second."""
        try:
            async with asyncio.timeout(RING_SECONDS):
                await self._lanes.ring({customer_id: 0}, forget=[customer_id])
        except (RedisDown, TimeoutError) as error:
            log.warning("ring_failed", error=str(error))
