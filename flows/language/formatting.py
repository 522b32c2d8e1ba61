"""Makes text fit: WhatsApp's limits, a ticket's title, and a customer's own words inside ours.

What is shortened here is only what is shown. The ticket keeps every character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from flows.events import Media
from flows.language.matching import is_blank


class Noun(NamedTuple):
    """A word for one thing and for several."""

    one: str
    many: str


MAX_TITLE_UNITS = 100
MAX_EXCERPT_CHARACTERS = 600  # enough to know one's own words by, and short enough to read on a phone
ELLIPSIS = "…"
ZERO_WIDTH_SPACE = "\u200b"  # beside a mark it keeps WhatsApp from reading the mark as formatting
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ESCAPED = str.maketrans(
    {mark: ZERO_WIDTH_SPACE + mark + ZERO_WIDTH_SPACE for mark in "*_~`"} | dict.fromkeys(BIDI_CONTROLS, "")
)
QUOTE_MARK = re.compile(r"^([^\S\n]*)>", re.MULTILINE)  # spaces of one line, so that each is looked at once
MEDIA_NOUNS = {
    "photo": Noun("photo", "photos"),
    "video": Noun("video", "videos"),
    "voice": Noun("voice note", "voice notes"),
    "audio": Noun("audio file", "audio files"),
    "file": Noun("file", "files"),
    "sticker": Noun("sticker", "stickers"),
}


def count_units(text: str) -> int:
    """Returns the length as WhatsApp counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(text: str, max_units: int) -> str:
    """Shortens the text with an ellipsis to at most `max_units`, never through the middle of a code point."""
    if len(text) * 2 <= max_units or count_units(text) <= max_units:
        return text
    cut = text[:max_units].encode("utf-16-le", "surrogatepass")[: (max_units - 1) * 2]
    return cut.decode("utf-16-le", "ignore").rstrip("\u200d\ufe0f " + ZERO_WIDTH_SPACE) + ELLIPSIS


def escape_marks(text: str) -> str:
    """Makes a customer's words safe inside ours: they format nothing, and don't turn our text around."""
    return QUOTE_MARK.sub(r"\1" + ZERO_WIDTH_SPACE + ">", text.translate(ESCAPED))


def make_excerpt(text: str, max_units: int) -> str:
    """Returns the beginning of what a customer wrote, escaped, to be shown back to them within `max_units`."""
    shown = text if len(text) <= MAX_EXCERPT_CHARACTERS else text[:MAX_EXCERPT_CHARACTERS].rstrip() + ELLIPSIS
    return clip(escape_marks(shown), max_units)


def fit_on_one_line(text: str, max_units: int) -> str:
    """Joins the lines of the text and shortens it to `max_units`."""
    return clip(" ".join(text.split()), max_units)


def make_title(description: str) -> str:
    """Returns the first line that says something, shortened to a title."""
    return fit_on_one_line(next((line for line in description.splitlines() if not is_blank(line)), ""), MAX_TITLE_UNITS)


def count_attachments(attachments: Iterable[Media]) -> str:
    """Counts files in words, such as "6 photos, 1 voice note"; "" when there are none."""
    kinds = Counter(media.kind for media in attachments)
    return ", ".join(f"{count} {MEDIA_NOUNS[kind][count > 1]}" for kind, count in kinds.items())
