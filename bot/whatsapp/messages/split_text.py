"""A long text in pieces that fit into a message.

Invariant: every piece is within the limit, and only white space at the cuts is lost.
"""

import re
import unicodedata

from flows.language.formatting import count_units
from flows.limits import LIMITS

_JOINED = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def split_text(text: str, limit: int = LIMITS.text) -> list[str]:
    """Cut between paragraphs, else lines, else words, and never inside an emoji or an accented letter as long as any
    other place is left."""
    pieces = []
    rest = text.strip()
    while count_units(rest) > limit:
        most = _fitting(rest, limit)
        cut = next((at for mark in ("\n\n", "\n", " ") if (at := rest.rfind(mark, most // 2, most + 1)) > 0), 0)
        if not cut:
            cut = _between_letters(rest, most)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*pieces, rest] if rest else pieces


def split_before_question(text: str, limit: int) -> tuple[list[str], str]:
    """(what goes ahead, the end that stays): of the end, which has the question in it, as many whole paragraphs as the
    limit allows, else lines, else words."""
    *ahead, last = split_text(text) or [""]
    if count_units(last) <= limit:
        return ahead, last
    least = len(last) - _fitting(last[::-1], limit)
    cut = next((at for mark in ("\n\n", "\n", " ") if (at := last.find(mark, least - 1)) > 0), 0)
    if not cut:
        whole = (at for at in range(least, min(least + 64, len(last))) if not _joined(last, at))
        cut = next(whole, least)
    return [*ahead, last[:cut].rstrip()], last[cut:].lstrip()


def _fitting(text: str, limit: int) -> int:
    """How many characters of the text fit into so many units."""
    used = 0
    for at, character in enumerate(text):
        used += 2 if character > "\uffff" else 1
        if used > limit:
            return at
    return len(text)


def _between_letters(text: str, most: int) -> int:
    """The last place, at most there, that is not inside what a reader sees as one character."""
    return next((cut for cut in range(most, max(most - 64, 0), -1) if not _joined(text, cut)), max(most, 1))


def _joined(text: str, cut: int) -> bool:
    """Whether what stands on both sides of the cut is one character to a reader."""
    after, before = text[cut], text[cut - 1]
    return bool(_JOINED.match(after) or before == "\u200d" or unicodedata.combining(after))
