"""How text is made to fit: WhatsApp's limits, a title, and the customer's own words inside ours.

What is shortened here is only what is shown. The ticket keeps every character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from flows.events import Media
from flows.language.matching import is_blank

TITLE = 100
ECHO = 600
ELLIPSIS = "…"
BREAK = "\u200b"  # zero-width: beside a mark it keeps WhatsApp from reading the mark as formatting
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HARMLESS = str.maketrans({mark: BREAK + mark + BREAK for mark in "*_~`"} | dict.fromkeys(BIDI, ""))
QUOTE = re.compile(r"^(\s*)>", re.MULTILINE)
COUNTED = {
    "photo": ("photo", "photos"),
    "video": ("video", "videos"),
    "voice": ("voice note", "voice notes"),
    "audio": ("audio file", "audio files"),
    "file": ("file", "files"),
    "sticker": ("sticker", "stickers"),
}


def units(text: str) -> int:
    """The length WhatsApp counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(text: str, limit: int) -> str:
    """The text, shortened with an ellipsis to at most `limit` units, never through the middle of a character."""
    if len(text) * 2 <= limit or units(text) <= limit:
        return text
    cut = text[:limit].encode("utf-16-le", "surrogatepass")[: (limit - 1) * 2]
    return cut.decode("utf-16-le", "ignore").rstrip("\u200d\ufe0f " + BREAK) + ELLIPSIS


def harmless(text: str) -> str:
    """A customer's words as they may stand inside ours: without formatting, without turning our text around."""
    return QUOTE.sub(r"\1" + BREAK + ">", text.translate(HARMLESS))


def echo(text: str, limit: int) -> str:
    """The beginning of what a customer wrote, to be shown back to them within `limit` units."""
    shown = text if len(text) <= ECHO else text[:ECHO].rstrip() + ELLIPSIS
    return clip(harmless(shown), limit)


def one_line(text: str, limit: int) -> str:
    return clip(" ".join(text.split()), limit)


def title(description: str) -> str:
    """The first line that says something."""
    return one_line(next((line for line in description.splitlines() if not is_blank(line)), ""), TITLE)


def counted(attachments: Iterable[Media]) -> str:
    """Such as "6 photos, 1 voice note"."""
    kinds = Counter(media.kind for media in attachments)
    return ", ".join(f"{count} {COUNTED[kind][count > 1]}" for kind, count in kinds.items())
