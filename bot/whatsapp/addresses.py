"""Tells the two kinds of WhatsApp address apart: a phone number, and a business-scoped user id (BSUID).

Invariants
- A phone number is never taken for a BSUID or the other way round, whichever field Meta put it in.
- Nothing raises: whatever is neither reads as "".
- A JSON number reads as its digits: some of Meta's fields, and some relays of its webhooks, hold ids that way.

Source: Meta, business-scoped-user-ids.
"""

import re
from typing import NamedTuple

_PHONE = re.compile(r"\+?([0-9]{3,20})")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_OPAQUE_ID = re.compile(r"[!-~]{1,160}")  # Meta promises no shape for user ids, so a field of theirs is taken as it is


class Addresses(NamedTuple):
    """The addresses of one person, each "" when it is not known: `phone` in digits without a plus, and `bsuid`."""

    phone: str
    bsuid: str


def is_bsuid(text: str) -> bool:
    """Whether the text has the shape of a BSUID, such as "US.13491208655302741918"."""
    return _BSUID.fullmatch(text) is not None


def read_id_text(value: object) -> str:
    """Returns the text of an id, which may have come as a JSON number; "" for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int and value >= 0 else ""  # a bool is an int too


def read_phone_digits(value: object) -> str:
    """Returns the digits of a phone number as Meta writes it, with or without a plus; "" for anything else."""
    match = _PHONE.fullmatch(read_id_text(value))
    return match[1] if match else ""


def read_addresses(phone: object, bsuid: object) -> Addresses:
    """Reads a pair of Meta's fields, of which either may be missing, null, empty or hold the other one's value."""
    digits, user_id = read_phone_digits(phone), read_id_text(bsuid)
    if _OPAQUE_ID.fullmatch(user_id):
        return Addresses(digits, user_id)
    if not digits and isinstance(phone, str) and is_bsuid(phone):
        return Addresses("", phone)
    return Addresses(digits, "")
