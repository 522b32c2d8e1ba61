"""Reads phone numbers as people type them, and lists the variants under which WhatsApp may know the same number.

Invariants
- A number is kept and answered in the form in which it came. The variants serve to look a customer up, and nothing is
  ever rewritten by them.

Sources: ITU-T E.164 (at most 15 digits with the country code); Meta, business-phone-numbers/phone-numbers.
"""

import re

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    format_number,
    is_possible_number_for_type_with_reason,
    is_valid_number,
    parse,
    region_code_for_country_code,
    region_code_for_number,
)

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
_TYPED_AT_HOME = re.compile(r"\+?[0-9 ()./-]{4,40}", re.ASCII)
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


def read_local_phone(text: str, country: str) -> str | None:
    """Returns the digits, with the country code, of a number that may have been typed without one, by somebody in
    `country` (as in ISO 3166: `DE`) or by a program that leaves out the `+`; None for what is none.

    A number that is a good one both at home and abroad, as 33612345678 is in Germany and in France, is none either: to
    take one for the other would show a ticket to a stranger.
    """
    text = text.translate(_AS_TYPED).strip()
    if not _TYPED_AT_HOME.fullmatch(text):
        return None
    digits = re.sub(r"[^0-9]", "", text)
    if text.startswith("+") or digits.startswith("00"):
        return read_phone(f"+{digits.removeprefix('00')}")
    home, abroad = _parse(digits, country), _parse(f"+{digits}")
    found = _choose(digits, country, home, abroad)
    number = format_number(found, PhoneNumberFormat.E164).removeprefix("+") if found else ""
    return number if MIN_DIGITS <= len(number) <= MAX_DIGITS else None


def _choose(digits: str, country: str, home: PhoneNumber | None, abroad: PhoneNumber | None) -> PhoneNumber | None:
    """Chooses one of two readings of a number that was typed without `+`."""
    is_abroad = abroad is not None and is_valid_number(abroad)
    if home is None or (is_abroad and digits.startswith(str(home.country_code))):
        return abroad if is_abroad else None
    if is_valid_number(home):
        prefix = getattr(PhoneMetadata.metadata_for_region(country), "national_prefix", None)
        # In North America hardly anybody types it.
        is_written = not prefix or prefix == "1" or digits.startswith(prefix)
        return home if is_written or not is_abroad else None
    if is_abroad:
        return abroad
    length = is_possible_number_for_type_with_reason(home, PhoneNumberType.MOBILE)
    return home if length == ValidationResult.IS_POSSIBLE else None


def _parse(text: str, country: str | None = None) -> PhoneNumber | None:
    try:
        return parse(text, country)
    except NumberParseException:
        return None


def find_country(text: str) -> str:
    """Returns the country of an international number, as in ISO 3166; "" where it has none."""
    number = _parse(text)
    if number is None:
        return ""
    found = region_code_for_number(number) or region_code_for_country_code(number.country_code or 0)
    return found if is_country(found) else ""


def is_country(code: str) -> bool:
    """Returns whether this is a country with phone numbers, as ISO 3166 writes it."""
    return code in SUPPORTED_REGIONS


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
