"""Defines the effects that a turn asks for, as frozen values, which the bot carries out (bot/worker/effects.py)."""

from __future__ import annotations

from dataclasses import dataclass

from flows.events import Author, Change, Media


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """Opens a ticket under the number that the desk had ready."""

    ticket_id: int
    issue_type: str
    issue_type_other: str  # what it is about, where the issue type is "other"
    title: str
    description: str
    name: str
    attachments: tuple[Media, ...] = ()
    wamids: tuple[str, ...] = ()  # the messages that became the description


@dataclass(frozen=True, slots=True)
class AddReply:
    """Adds the customer's message to a ticket."""

    ticket_id: int
    text: str
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Shows agents something on a ticket that is no message. Nothing that was written before is changed by it."""

    ticket_id: int
    text: str
    author: Author = "customer"
    change: Change = ""
    about_reply_id: int = 0


@dataclass(frozen=True, slots=True)
class Say:
    """Sends a text."""

    text: str


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to tap."""

    option_id: str  # what Meta sends back when it is tapped
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Sends a question with options to tap: up to three are buttons, more are a list that `button` opens."""

    text: str
    options: tuple[Option, ...]
    button: str = ""


Effect = OpenTicket | AddReply | Note | Say | Offer
