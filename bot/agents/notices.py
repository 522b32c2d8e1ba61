"""Composes what customers are told when an agent moves a ticket, and what a template needs to say the same: one table.

Invariants
- A notice holds nothing that somebody typed, only the ticket's number, so it reads well whoever wrote what. What people
  typed is handed on beside it, for the templates that Meta has approved with a parameter for it.
"""

from collections.abc import Mapping

from bot.templates.notice_kinds import LANGUAGE, NoticeKind, NoticeValue
from storage.tickets import StoredTicket

# A reply is in no line: it is the agent's own words.
TEXTS: Mapping[NoticeKind, str] = {
    NoticeKind.OPENED: (
        "We have opened ticket *#{ticket_id}* for you. If you want to add something, just write it here."
    ),
    NoticeKind.NEW: "Ticket *#{ticket_id}* is back in line. We will get to it soon.",
    NoticeKind.IN_PROGRESS: "Good news: we are working on ticket *#{ticket_id}* now.",
    NoticeKind.WAITING: "Ticket *#{ticket_id}* is waiting for word from you. Just write your answer here.",
    NoticeKind.RESOLVED: (
        "We believe that ticket *#{ticket_id}* is solved. If anything is still wrong, just write it here."
    ),
    NoticeKind.CLOSED: "Ticket *#{ticket_id}* is closed. Thank you! If you need us again, just write here.",
}


def compose_notice(kind: NoticeKind, ticket: StoredTicket) -> dict[str, object]:
    """Composes the message for the outbox: an agent opened the ticket, or gave it the status `kind`."""
    text = TEXTS[kind].format(ticket_id=ticket.ticket_id)
    return {"type": "text", "text": text, "notice": collect_values(kind, ticket, text)}


def collect_values(kind: NoticeKind, ticket: StoredTicket, text: str) -> dict[str, object]:
    """Collects what a template needs to say the same as `text`."""
    values = {
        NoticeValue.TICKET_ID: str(ticket.ticket_id),
        NoticeValue.TITLE: ticket.title,
        NoticeValue.NAME: ticket.name,
        NoticeValue.TEXT: text,
    }
    return {"kind": kind, "language": LANGUAGE, "values": values}
