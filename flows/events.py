"""What comes into a turn: one thing that happened in a customer's chat, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
