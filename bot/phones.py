"""Reads phone numbers as people type them, and lists the variants under which WhatsApp may know the same number.

Invariants
- A number is kept and answered in the form in which it came. The variants serve to look a customer up, and nothing is
  ever rewritten by them.

Sources: ITU-T E.164 (at most 15 digits with the country code); Meta, business-phone-numbers/phone-numbers.
"""

import re

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

MIN_DIGITS, MAX_DIGITS = 7, 15  # with the country code
_TYPED = re.compile(r"\+[0-9 ()./-]{2,40}", re.ASCII)
# What is pasted along with a number: no-break and other spaces, dashes and minus signs, and what nobody sees.
# Full-width characters are those of keyboards in East Asia.
_SPACES = "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63"
_UNSEEN = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_FULL_WIDTH = {chr(ord(plain) + 0xFEE0): plain for plain in "+0123456789()./-"}
_AS_TYPED = str.maketrans(
    _FULL_WIDTH | dict.fromkeys(_SPACES, " ") | dict.fromkeys(_DASHES, "-") | dict.fromkeys(_UNSEEN, "")
)
_BRAZIL = re.compile(r"55([0-9]{2})(9?)([6-9][0-9]{7})")
_MEXICO = re.compile(r"52(1?)([0-9]{10})")
_ARGENTINA = re.compile(r"549([0-9]{10})")


def read_phone(text: str) -> str | None:
    """Returns the digits of an international number that was typed, or pasted, with its `+`; None for what is none.

    It needs a country and a length that exist. More is not asked: WhatsApp knows numbers that national plans don't
    (Mexico's with the old mobile mark, test numbers that are too short), and Meta answers for the rest.
    """
    typed = text.translate(_AS_TYPED).strip()
    if not _TYPED.fullmatch(typed):
        return None
    try:
        digits = format_number(parse(typed), PhoneNumberFormat.E164).removeprefix("+")
    except NumberParseException:
        return None
    return digits if MIN_DIGITS <= len(digits) <= MAX_DIGITS else None


def list_phone_variants(digits: str) -> tuple[str, ...]:
    """Returns the number itself, then the variant under which WhatsApp may know it.

    That is Brazil's without or with its ninth digit, Mexico's without or with the old mobile mark 1, and Argentina's
    without its 9 (which is never added: without it, the number may be a landline).
    """
    if match := _BRAZIL.fullmatch(digits):
        area, nine, number = match.groups()
        return (digits, f"55{area}{'' if nine else '9'}{number}")
    if match := _MEXICO.fullmatch(digits):
        return (digits, f"52{'' if match[1] else '1'}{match[2]}")
    if match := _ARGENTINA.fullmatch(digits):
        return (digits, f"54{match[1]}")
    return (digits,)
