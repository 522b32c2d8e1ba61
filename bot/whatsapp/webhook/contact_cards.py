"""A contact card as one line, from its fields or, where those say nothing, from its vCard.

Invariant: short whatever was sent, and it says how much more there is; a name and numbers in it are what a stranger
typed, for people to read.
"""

import re

from bot.whatsapp.json_access import get_line, get_object, get_objects, get_text
from bot.whatsapp.sanitize import clean_line

_PHONES, _EMAILS = 3, 1
_WORD = 120
_VCARD = re.compile(r"^(FN|TEL|EMAIL)(?:;[^:\n]*)?:(.*)$", re.MULTILINE | re.IGNORECASE)


def describe_contact_card(card: dict[str, object]) -> str:
    """What they gave because we asked is said to be their own: nobody has looked whether it is."""
    label = "contact given as theirs" if get_text(card, "origin") == "contact_request" else "contact"
    phones, emails = get_objects(card, "phones"), get_objects(card, "emails")
    words = [_name(card)]
    words += [get_line(phone, "phone", _WORD) or get_line(phone, "wa_id", _WORD) for phone in phones[:_PHONES]]
    words += [get_line(email, "email", _WORD) for email in emails[:_EMAILS]]
    words = list(filter(None, words))
    words = [*words, *_left_out(len(phones), len(emails))] if words else _vcard(get_text(card, "vcard"))
    return f"[{label}: {', '.join(words) or 'without a name'}]"


def _name(card: dict[str, object]) -> str:
    name, organization = get_object(card, "name"), get_object(card, "org")
    found = (get_line(name, "formatted_name", _WORD), get_line(name, "first_name", _WORD))
    return next(filter(None, (*found, get_line(organization, "company", _WORD))), "")


def _left_out(phones: int, emails: int) -> list[str]:
    rest = {"to call": phones - _PHONES, "to write to": emails - _EMAILS}
    return [f"{count} more {name}" for name, count in rest.items() if count > 0]


def _vcard(text: str) -> list[str]:
    found = {"FN": list[str](), "TEL": list[str](), "EMAIL": list[str]()}
    for key, value in _VCARD.findall(text):
        found[key.upper()].append(clean_line(value, _WORD))
    words = found["FN"][:1] + found["TEL"][:_PHONES] + found["EMAIL"][:_EMAILS]
    return [*filter(None, words), *_left_out(len(found["TEL"]), len(found["EMAIL"]))]
