"""The fields of the API's bodies: what each may hold, cleaned.

Invariant: what gets past these is safe to store and to send: no NUL, control character or lone surrogate, something
to read in it, and no longer than its column.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.phones import read_phone
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean, clean_line

LARGEST_ID = 2**63 - 1
MOST_IDS = 10
# Letters and symbols by Unicode's word, but nothing to see: fillers of Hangul, an empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\]+@[^@\s<>\"',;:\\]+")


_ID = re.compile("[0-9]{1,19}")
# One emoji as people see it: a flag, a key, or signs with their tones and variations, joined or alone.
_SIGN = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_VARIED = f"{_SIGN}[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_EMOJI = re.compile(f"[0-9#*]\ufe0f?\u20e3|[\U0001f1e6-\U0001f1ff]{{2}}|{_VARIED}(?:\u200d{_VARIED})*")


def readable(text: str) -> bool:
    """Whether there is anything to see: spaces, zero-width characters, marks and fillers alone are nothing."""
    return any(character not in _BLANK and unicodedata.category(character)[0] in "LNPS" for character in text)


def _text(text: str) -> str:
    text = clean(text).strip()
    if not readable(text):
        raise ValueError("must hold something to read")
    return text


def _line(text: str) -> str:
    return _text(clean_line(text, MAX_TEXT_CHARACTERS))


def _optional_line(text: str | None) -> str | None:
    text = clean_line(text or "", MAX_TEXT_CHARACTERS)
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


def row_id(text: str) -> int | None:
    """The id that an address or a form names; None when it can't be one."""
    return int(text) if _ID.fullmatch(text) and int(text) <= LARGEST_ID else None


def _id(text: str) -> str:
    if row_id(text) is None:
        raise ValueError("must be an id")
    return text


def _each_once(ids: list[str]) -> list[str]:
    if len({int(each) for each in ids}) < len(ids):
        raise ValueError("must name each one once")
    return ids


def _emoji(text: str) -> str:
    if text and not _EMOJI.fullmatch(text):
        raise ValueError('must be one emoji, or "" to take the last one back')
    return text


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS), AfterValidator(_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Topic = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_line)]
OptionalLine = Annotated[str | None, Field(max_length=200), AfterValidator(_optional_line)]
Email = Annotated[str | None, Field(max_length=254), AfterValidator(_email)]
Phone = Annotated[str, Field(max_length=50, examples=["+15550001234"]), AfterValidator(_phone)]
Id = Annotated[str, Field(max_length=19, examples=["250264913686210543"]), AfterValidator(_id)]
Ids = Annotated[list[Id], Field(max_length=MOST_IDS), AfterValidator(_each_once)]
Emoji = Annotated[str, Field(max_length=40, examples=["👍"]), AfterValidator(_emoji)]
TicketId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
