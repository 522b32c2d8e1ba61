"""What customers are told when an agent moves something: one table.

Invariant: a notice holds nothing that somebody typed, only the ticket's number, so it reads well whoever wrote what.
"""

from collections.abc import Mapping

OPENED = "We have opened ticket *#{ticket_id}* for you. If you want to add something, just write it here."

BY_STATUS: Mapping[str, str] = {
    "new": "Ticket *#{ticket_id}* is back in line. We will get to it soon.",
    "in_progress": "Good news: we are working on ticket *#{ticket_id}* now.",
    "waiting": "Ticket *#{ticket_id}* is waiting for word from you. Just write your answer here.",
    "resolved": "We believe that ticket *#{ticket_id}* is solved. If anything is still wrong, just write it here.",
    "closed": "Ticket *#{ticket_id}* is closed. Thank you! If you need us again, just write here.",
}


def opened(ticket_id: int) -> str:
    """An agent opened a ticket for the customer."""
    return OPENED.format(ticket_id=ticket_id)


def moved(ticket_id: int, status: str) -> str:
    """An agent gave a ticket this status."""
    return BY_STATUS[status].format(ticket_id=ticket_id)
