"""Defines the fields of the API's bodies: what each may hold, cleaned.

Invariants
- What gets past these is safe to store and to send: no NUL, control character or lone surrogate, something to read in
  it, and no longer than its column.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot.phones import read_phone
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean, clean_line
from flows.language.matching import is_blank

MAX_ID = 2**63 - 1
MAX_IDS = 10
_EMAIL = re.compile(r"[^@\s<>\",;:\\]+@[^@\s<>\"',;:\\]+")
_ID = re.compile("[0-9]{1,19}")
# One emoji as people see it: a flag, a key, or signs with their tones and variations, joined or alone.
_SIGN = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_VARIED = f"{_SIGN}[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_EMOJI = re.compile(f"[0-9#*]\ufe0f?\u20e3|[\U0001f1e6-\U0001f1ff]{{2}}|{_VARIED}(?:\u200d{_VARIED})*")


def _check_text(text: str) -> str:
    text = clean(text).strip()
    if is_blank(text):
        raise ValueError("must hold something to read")
    return text


def _check_line(text: str) -> str:
    return _check_text(clean_line(text, MAX_TEXT_CHARACTERS))


def _check_optional_line(text: str | None) -> str | None:
    text = clean_line(text or "", MAX_TEXT_CHARACTERS)
    return None if is_blank(text) else text


def _check_phone(text: str) -> str:
    digits = read_phone(text)
    if digits is None:
        raise ValueError("must be an international phone number with a leading +, such as +15550001234")
    return digits


def _check_optional_phone(text: str | None) -> str | None:
    return None if text is None or is_blank(text) else _check_phone(text)


def _check_email(text: str | None) -> str | None:
    text = (text or "").strip()
    if text and not (_EMAIL.fullmatch(text) and text.isprintable()):
        raise ValueError("must be an e-mail address")
    return text or None


def read_id(text: str) -> int | None:
    """Reads the id that an address or a form names; None when it can't be one."""
    return int(text) if _ID.fullmatch(text) and int(text) <= MAX_ID else None


def _check_id(text: str) -> str:
    if read_id(text) is None:
        raise ValueError("must be an id")
    return text


def _check_ids(ids: list[str]) -> list[str]:
    if len({int(each) for each in ids}) < len(ids):
        raise ValueError("must name each one once")
    return ids


def _check_emoji(text: str) -> str:
    if text and not _EMOJI.fullmatch(text):
        raise ValueError('must be one emoji, or "" to take the last one back')
    return text


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS), AfterValidator(_check_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_line)]
Topic = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_check_line)]
OptionalLine = Annotated[str | None, Field(max_length=200), AfterValidator(_check_optional_line)]
Email = Annotated[str | None, Field(max_length=254, examples=["ann@example.com"]), AfterValidator(_check_email)]
Phone = Annotated[
    str,
    # The document shows how a number is written; people are read in more ways than that.
    Field(max_length=50, examples=["+15550001234"], json_schema_extra={"pattern": r"^\+[0-9][0-9 ()./-]{5,40}$"}),
    AfterValidator(_check_phone),
]
OptionalPhone = Annotated[
    str | None,
    Field(max_length=50, examples=["+15550001234"], json_schema_extra={"pattern": r"^(\+[0-9][0-9 ()./-]{5,40})?$"}),
    AfterValidator(_check_optional_phone),
]
ID_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_ID.pattern}$", "examples": ["250264913686210543"]}
Id = Annotated[str, Field(max_length=19, json_schema_extra=ID_SCHEMA), AfterValidator(_check_id)]
Ids = Annotated[list[Id], Field(max_length=MAX_IDS), AfterValidator(_check_ids)]
Emoji = Annotated[
    str,
    Field(max_length=40, examples=["👍"], json_schema_extra={"pattern": f"^(?:{_EMOJI.pattern})?$"}),
    AfterValidator(_check_emoji),
]
TicketId = Annotated[int, Field(ge=1, le=MAX_ID)]
