"""Decodes the JSON of a webhook strictly, and gives up a bad number rather than the body that it is in.

Invariants
- What comes out can be encoded again, as strict JSON.
- A number out of bounds becomes null, and does not cost the 999 other messages of the body.
- NaN and Infinity are refused: they are not JSON.

Source: RFC 8259.
"""

import json

_MAX_INTEGER_CHARACTERS = 18  # fits into 64 bits; Python itself refuses to read more than 4,300 digits
_MAX_FLOAT = 1e300


def _read_integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_INTEGER_CHARACTERS else None


def _read_float(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < _MAX_FLOAT else None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_int=_read_integer, parse_float=_read_float, parse_constant=_refuse_constant).decode


def decode_json(body: bytes) -> object:
    """Returns the JSON value; raises ValueError for what is none (bad UTF-8 too), RecursionError for one too deep."""
    return _decode(body.decode("utf-8"))
