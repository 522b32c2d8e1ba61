"""The checks that every part of a message passes before it goes out.

Invariant: lengths are counted in UTF-16 units, the strictest reading of Meta's limits, and nothing is ever cut here:
what is too long is an error where it was written, because the one who wrote it can cut it better.
"""

from collections.abc import Mapping, Sequence

from flows.language.formatting import count_units


class Unsendable(ValueError):
    """A message that Meta would refuse, found before it went out."""


class TooLong(Unsendable):
    """A part of the message is over its limit."""


def check_text(key: str, text: object, limit: int) -> str:
    """The text, which may be empty."""
    if not isinstance(text, str):
        raise Unsendable(f"{key} is not a text")
    if count_units(text) > limit:
        raise TooLong(f"{key} has {count_units(text)} of at most {limit} characters")
    return text


def require_text(held: Mapping[str, object], key: str, limit: int) -> str:
    """The text under the key, which has something in it."""
    text = check_text(key, held.get(key, ""), limit)
    if not text.strip():
        raise Unsendable(f"{key} is empty")
    return text


def require_id(held: Mapping[str, object], key: str, limit: int) -> str:
    """An id: a text without a space around it, since Meta would give it back without."""
    found = require_text(held, key, limit)
    if found != found.strip():
        raise Unsendable(f"{key} has a space around it")
    return found


def require_objects(held: Mapping[str, object], key: str, most: int) -> list[Mapping[str, object]]:
    """A list of 1 to `most` objects."""
    found = held.get(key)
    if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(one, Mapping) for one in found):
        raise Unsendable(f"{key} is not a list")
    if not 1 <= len(found) <= most:
        raise Unsendable(f"1 to {most} {key} are needed, and there are {len(found)}")
    return list(found)
