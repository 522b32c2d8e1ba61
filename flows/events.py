"""Defines what comes into a turn: one thing that happened in a customer's chat, as a frozen value.

The bot makes it of what Meta sent (bot/whatsapp/webhook/events.py). Text in it is the customer's own, and untrusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# `option`: something was tapped; `unreadable`: of a kind that can't be shown, or lost on its way; `silent`: nobody
# answers it (a reaction, an edit, what was said to Meta's agent); `echo`: one of our people wrote it in the Business
# app; `handover`: Meta's agent hands the chat to us.
EventKind = Literal["text", "option", "media", "location", "contact", "unreadable", "silent", "echo", "handover"]
Author = Literal["customer", "agent", "meta", "system"]
Change = Literal["", "edited", "revoked"]
Lost = Literal["", "file", "message"]
MediaKind = Literal["photo", "video", "voice", "audio", "file", "sticker"]


@dataclass(frozen=True, slots=True)
class Media:
    """A file in a message, by the id under which Meta keeps it."""

    media_id: str
    mime_type: str = ""
    filename: str = ""
    kind: MediaKind = "file"
    sha256: str = ""  # as Meta gave it: base64 or hex


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a customer's chat, most often a message of theirs."""

    kind: EventKind
    at: datetime  # by Meta's clock
    item_id: int
    wamid: str = ""
    text: str = ""  # what a person reads: the text, the caption, or a placeholder such as "[photo]"
    option_id: str = ""
    quoted_wamid: str = ""  # the message that a reply quotes, or that a reaction, an edit or a deletion is about
    media: Media | None = None
    more_media: tuple[Media, ...] = ()  # the other files of a form that was filled in
    late: bool = False  # something that was written after it was handled before it
    shown: str = ""  # what an agent reads besides the text, or in its place; "": nothing
    author: Author = "customer"
    opens_window: bool = False  # a message of theirs to our number: for 24 hours we may write what we like
    change: Change = ""
    edited: str = ""  # the words of an edit
    about: bool = False  # it says nothing but about the message that it quotes: an edit, a deletion, a reaction
    lost: Lost = ""  # what of it WhatsApp did not pass on, and may pass on if it is sent again

    @property
    def files(self) -> tuple[Media, ...]:
        """All of its files."""
        return (*((self.media,) if self.media else ()), *self.more_media)
