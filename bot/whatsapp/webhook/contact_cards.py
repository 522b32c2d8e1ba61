"""Describes a contact card in one line, from its fields or, where those say nothing, from its vCard.

Invariants
- The line is short whatever was sent, and says how much more there is.
- The name and numbers in it are what a stranger typed, for people to read.

Sources: Meta, webhooks/overview (messages of the type `contacts`); RFC 2426 and RFC 6350 (vCard 3.0 and 4.0).
"""

import re

from bot.whatsapp.json_access import get_line, get_object, get_objects, get_text
from bot.whatsapp.sanitize import clean_line

_MAX_PHONES, _MAX_EMAILS = 3, 1
_MAX_PART_CHARACTERS = 120
# A property may stand in a group ("item1.TEL"), which ties it to a label.
_VCARD = re.compile(r"^(?:[A-Z0-9-]{1,40}\.)?(FN|TEL|EMAIL)(?:;[^:\n]*)?:(.*)$", re.MULTILINE | re.IGNORECASE)
_FOLD = re.compile(r"\n[ \t]")  # a long line goes on behind it
_ESCAPED = re.compile(r"\\([,;:\\])")


def describe_contact_card(card: dict[str, object]) -> str:
    """Describes one entry of a message's `contacts`.

    What they gave because we asked is said to be given as their own: nobody has looked whether it is.
    """
    label = "contact given as theirs" if get_text(card, "origin") == "contact_request" else "contact"
    phones, emails = get_objects(card, "phones"), get_objects(card, "emails")
    parts = [_read_name(card)]
    parts += [_get_part(phone, "phone") or _get_part(phone, "wa_id") for phone in phones[:_MAX_PHONES]]
    parts += [_get_part(email, "email") for email in emails[:_MAX_EMAILS]]
    parts = list(filter(None, parts))
    parts = [*parts, *_count_rest(len(phones), len(emails))] if parts else _read_vcard(get_text(card, "vcard"))
    return f"[{label}: {', '.join(parts) or 'without a name'}]"


def _get_part(value: dict[str, object], key: str) -> str:
    return get_line(value, key, _MAX_PART_CHARACTERS)


def _read_name(card: dict[str, object]) -> str:
    name = get_object(card, "name")
    found = (_get_part(name, "formatted_name"), _get_part(name, "first_name"))
    return next(filter(None, (*found, _get_part(get_object(card, "org"), "company"))), "")


def _count_rest(phones: int, emails: int) -> list[str]:
    """Says how many numbers and addresses are not shown."""
    rest = {"to call": phones - _MAX_PHONES, "to write to": emails - _MAX_EMAILS}
    return [f"{count} more {name}" for name, count in rest.items() if count > 0]


def _read_vcard(text: str) -> list[str]:
    found = {"FN": list[str](), "TEL": list[str](), "EMAIL": list[str]()}
    for key, value in _VCARD.findall(_FOLD.sub("", text)):
        words = _ESCAPED.sub(r"\1", value.strip()).removeprefix("tel:")
        found[key.upper()].append(clean_line(words, _MAX_PART_CHARACTERS))
    parts = found["FN"][:1] + found["TEL"][:_MAX_PHONES] + found["EMAIL"][:_MAX_EMAILS]
    return [*filter(None, parts), *_count_rest(len(found["TEL"]), len(found["EMAIL"]))]
