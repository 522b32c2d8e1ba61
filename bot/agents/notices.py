"""What customers are told when an agent moves something, and what a template is filled with in its place: one table.

Invariant: a notice holds nothing that somebody typed, only the ticket's number, so it reads well whoever wrote what.
What people typed is handed on beside it, for the templates that Meta has approved with a place for it.
"""

from collections.abc import Mapping

from storage.statuses import TicketStatus
from storage.tickets import StoredTicket

OPENED = "opened"
REPLY = "reply"  # an agent's own words: they need no table, and outside of the window a template to be put into
TEXTS: Mapping[str, str] = {
    OPENED: "We have opened ticket *#{ticket_id}* for you. If you want to add something, just write it here.",
    TicketStatus.NEW: "Ticket *#{ticket_id}* is back in line. We will get to it soon.",
    TicketStatus.IN_PROGRESS: "Good news: we are working on ticket *#{ticket_id}* now.",
    TicketStatus.WAITING: "Ticket *#{ticket_id}* is waiting for word from you. Just write your answer here.",
    TicketStatus.RESOLVED: (
        "We believe that ticket *#{ticket_id}* is solved. If anything is still wrong, just write it here."
    ),
    TicketStatus.CLOSED: "Ticket *#{ticket_id}* is closed. Thank you! If you need us again, just write here.",
}
LANGUAGE = "en"


def notice(kind: str, ticket: StoredTicket) -> dict[str, object]:
    """The message for the outbox: an agent opened the ticket, or gave it the status `kind`."""
    text = TEXTS[kind].format(ticket_id=ticket.ticket_id)
    return {"type": "text", "text": text, "notice": for_template(kind, ticket, text)}


def for_template(kind: str, ticket: StoredTicket, text: str) -> dict[str, object]:
    """What a template needs to say the same."""
    values = {"ticket_id": str(ticket.ticket_id), "title": ticket.title, "name": ticket.name, "text": text}
    return {"kind": kind, "language": LANGUAGE, "values": values}
