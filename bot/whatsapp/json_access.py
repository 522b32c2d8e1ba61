"""Takes values out of JSON that nobody vouches for.

Invariants
- Nothing raises: what is missing, null or of another type is the empty value of the type that was asked for. So a
  reader says what it looks for, and never what may be wrong with it.
- Texts are clean and bounded (sanitize.py).
"""

import json
import re
from datetime import UTC, datetime

from bot.whatsapp.addresses import read_id_text
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean, clean_line, to_storable_id

_MAX_ID_CHARACTERS = 256
_UNIX_SECONDS = re.compile(r"[0-9]{1,11}")


def load_object(payload: str) -> dict[str, object]:
    """Returns the JSON object that the text encodes, {} for any other text."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def get_object(value: dict[str, object], key: str) -> dict[str, object]:
    """Returns the object under the key, else {}."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def get_objects(value: dict[str, object], key: str) -> list[dict[str, object]]:
    """Returns those members of the list under the key that are objects, else []."""
    found = value.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def get_text(value: dict[str, object], key: str, max_characters: int = MAX_TEXT_CHARACTERS) -> str:
    """Returns the text under the key, else "". Ids and times may also have come as numbers."""
    found = value.get(key)
    if type(found) is int:
        return str(found)
    return clean(found, max_characters) if isinstance(found, str) else ""


def get_line(value: dict[str, object], key: str, max_characters: int) -> str:
    """Returns the text under the key as one line: a name, a title, a sum with a decimal point."""
    found = value.get(key)
    return str(found) if type(found) is float else clean_line(get_text(value, key), max_characters)


def get_id(value: dict[str, object], key: str) -> str:
    """Returns the id under the key, whole or not at all: a part of it would be another id."""
    found = get_text(value, key)
    return found if len(found) <= _MAX_ID_CHARACTERS else ""


def get_wamid(value: dict[str, object], key: str) -> str:
    """Returns Meta's message id under the key, as it is stored."""
    return to_storable_id(read_id_text(value.get(key)))


def get_instant(value: dict[str, object], key: str) -> datetime | None:
    """Returns the instant (UTC) under a key that holds unix seconds, as text or as a number; None for 0 or nonsense."""
    seconds = get_text(value, key)
    return datetime.fromtimestamp(int(seconds), UTC) if _UNIX_SECONDS.fullmatch(seconds) and int(seconds) else None
