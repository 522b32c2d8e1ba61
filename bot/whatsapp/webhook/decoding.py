"""The JSON of a webhook, decoded as strictly as it was written and as kindly as its other messages deserve.

Invariant: what comes out can be encoded again. A number out of bounds is null, not the end of the 999 other messages in
the body; NaN and Infinity are not JSON.
"""

import json

_LONGEST_INTEGER = 18


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _number(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < 1e300 else None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_refuse_constant).decode


def decode_json(body: bytes) -> object:
    """Raises ValueError (bad UTF-8 is one, too) or RecursionError for what is not JSON, or is too deep to be read."""
    return _decode(body.decode("utf-8"))
