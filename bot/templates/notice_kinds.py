"""Lists the kinds of notices, and the values of a notice that a template's parameters can be filled with.

A notice is a message that Tick sends to a customer because an agent did something. Outside of the customer service
window it needs a template, which an admin assigns to its kind and language (assignments.py).
"""

from enum import StrEnum

from storage.statuses import TicketStatus

LANGUAGE = "en"  # in which all notices are written so far


class NoticeKind(StrEnum):
    """What a notice is about. Its values stand in the API, in SQL and in the payloads of messages that are held."""

    OPENED = "opened"  # an agent opened a ticket for the customer
    NEW = TicketStatus.NEW  # an agent moved a ticket to this status; the next four likewise
    IN_PROGRESS = TicketStatus.IN_PROGRESS
    WAITING = TicketStatus.WAITING
    RESOLVED = TicketStatus.RESOLVED
    CLOSED = TicketStatus.CLOSED
    REPLY = "reply"  # an agent's own words


class NoticeValue(StrEnum):
    """What of a notice can be put into a template. Its values stand in the API and in SQL."""

    TICKET_ID = "ticket_id"  # the number that customers know the ticket by
    TITLE = "title"  # the ticket's; "" when nobody gave one
    NAME = "name"  # the customer's; "" when nobody gave one
    TEXT = "text"  # the whole text that goes out inside the window
