"""Checks each part of a message before it goes out, and raises Unsendable for what Meta would refuse.

Invariants
- Lengths are counted in UTF-16 units, the strictest reading of Meta's limits: Meta does not say whether an emoji is one
  character or two.
- Nothing is ever cut here: what is too long is an error where it was written, because whoever wrote it can cut it
  better.
"""

from collections.abc import Mapping, Sequence

from flows.language.formatting import count_units


class Unsendable(ValueError):
    """A message that Meta would refuse, found before it went out."""


class TooLong(Unsendable):
    """A part of the message is longer than WhatsApp takes."""


def check_text(key: str, text: object, limit: int) -> str:
    """Returns the text, which may be empty. `limit` is in UTF-16 units, `key` what the error calls it."""
    if not isinstance(text, str):
        raise Unsendable(f"{key} is not a text")
    if count_units(text) > limit:
        raise TooLong(f"{key} has {count_units(text)} of at most {limit} characters")
    return text


def require_text(message: Mapping[str, object], key: str, limit: int) -> str:
    """Returns the text under the key, which has more in it than spaces."""
    text = check_text(key, message.get(key, ""), limit)
    if not text.strip():
        raise Unsendable(f"{key} is empty")
    return text


def require_id(message: Mapping[str, object], key: str, limit: int) -> str:
    """Returns the id under the key: a text without a space around it, since Meta would give it back without."""
    found = require_text(message, key, limit)
    if found != found.strip():
        raise Unsendable(f"{key} has a space around it")
    return found


def require_objects(message: Mapping[str, object], key: str, max_count: int) -> list[Mapping[str, object]]:
    """Returns the list under the key, which has 1 to `max_count` objects."""
    found = message.get(key)
    if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(one, Mapping) for one in found):
        raise Unsendable(f"{key} is not a list")
    if not 1 <= len(found) <= max_count:
        raise Unsendable(f"1 to {max_count} {key} are needed, and there are {len(found)}")
    return list(found)
