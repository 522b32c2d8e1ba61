"""Says what is wrong with one value of a request, in words for people instead of those of the validating library.

Invariants
- Each sentence goes on from the name of its field: "limit: must be 100 or less".
- None repeats what was sent.
"""

from collections.abc import Callable, Mapping
from typing import Any

NO_OBJECT = "Send a JSON object"  # of a body as a whole, which has no field to go on from
_WHOLE_NUMBER = "must be a whole number"
_TEXT = "must be text"
_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "must be given",
    "extra_forbidden": lambda _: "is no field of this request",
    "model_type": lambda _: NO_OBJECT,
    "string_type": lambda _: _TEXT,
    "string_unicode": lambda _: "must be text in Unicode",
    "string_too_short": lambda limits: _say_least(limits["min_length"], "character"),
    "string_too_long": lambda limits: f"must have {_count(limits['max_length'], 'character')} at most",
    "int_type": lambda _: _WHOLE_NUMBER,
    "int_parsing": lambda _: _WHOLE_NUMBER,
    "int_parsing_size": lambda _: _WHOLE_NUMBER,
    "int_from_float": lambda _: _WHOLE_NUMBER,
    "greater_than_equal": lambda limits: f"must be {limits['ge']} or more",
    "less_than_equal": lambda limits: f"must be {limits['le']} or less",
    "bool_type": lambda _: "must be true or false",
    "list_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be an object",
    "too_short": lambda limits: _say_least(limits["min_length"], "member"),
    "too_long": lambda limits: f"must have {_count(limits['max_length'], 'member')} at most",
    "literal_error": lambda limits: f"must be {limits['expected']}",
    "enum": lambda limits: f"must be {limits['expected']}",
    "value_error": lambda limits: str(limits["error"]),
}


def describe_problem(kind: str, limits: Mapping[str, Any], otherwise: str) -> str:
    """Returns the sentence of an error of pydantic's, of this type and with this context; `otherwise` for any other."""
    describe = _SENTENCES.get(kind)
    return describe(limits) if describe else otherwise


def _say_least(least: int, what: str) -> str:
    return "must not be empty" if least == 1 else f"must have {_count(least, what)} at least"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
