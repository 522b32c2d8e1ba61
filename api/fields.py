"""The fields of the API's bodies: what each may hold, cleaned.

Invariant: what gets past these is safe to store and to send: no NUL, control character or lone surrogate, something
to read in it, and no longer than its column.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.phones import read_phone
from bot.whatsapp.cleaning import TEXT_CAP, clean, one_line

LARGEST_TICKET_ID = 2**63 - 1
# Letters and symbols by Unicode's word, but nothing to see: fillers of Hangul, an empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\]+@[^@\s<>\"',;:\\]+")


def readable(text: str) -> bool:
    """Whether there is anything to see: spaces, zero-width characters, marks and fillers alone are nothing."""
    return any(character not in _BLANK and unicodedata.category(character)[0] in "LNPS" for character in text)


def _text(text: str) -> str:
    text = clean(text).strip()
    if not readable(text):
        raise ValueError("must hold something to read")
    return text


def _line(text: str) -> str:
    return _text(one_line(text, TEXT_CAP))


def _optional_line(text: str | None) -> str | None:
    text = one_line(text or "", TEXT_CAP)
    return text if readable(text) else None


def _phone(text: str) -> str:
    digits = read_phone(text)
    if digits is None:
        raise ValueError("must be an international phone number with a leading +, such as +15550001234")
    return digits


def _email(text: str | None) -> str | None:
    text = (text or "").strip()
    if text and not (_EMAIL.fullmatch(text) and text.isprintable()):
        raise ValueError("must be an e-mail address")
    return text or None


Text = Annotated[str, Field(min_length=1, max_length=TEXT_CAP), AfterValidator(_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Topic = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_line)]
OptionalLine = Annotated[str | None, Field(max_length=200), AfterValidator(_optional_line)]
Email = Annotated[str | None, Field(max_length=254), AfterValidator(_email)]
Phone = Annotated[str, Field(max_length=50, examples=["+15550001234"]), AfterValidator(_phone)]
TicketId = Annotated[int, Field(ge=1, le=LARGEST_TICKET_ID)]
