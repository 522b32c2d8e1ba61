"""Take values out of JSON that nobody vouches for.

Invariant: total. What is missing, null or of another type is the empty value of the type that was asked for, so a
reader says what it looks for and never what may be wrong with it. Texts are clean and capped.
"""

import json
import re
from datetime import UTC, datetime

from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean, clean_line, to_storable_id

_ID_CAP = 256
_SECONDS = re.compile(r"[0-9]{1,11}")


def load_object(payload: str) -> dict[str, object]:
    """The object that a text is the JSON of."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def get_object(value: dict[str, object], key: str) -> dict[str, object]:
    held = value.get(key)
    return held if isinstance(held, dict) else {}


def get_objects(value: dict[str, object], key: str) -> list[dict[str, object]]:
    held = value.get(key)
    return [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []


def get_text(value: dict[str, object], key: str, cap: int = MAX_TEXT_CHARACTERS) -> str:
    """The text behind a key. Ids and times may also have come as numbers."""
    held = value.get(key)
    if type(held) is int:
        return str(held)
    return clean(held, cap) if isinstance(held, str) else ""


def get_line(value: dict[str, object], key: str, cap: int) -> str:
    """The same as one line: a name, a title, a sum with a decimal point."""
    held = value.get(key)
    return str(held) if type(held) is float else clean_line(get_text(value, key), cap)


def get_id(value: dict[str, object], key: str) -> str:
    """An id is whole or it is not there: a part of it would be another id."""
    held = get_text(value, key)
    return held if len(held) <= _ID_CAP else ""


def get_wamid(value: dict[str, object], key: str) -> str:
    held = value.get(key)
    return to_storable_id(held) if isinstance(held, str) else ""


def get_instant(value: dict[str, object], key: str) -> datetime | None:
    """The moment behind a key that holds unix seconds, as text or as a number."""
    seconds = get_text(value, key)
    return datetime.fromtimestamp(int(seconds), UTC) if _SECONDS.fullmatch(seconds) and int(seconds) else None
