"""Runs each change by an agent in one transaction, which holds the lock of the customer whom it concerns.

Invariants
- A change to a customer's ticket first raises the version of their conversation (the fence), so no turn overlooks it.
- A customer who becomes one with another meanwhile is looked for anew.
- All ids are made before the transaction. That of the audit line is the change's idempotency id: where the line is
  there, an earlier try has landed, so nothing happens twice when the outcome of a commit was not heard.
- Redis is told after the commit, and may be down.
- Where another session holds the customer, the agent hears so within a second (RowsHeld), and nothing has happened.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from bot.agents.actor import Actor
from bot.agents.errors import TicketNotFound
from bot.clock import Clock
from bot.ids import IdMaker
from bot.lane_ring import ring_soon
from bot.lane_state import LaneState
from bot.phones import list_phone_variants
from bot.service_window import is_window_open
from storage import customers, fence, tickets
from storage.audit import AuditLine
from storage.customers import make_phone_alias
from storage.event_log import TicketEvent
from storage.fence import CustomerGone
from storage.redis.lanes import Lanes
from storage.sql.database import Clash, Database, RowsHeld, Tx
from storage.sql.held_rows import HeldFor
from storage.sql.lock_waits import LockWait
from storage.statuses import AuditAction, TicketEventKind
from storage.tickets import StoredTicket

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCustomer:
    """A customer whose conversation row this transaction has locked, at the version that it gave the row."""

    customer_id: int
    version: int
    window_open: bool


Write = Callable[[Tx, LockedCustomer | None], Awaitable[T]]


class _CustomerAppeared(Exception):
    """The customer, who was not there before the transaction, is there now."""


class AgentTransaction:
    """Runs the changes of one process's agents.

    What is run gets the customer, locked, or None where the change concerns nobody on WhatsApp. It may be run again
    after a commit whose outcome was not heard, so it asks the audit first.
    """

    def __init__(self, *, database: Database, lanes: Lanes, ids: IdMaker, clock: Clock) -> None:
        self.database = database
        self._lanes = lanes
        self._ids = ids
        self._clock = clock

    def read_clock(self) -> datetime:
        """Reads the clock by which windows are judged."""
        return self._clock()

    def make_id(self) -> int:
        """Makes the id of a row, or of a change that is yet to be made: what is asked for twice with one happens
        once."""
        return self._ids.next()

    def make_audit_line(
        self,
        actor: Actor,
        action: AuditAction,
        object_id: int | str,
        *,
        idempotency_id: int | None = None,
        detail: str = "",
    ) -> AuditLine:
        """Makes the audit's line of a change; without an idempotency id the change gets one of its own."""
        return AuditLine(
            audit_id=self.make_id() if idempotency_id is None else idempotency_id,
            at=self._clock(),
            actor=actor.name,
            action=action,
            object_id=object_id,
            detail=detail,
        )

    def make_event(
        self,
        actor: Actor,
        ticket: StoredTicket,
        kind: TicketEventKind,
        at: datetime,
        *,
        was: str = "",
        became: str = "",
        reply_id: int | None = None,
        outbox_id: int | None = None,
    ) -> TicketEvent:
        """Makes the event of a change to a ticket."""
        return TicketEvent(
            event_id=self.make_id(),
            ticket_id=ticket.ticket_id,
            customer_id=ticket.customer_id,
            kind=kind,
            author=actor.author,
            author_id=actor.author_id,
            at=at,
            was=was,
            became=became,
            reply_id=reply_id,
            outbox_id=outbox_id,
        )

    async def read_ticket(self, ticket_id: int) -> StoredTicket:
        """Reads a ticket; raises TicketNotFound."""
        async with self.database.reading() as tx:
            found = await tickets.find(tx, ticket_id)
        if found is None:
            raise TicketNotFound
        return found

    async def find_customer(self, phone: str) -> int | None:
        """Finds whose phone this is, in any of its national forms."""
        aliases = [make_phone_alias(form) for form in list_phone_variants(phone)]
        async with self.database.reading() as tx:
            directory = await customers.read_directory(tx, aliases, self._clock(), "")
        return directory.find(aliases)

    async def run_for_ticket(self, ticket: StoredTicket, write: Write[T]) -> T:
        """Runs `write` with the ticket's customer locked, or with the ticket's own row where it is nobody's."""
        while ticket.customer_id is not None:
            try:
                return await self.run_for_customer(ticket.customer_id, write)
            except CustomerGone:
                ticket = await self.read_ticket(ticket.ticket_id)

        async def work(tx: Tx) -> T:
            await tickets.lock(tx, ticket.ticket_id)
            return await write(tx, None)

        return await self.database.run(work)

    async def run_for_customer(self, customer_id: int, write: Write[T]) -> T:
        """Runs `write` with this customer locked, then rings their lane. Raises CustomerGone, RowsHeld."""

        async def work(tx: Tx) -> T:
            return await write(tx, await self._lock(tx, customer_id))

        held = self.database.held[HeldFor.AGENTS]
        # who asks again and again meanwhile is not to take the connections that others need
        lock_wait = LockWait.HASTY if held.has_any((customer_id,)) else LockWait.USUAL
        try:
            result = await self.database.run(work, lock_wait=lock_wait)
        except RowsHeld:
            held.note((customer_id,))
            raise
        held.clear((customer_id,))
        await self._ring(customer_id)
        return result

    async def run_for_phone(self, phone: str, name: str, write: Write[T]) -> T:
        """Runs `write` with the customer locked whose phone this is. A number that nobody has written from becomes a
        customer of this name, once, whoever is first."""
        new_customer_id = self.make_id()
        while True:
            customer_id = await self.find_customer(phone)
            try:
                if customer_id is not None:
                    return await self.run_for_customer(customer_id, write)
                return await self._run_for_new_customer(new_customer_id, phone, name, write)
            except (_CustomerAppeared, CustomerGone):
                continue

    async def run_for_nobody(self, write: Write[T]) -> T:
        """Runs `write` without a customer."""
        return await self.database.run(lambda tx: write(tx, None))

    async def _run_for_new_customer(self, customer_id: int, phone: str, name: str, write: Write[T]) -> T:
        now = self._clock()
        aliases = [make_phone_alias(form) for form in list_phone_variants(phone)]
        body = LaneState(address=phone).to_json()

        async def work(tx: Tx) -> T:
            directory = await customers.read_directory(tx, aliases, now, body)
            if directory.find(aliases) is not None:
                raise _CustomerAppeared
            directory.add(customer_id, name, aliases[:1])
            await customers.write_directory(tx, directory)
            return await write(tx, await self._lock(tx, customer_id))

        result = await self.database.run(work, clash=Clash.RUN_AGAIN)
        await self._ring(customer_id)
        return result

    async def _lock(self, tx: Tx, customer_id: int) -> LockedCustomer:
        """Raises the customer's version, which locks their row: the first statement of a change."""
        version, body = await fence.raise_version(tx, customer_id)
        last_inbound_at = LaneState.from_json(body).last_inbound_at
        return LockedCustomer(
            customer_id=customer_id, version=version, window_open=is_window_open(last_inbound_at, self._clock())
        )

    async def _ring(self, customer_id: int) -> None:
        """Their lane has something to do, and its copy of the conversation is behind."""
        await ring_soon(self._lanes, {customer_id: 0.0}, forget=[customer_id])
