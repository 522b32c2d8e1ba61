"""Makes the notes and the events of what was taken over: what of a row could not be read, and what happened when. Pure.

Invariants
- Their ids are made of the row's own, as those of everything else that is taken over. The events of one ticket have
  theirs in the order in which they happened: it was opened, then came the replies.
- They are history, and no news: whoever follows the event log by its newest ids never meets them.
"""

from collections.abc import Mapping, Sequence

from api.takeover.conversion import END_OF_ROW_IDS
from storage.event_log import TicketEvent
from storage.original_tables import OriginalRow, OriginalTable
from storage.replies import StoredReply
from storage.statuses import EventAuthor, ReplyAuthor, ReplyKind, TicketEventKind
from storage.takeovers import REPLIES, TICKETS
from storage.tickets import StoredTicket

NOTE_IDS: Mapping[str, int] = {TICKETS: END_OF_ROW_IDS, REPLIES: 2 * END_OF_ROW_IDS}  # where those of notes begin
END_OF_NOTE_IDS = 3 * END_OF_ROW_IDS
FIRST_REPLY_EVENT_ID = END_OF_ROW_IDS  # those of tickets are before it
EVENT_AUTHORS: Mapping[ReplyAuthor, EventAuthor] = {
    ReplyAuthor.CUSTOMER: EventAuthor.CUSTOMER,
    ReplyAuthor.AGENT: EventAuthor.AGENT,
    ReplyAuthor.SYSTEM: EventAuthor.BOT,
}


def make_note(table: OriginalTable, row: OriginalRow, ticket: StoredTicket, remarks: Sequence[str]) -> StoredReply:
    """Makes the note on its ticket of what could not be read of a row."""
    begin = "From the former system." if table.name == TICKETS else "From the former system, of a reply."
    return StoredReply(
        reply_id=NOTE_IDS[table.name] + row.row_id,
        ticket_id=ticket.ticket_id,
        author=ReplyAuthor.SYSTEM,
        message="\n".join([begin, *remarks]),
        wamid=None,
        outbox_id=None,
        written_at=ticket.created_at,
        kind=ReplyKind.NOTE,
    )


def make_opened_event(row: OriginalRow, ticket: StoredTicket) -> TicketEvent:
    """Makes the event that the ticket was opened, which also tells the status that it has by now."""
    return TicketEvent(
        event_id=row.row_id,
        ticket_id=ticket.ticket_id,
        customer_id=ticket.customer_id,
        kind=TicketEventKind.OPENED,
        author=EventAuthor.CUSTOMER,
        at=ticket.created_at,
        became=ticket.status,
    )


def make_reply_event(reply: StoredReply, ticket: StoredTicket) -> TicketEvent:
    """Makes the event that a reply, or a note of ours, was written."""
    kind = TicketEventKind.MESSAGE if reply.author is ReplyAuthor.CUSTOMER else TicketEventKind.ANSWER
    is_note = reply.kind is ReplyKind.NOTE
    return TicketEvent(
        event_id=FIRST_REPLY_EVENT_ID + reply.reply_id,
        ticket_id=ticket.ticket_id,
        customer_id=ticket.customer_id,
        kind=TicketEventKind.NOTE if is_note else kind,
        author=EventAuthor.OPERATOR if is_note else EVENT_AUTHORS[reply.author],
        at=reply.written_at,
        reply_id=reply.reply_id,
    )
