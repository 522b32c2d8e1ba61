"""Copies tickets and replies batch by batch, each batch in one transaction with the word that it was copied.

Invariants
- The first statement of a batch moves the take-over on from where it was seen. Where that was done before (by an
  earlier try whose commit was not heard of, or by a process beside this one) the batch writes nothing.
- A ticket keeps its number, unless a ticket of ours has it: then it gets a new one, and a note on it says so.
- A customer is whoever has the phone, in any of its national forms; customers are made for the phones that nobody has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.takeover.conversion import ConvertedTicket, Rules, convert_reply, convert_ticket
from api.takeover.events import NOTE_IDS, make_note, make_opened_event, make_reply_event
from bot.clock import Clock
from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.phones import list_phone_variants
from storage import customers, event_log, fence, files, original_tables, replies, takeovers, ticket_numbers, tickets
from storage.customers import make_phone_alias
from storage.directory import Directory
from storage.original_tables import OriginalRow, OriginalTable
from storage.sql.database import Clash, Database, Tx
from storage.takeovers import TICKETS, Takeover
from storage.tickets import StoredTicket

MAX_ROWS_PER_BATCH = 100  # each may have 64 kB of text, and a transaction has 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """Copies the rows of the original system."""

    database: Database
    clock: Clock
    ids: IdMaker
    rules: Rules

    async def copy_tickets(self, table: OriginalTable, seen: Takeover) -> bool:
        """Copies the next tickets; returns whether there were any."""
        async with self.database.reading(original_tables.READ_SECONDS) as tx:
            rows = await original_tables.list_rows(tx, table, seen.last_id, seen.highest_id, MAX_ROWS_PER_BATCH)
        if not rows:
            return False
        converted = [convert_ticket(table, row, self.rules) for row in rows]

        async def write(tx: Tx) -> None:
            if await takeovers.advance(tx, seen, rows[-1].row_id, len(rows)):
                await self._write_tickets(tx, table, rows, await _renumber(tx, converted))

        await self.database.run(write, clash=Clash.RUN_AGAIN)
        return True

    async def _write_tickets(
        self, tx: Tx, table: OriginalTable, rows: Sequence[OriginalRow], converted: Sequence[ConvertedTicket]
    ) -> None:
        owners = await self._settle_customers(tx, converted)
        filed = [replace(each.ticket, customer_id=owners.get(each.phone)) for each in converted]
        await tickets.insert(tx, filed)
        attached = [
            replace(each.file, customer_id=ticket.customer_id, ticket_id=ticket.ticket_id)
            for each, ticket in zip(converted, filed, strict=True)
            if each.file is not None
        ]
        notes = [
            make_note(table, row, ticket, each.remarks)
            for row, each, ticket in zip(rows, converted, filed, strict=True)
            if each.remarks
        ]
        await files.insert(tx, attached)
        await replies.insert_copies(tx, notes)
        opened = [make_opened_event(row, ticket) for row, ticket in zip(rows, filed, strict=True)]
        of_notes = {ticket.ticket_id: ticket for ticket in filed}
        await event_log.write(tx, [*opened, *(make_reply_event(note, of_notes[note.ticket_id]) for note in notes)])

    async def _settle_customers(self, tx: Tx, converted: Sequence[ConvertedTicket]) -> dict[str, int]:
        """Finds or makes the customer of each phone. Whoever was there before is behind their fence from here on."""
        aliases = {
            each.phone: [make_phone_alias(form) for form in list_phone_variants(each.phone)]
            for each in converted
            if each.phone
        }
        wanted = [alias for forms in aliases.values() for alias in forms]
        directory = await customers.read_directory(tx, wanted, self.clock(), LaneState().to_json(), lock=True)
        for customer_id in sorted({known.customer_id for known in directory.known.values()}):
            await fence.raise_version(tx, customer_id)
        owners = {phone: self._find_owner(directory, converted, phone, forms) for phone, forms in aliases.items()}
        await customers.write_directory(tx, directory)
        return owners

    def _find_owner(
        self, directory: Directory, converted: Sequence[ConvertedTicket], phone: str, forms: Sequence[str]
    ) -> int:
        if (found := directory.find(forms)) is not None:
            return found
        names = (each.ticket.name for each in converted if each.phone == phone)
        customer_id = directory.add(self.ids.next(), next(filter(None, names), ""), forms[:1])
        directory.bodies[customer_id] = LaneState(address=phone).to_json()
        return customer_id

    async def copy_replies(self, table: OriginalTable, seen: Takeover, until_ticket: int) -> bool:
        """Copies the next replies to tickets up to `until_ticket`; returns whether there were any."""
        async with self.database.reading(original_tables.READ_SECONDS) as tx:
            rows = await original_tables.list_rows(tx, table, seen.last_id, seen.highest_id, MAX_ROWS_PER_BATCH)
            numbers = sorted({int(row.values["ticket_id"]) for row in rows if row.values["ticket_id"] is not None})
            found = await self._find_tickets(tx, numbers, until_ticket)
        if not rows:
            return False
        converted = [
            (row, ticket, convert_reply(table, row, self.rules, ticket))
            for row in rows
            if (ticket := found.get(row.values["ticket_id"])) is not None
        ]

        async def write(tx: Tx) -> None:
            if await takeovers.advance(tx, seen, rows[-1].row_id, len(converted)):
                copies = [each for _, _, each in converted]
                notes = [make_note(table, row, ticket, each.remarks) for row, ticket, each in converted if each.remarks]
                written = [*(each.reply for each in copies), *notes]
                await replies.insert_copies(tx, written)
                await files.insert(tx, [each.file for each in copies if each.file is not None])
                of_replies = {ticket.ticket_id: ticket for _, ticket, _ in converted}
                events = [make_reply_event(reply, of_replies[reply.ticket_id]) for reply in written]
                await event_log.write(tx, events)

        await self.database.run(write)
        return True

    async def _find_tickets(self, tx: Tx, numbers: Sequence[int], until: int) -> dict[int, StoredTicket]:
        """Finds our tickets by the numbers that they had there. One that has another here has a note, which says it."""
        known = sorted(await original_tables.find_known_tickets(tx, numbers, until))
        notes = await replies.find_many(tx, [NOTE_IDS[TICKETS] + number for number in known])
        moved = {note_id - NOTE_IDS[TICKETS]: note.ticket_id for note_id, note in notes.items()}
        found = await tickets.find_many(tx, [moved.get(number, number) for number in known])
        return {number: found[moved.get(number, number)] for number in known if moved.get(number, number) in found}


async def _renumber(tx: Tx, converted: Sequence[ConvertedTicket]) -> list[ConvertedTicket]:
    """Gives those tickets a new number whose own one a ticket of ours has."""
    taken = await tickets.find_many(tx, [each.ticket.ticket_id for each in converted])
    if not taken:
        return list(converted)
    last = await ticket_numbers.reserve(tx, len(taken))
    numbers = dict(zip(sorted(taken), range(last - len(taken) + 1, last + 1), strict=True))
    return [
        each if each.ticket.ticket_id not in numbers else _move(each, numbers[each.ticket.ticket_id])
        for each in converted
    ]


def _move(each: ConvertedTicket, number: int) -> ConvertedTicket:
    remark = f"It was ticket {each.ticket.ticket_id} there, a number that another ticket has here."
    return replace(each, ticket=replace(each.ticket, ticket_id=number), remarks=[remark, *each.remarks])
