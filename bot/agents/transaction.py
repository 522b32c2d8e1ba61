"""What every change by an agent has in common: one transaction behind the fence of its customer.

Invariants: a change to a customer's ticket begins with their fence, so no turn of theirs overlooks it; all ids are made
before, and the audit's says whether an earlier try has landed, so nothing happens twice when a commit's outcome was not
heard. Redis is told afterwards, and may be down.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from bot.agents.enqueue import Behind, Letter, Message
from bot.clock import Clock
from bot.ids import IdMaker
from bot.lane_ring import ring_soon
from bot.lane_state import LaneState
from bot.phones import lookup_forms
from bot.service_window import window_open
from bot.whatsapp.messages.build import fit
from storage import customers, fence, tickets
from storage.audit import Line
from storage.customers import phone_alias
from storage.redis.lanes import Lanes
from storage.sql.database import Database, Tx
from storage.statuses import Origin
from storage.tickets import StoredTicket

T = TypeVar("T")


class NoTicket(Exception):
    """There is no ticket with this number."""


class WindowClosed(Exception):
    """The customer has not written within 24 hours: only a template may go out."""


class Changes:
    """Makes changes for one process."""

    def __init__(self, database: Database, lanes: Lanes, ids: IdMaker, clock: Clock) -> None:
        self._database = database
        self._lanes = lanes
        self._ids = ids
        self._clock = clock

    def now(self) -> datetime:
        """The time by which windows are judged."""
        return self._clock()

    def once(self) -> int:
        """The id of a change that is yet to be made: what is asked for twice with one happens once."""
        return self._ids.next()

    async def ticket(self, ticket_id: int) -> StoredTicket:
        """The ticket; raises NoTicket."""
        async with self._database.reading() as tx:
            found = await tickets.find(tx, ticket_id)
        if found is None:
            raise NoTicket
        return found

    async def customer_of(self, phone: str) -> int | None:
        """Whose phone this is, in any of its national forms."""
        aliases = [phone_alias(form) for form in lookup_forms(phone)]
        async with self._database.reading() as tx:
            directory = await customers.read_directory(tx, aliases, self._clock(), "")
        return directory.find(aliases)

    async def change(self, ticket: StoredTicket, write: Callable[[Tx, Behind | None], Awaitable[T]]) -> T:
        """`write` behind the fence of the ticket's customer, or holding the ticket where it is nobody's."""
        if ticket.customer_id is not None:
            return await self.behind_fence(ticket.customer_id, write)

        async def work(tx: Tx) -> T:
            await tickets.hold(tx, ticket.ticket_id)
            return await write(tx, None)

        return await self._database.run(work)

    async def behind_fence(self, customer_id: int, write: Callable[[Tx, Behind | None], Awaitable[T]]) -> T:
        """`write` behind the fence of this customer."""

        async def work(tx: Tx) -> T:
            return await write(tx, await self.fence(tx, customer_id))

        result = await self._database.run(work)
        await self.ring(customer_id)
        return result

    async def fence(self, tx: Tx, customer_id: int) -> Behind:
        """The first statement of a change."""
        version, body = await fence.raise_version(tx, customer_id)
        return Behind(customer_id, version, window_open(LaneState.from_json(body).last_inbound_at, self._clock()))

    async def ring(self, customer_id: int) -> None:
        """Their lane has something to do, and its copy of the conversation is behind. Lost, it costs a second."""
        await ring_soon(self._lanes, {customer_id: 0.0}, forget=[customer_id])

    def _letter(self, origin: Origin, messages: Sequence[Message], ticket_id: int | None) -> Letter:
        pieces = [piece for message in messages for piece in fit(message)]
        return Letter(origin, [(self._ids.next(), piece) for piece in pieces], ticket_id)

    def _line(self, actor: str, action: str, object_id: int | str, once: int | None = None) -> Line:
        return Line(self.once() if once is None else once, self._clock(), actor, action, object_id)
