"""What a flow may know besides the conversation: the desk's settings, the customer's tickets and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as far as a flow may know it."""

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
    type_id: str
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a flow may know besides the conversation."""

    now: datetime
    flow: str  # "guided", or "instant": the first message is a ticket at once
    tickets: tuple[Ticket, ...]  # the customer's tickets that are not closed, the last touched first
    issue_types: tuple[IssueType, ...]
    next_ticket_id: int  # the number that OpenTicket will get
    profile_name: str = ""  # the customer's own words: untrusted
    about: About | None = None  # whom the event's `quoted_wamid` belongs to
    quiet: bool = False  # a person is answering in the Business app: record, say nothing
