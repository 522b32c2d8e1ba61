"""What a turn asks for: effects, as frozen values, which the bot carries out."""

from __future__ import annotations

from dataclasses import dataclass

from flows.events import Author, Change, Media


@dataclass(frozen=True, slots=True)
class OpenTicket:
    ticket_id: int
    issue_type: str
    issue_type_other: str
    title: str
    description: str
    name: str
    attachments: tuple[Media, ...] = ()
    wamids: tuple[str, ...] = ()  # the messages that became the description


@dataclass(frozen=True, slots=True)
class AddReply:
    ticket_id: int
    text: str
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is shown on a ticket and is no message: nothing that was written before is changed by it."""

    ticket_id: int
    text: str
    author: Author = "customer"
    change: Change = ""
    about_reply_id: int = 0


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Option:
    option_id: str
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A question with answers to tap: up to three are buttons, more are a list that `button` opens."""

    text: str
    options: tuple[Option, ...]
    button: str = ""


Effect = OpenTicket | AddReply | Note | Say | Offer
