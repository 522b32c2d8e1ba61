"""Defines what a flow may know besides the conversation: the desk's settings, the customer's tickets, and the time.

Everything is a frozen value that the bot hands in; a flow reads no clock, no setting and no database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket of this customer's, as far as a flow may know it."""

    ticket_id: int
    status: str
    title: str


@dataclass(frozen=True, slots=True)
class About:
    """What a quoted message is a part of: one of this customer's tickets, which may be closed."""

    ticket_id: int
    reply_id: int = 0  # 0: it is part of the ticket's description
    text: str = ""


@dataclass(frozen=True, slots=True)
class IssueType:
    """What a ticket can be about, in the words that a customer picks from."""

    type_id: str  # what tickets store
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """The desk at the time of one turn."""

    now: datetime
    flow: str  # "guided", or "instant": the first message is a ticket at once
    tickets: tuple[Ticket, ...]  # the customer's tickets that are not closed, the last touched first
    issue_types: tuple[IssueType, ...]
    next_ticket_id: int  # the number that OpenTicket will get
    profile_name: str = ""  # the customer's own words: untrusted
    about: About | None = None  # what the message that the event quotes belongs to
    quiet: bool = False  # a person answers in the Business app: everything is recorded, nothing is said
