"""Phone numbers as people type them, and the other forms in which WhatsApp may know the same person.

Invariants: a number is kept and answered in the form in which it came; the other forms serve to look a customer up, and
nothing is ever rewritten by them.
"""

import re

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

MIN_DIGITS, MAX_DIGITS = 7, 15
_TYPED = re.compile(r"\+[0-9 ()./-]{2,40}", re.ASCII)
_BRAZIL = re.compile(r"55([0-9]{2})(9?)([6-9][0-9]{7})")
_MEXICO = re.compile(r"52(1?)([0-9]{10})")
_ARGENTINA = re.compile(r"549([0-9]{10})")


def read_phone(text: str) -> str | None:
    """The digits of an international number with its `+`; None for what is none.

    It needs a country and a length that exist. More is not asked: WhatsApp knows numbers that national plans don't
    (Mexico's with the old mobile mark, test numbers that are too short), and Meta answers for the rest.
    """
    if not _TYPED.fullmatch(text.strip()):
        return None
    try:
        digits = format_number(parse(text.strip()), PhoneNumberFormat.E164).removeprefix("+")
    except NumberParseException:
        return None
    return digits if MIN_DIGITS <= len(digits) <= MAX_DIGITS else None


def list_phone_variants(digits: str) -> tuple[str, ...]:
    """The number itself, then the form under which WhatsApp may know it: Brazil's ninth digit, Mexico's 1, Argentina's
    9 (never added: without it, the number may be a landline)."""
    if match := _BRAZIL.fullmatch(digits):
        area, nine, number = match.groups()
        return (digits, f"55{area}{'' if nine else '9'}{number}")
    if match := _MEXICO.fullmatch(digits):
        return (digits, f"52{'' if match[1] else '1'}{match[2]}")
    if match := _ARGENTINA.fullmatch(digits):
        return (digits, f"54{match[1]}")
    return (digits,)
