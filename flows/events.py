"""What goes into a turn and what comes out of it, as plain values.

A turn neither reads a clock nor makes an id: times, numbers and the customer's tickets come in with the event and the
desk, and everything that should happen goes out as an effect. Nothing here can be changed once made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from flows.conversation import Conversation

EventKind = Literal["text", "option", "media", "place", "contact", "unreadable", "silent", "echo", "handover"]
Author = Literal["customer", "agent", "meta", "system"]
Change = Literal["", "edited", "revoked"]
Lost = Literal["", "file", "message"]
MediaKind = Literal["photo", "video", "voice", "audio", "file", "sticker"]


@dataclass(frozen=True, slots=True)
class Media:
    media_id: str
    mime_type: str = ""
    filename: str = ""
    kind: MediaKind = "file"
    sha256: str = ""  # as Meta gave it: base64 or hex


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a customer's chat: they did it, as a rule.

    `silent` is what nobody answers (a reaction, an edit, what was said to Meta's agent), `echo` what a person of ours
    wrote in the Business app, `handover` the chat that Meta's agent hands to us.
    """

    kind: EventKind
    at: datetime
    item_id: int
    wamid: str = ""
    text: str = ""  # what a person reads: the text, the caption, or a placeholder such as "[photo]"
    option_id: str = ""
    quoted_wamid: str = ""  # what a reply quotes, what a reaction, an edit or a deletion is about
    media: Media | None = None
    late: bool = False
    shown: str = ""  # what an agent reads besides the text, or in its place; "": nothing to show
    author: Author = "customer"
    opens_window: bool = False  # a message of theirs to our number: for 24 hours we may write what we like
    change: Change = ""
    edited: str = ""  # the words of an edit
    about: bool = False  # all that it says is about the message that it quotes: an edit, a deletion, a reaction
    lost: Lost = ""  # what WhatsApp did not bring of it, and may bring if it is sent again


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


@dataclass(frozen=True, slots=True)
class Option:
    option_id: str
    label: str
    description: str = ""


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
class Offer:
    """A question with answers to tap: up to three are buttons, more are a list that `button` opens."""

    text: str
    options: tuple[Option, ...]
    button: str = ""


Effect = OpenTicket | AddReply | Note | Say | Offer


@dataclass(frozen=True, slots=True)
class Turn:
    conversation: Conversation
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """WhatsApp's own limits. Text is counted in UTF-16 units, in which an emoji is two."""

    button: int = 20
    row: int = 24
    row_description: int = 72
    body: int = 1024  # a text with options
    text: int = 4096  # a text alone
    buttons: int = 3
    rows: int = 10


LIMITS: Final = Limits()
