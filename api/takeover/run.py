"""Runs a take-over from where it is to its end: tickets, then replies, then files, then the report.

Invariants
- New tickets get numbers above the original's from the first transaction on.
- What is said at its end is read from the database, so it is the same however often it was interrupted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from api.settings_checks import read_time_zone
from api.takeover.attachments import END_OF_FILE_IDS, Carrier
from api.takeover.batches import Copier
from api.takeover.choices import Choices, TakeoverRefused
from api.takeover.conversion import END_OF_ROW_IDS, Rules
from api.takeover.events import END_OF_NOTE_IDS, NOTE_IDS
from bot.clock import Clock
from bot.ids import IdMaker
from storage import audit, files, original_tables, replies, takeovers, ticket_numbers
from storage.audit import AuditLine
from storage.blobs.store import FileStore
from storage.original_tables import OriginalTable, OriginalTables
from storage.replies import StoredReply
from storage.sql.database import Clash, Database, Tx
from storage.statuses import AuditAction, FileState
from storage.takeovers import REPLIES, TICKETS, Takeover

ACTOR = "command line"
ROWS_BETWEEN_LINES = 1000  # of progress
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was taken over. `orphans`: replies to tickets that are not there; `notes`: on what could not be read;
    `highest_number`: of a ticket, above which the next one's is."""

    tickets: Takeover
    replies: Takeover | None
    files: int
    file_bytes: int
    lost_files: int
    orphans: int
    notes: list[StoredReply]
    highest_number: int


async def take_over(
    database: Database, store: FileStore, found: OriginalTables, choices: Choices, *, clock: Clock, say: Say
) -> Outcome:
    """Takes over what is there, from where an earlier run left off. Raises StoreDown, DatabaseDown: then what is there
    stays, and the next run goes on."""
    there = {table.name: table for table in (found.tickets, found.replies) if table is not None}
    begun = await _begin(database, there, choices, clock())
    tables = {name: table for name, table in there.items() if name in begun}
    first, ids = begun[TICKETS], IdMaker(clock)
    rules = Rules(first.country, read_time_zone(first.time_zone or "UTC"), first.begun_at)
    copier = Copier(database=database, clock=clock, ids=ids, rules=rules)
    for table in tables.values():
        await _copy(copier, table, first.highest_id, say)
    carrier = Carrier(database=database, store=store, clock=clock, tables=tables)
    carried = 0
    while count := await carrier.carry_next():
        carried += count
        say(f"Files: {carried} stored.")
    return await _finish(database, tables, AuditLine(ids.next(), clock(), ACTOR, AuditAction.TAKEOVER, TICKETS))


async def _begin(
    database: Database, tables: Mapping[str, OriginalTable], choices: Choices, now: datetime
) -> dict[str, Takeover]:
    """Notes what is to be copied, unless an earlier run did; returns that."""

    async def write(tx: Tx) -> dict[str, Takeover]:
        if found := await takeovers.find_all(tx):
            return found
        bounds = {name: await original_tables.find_bounds(tx, table) or (1, 0) for name, table in tables.items()}
        if max(highest for _, highest in bounds.values()) >= END_OF_ROW_IDS:
            raise TakeoverRefused("The original system's tables have ids that are too large to be taken over.")
        begun = {
            name: Takeover(
                name=name,
                highest_id=highest,
                last_id=lowest - 1,
                copied=0,
                country=choices.country,
                time_zone=choices.time_zone,
                begun_at=now,
            )
            for name, (lowest, highest) in bounds.items()
        }
        await takeovers.begin(tx, list(begun.values()))
        await ticket_numbers.raise_above(tx, bounds[TICKETS][1])
        return begun

    return await database.run(write, clash=Clash.RUN_AGAIN, deadline_seconds=original_tables.READ_SECONDS)


async def _copy(copier: Copier, table: OriginalTable, until_ticket: int, say: Say) -> None:
    """Copies one table from where it is."""
    said = 0
    while True:
        async with copier.database.reading() as tx:
            seen = (await takeovers.find_all(tx))[table.name]
        if seen.copied - said >= ROWS_BETWEEN_LINES:
            said = seen.copied
            say(f"{table.name.capitalize()}: {said} copied.")
        if table.name == TICKETS:
            has_more = await copier.copy_tickets(table, seen)
        else:
            has_more = await copier.copy_replies(table, seen, until_ticket)
        if not has_more:
            return


async def _finish(database: Database, tables: Mapping[str, OriginalTable], line: AuditLine) -> Outcome:
    """Notes that all is there, once, and reads what it is."""

    async def write(tx: Tx) -> None:
        if await takeovers.finish(tx, line.at):
            await audit.write(tx, line)

    await database.run(write)
    async with database.reading(original_tables.READ_SECONDS) as tx:
        done = await takeovers.find_all(tx)
        sums = await files.sum_between(tx, 0, END_OF_FILE_IDS)
        written = done.get(REPLIES)
        read = await original_tables.count_rows(tx, tables[REPLIES], written.highest_id) if written else 0
        return Outcome(
            tickets=done[TICKETS],
            replies=written,
            files=sums.get(FileState.STORED, (0, 0))[0],
            file_bytes=sums.get(FileState.STORED, (0, 0))[1],
            lost_files=sums.get(FileState.REFUSED, (0, 0))[0],
            orphans=read - written.copied if written else 0,
            notes=await replies.list_between(tx, NOTE_IDS[TICKETS], END_OF_NOTE_IDS),
            highest_number=await ticket_numbers.find_last(tx),
        )
