"""Splits a long text into pieces that fit into a message each.

Invariants
- Every piece is within its limit, and only white space at the cuts is lost. Limits are in UTF-16 units.

Source: Unicode Standard Annex 29 (what a reader sees as one character).
"""

import re
import unicodedata
from typing import NamedTuple

from flows.language.formatting import count_units
from flows.limits import LIMITS

_CUTS = ("\n\n", "\n", " ")  # between paragraphs, lines, words: the first that there is
_MAX_CHARACTER_CODES = 64  # the longest run of code points that is looked through for the end of one character
_JOINED = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


class QuestionSplit(NamedTuple):
    """A text in two: pieces that go ahead as messages of their own, and the end, which has the question in it."""

    ahead: list[str]
    question: str


def split_text(text: str, limit: int = LIMITS.text) -> list[str]:
    """Splits between paragraphs, else lines, else words; [] for a text of nothing but white space.

    Never inside an emoji or an accented letter, as long as any other place is left.
    """
    pieces = []
    rest = text.strip()
    while count_units(rest) > limit:
        last = _count_fitting(rest, limit)
        cut = next((at for mark in _CUTS if (at := rest.rfind(mark, last // 2, last + 1)) > 0), 0)
        if not cut:
            cut = _find_cut_between_characters(rest, last)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*pieces, rest] if rest else pieces


def split_before_question(text: str, limit: int) -> QuestionSplit:
    """Keeps of the text's end as many whole paragraphs as the limit allows, else lines, else words."""
    *ahead, last = split_text(text) or [""]
    if count_units(last) <= limit:
        return QuestionSplit(ahead, last)
    first = len(last) - _count_fitting(last[::-1], limit)
    cut = next((at for mark in _CUTS if (at := last.find(mark, first - 1)) > 0), 0)
    if not cut:
        nearby = range(first, min(first + _MAX_CHARACTER_CODES, len(last)))
        cut = next((at for at in nearby if not _is_inside_character(last, at)), first)
    return QuestionSplit([*ahead, last[:cut].rstrip()], last[cut:].lstrip())


def _count_fitting(text: str, limit: int) -> int:
    """Counts the code points at the text's beginning that fit into `limit` units."""
    used = 0
    for at, character in enumerate(text):
        used += 2 if character > "\uffff" else 1
        if used > limit:
            return at
    return len(text)


def _find_cut_between_characters(text: str, last: int) -> int:
    """Returns the last place, at most `last`, that is not inside what a reader sees as one character."""
    nearby = range(last, max(last - _MAX_CHARACTER_CODES, 0), -1)
    return next((cut for cut in nearby if not _is_inside_character(text, cut)), max(last, 1))


def _is_inside_character(text: str, cut: int) -> bool:
    """Whether what stands on both sides of the cut is one character to a reader."""
    after, before = text[cut], text[cut - 1]
    return bool(_JOINED.match(after) or before == "\u200d" or unicodedata.combining(after))
