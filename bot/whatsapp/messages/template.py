"""Builds the `template` object of a message: a template's name and language, and what is filled into it.

Invariants
- What Meta refuses in a parameter (nothing at all, line breaks, tabs, runs of spaces) never goes out. Whether the
  template has these parameters is not known here: whoever chose it has compared them.

Source: Meta, messages/send-messages (messages of the type `template`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bot.whatsapp.messages.limits import Unsendable, check_text

MAX_HEADER_UNITS: Final = 60
MAX_BODY_UNITS: Final = 1024
_NAME = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Za-z]{2,4}){0,2}")
_PARAMETER_NAME = re.compile(r"[a-z0-9_]{1,100}")
_REFUSED_IN_PARAMETERS = re.compile(r"[\n\r\t\u2028\u2029]| {4}")


def build_template(message: Mapping[str, object]) -> dict[str, object]:
    """Returns the object `template` of the body of POST /messages. Raises Unsendable.

    `message` has the template's `name` and `language`, and for its `header` and `body` a list of texts or, where the
    template names its parameters, the texts by name.
    """
    name, language = message.get("name"), message.get("language")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Unsendable("a template's name has small letters, digits and underscores")
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise Unsendable("a template's language is a code such as en or pt_BR")
    built: dict[str, object] = {"name": name, "language": {"code": language}}
    components = [
        {"type": kind, "parameters": parameters}
        for kind, limit in (("header", MAX_HEADER_UNITS), ("body", MAX_BODY_UNITS))
        if (parameters := _build_parameters(kind, message.get(kind), limit))
    ]
    return built | ({"components": components} if components else {})


def _build_parameters(kind: str, values: object, limit: int) -> list[dict[str, str]]:
    if values is None:
        return []
    if isinstance(values, Mapping):
        named = [
            (_check_parameter_name(name), _check_parameter(f"{kind} {name}", text, limit))
            for name, text in values.items()
        ]
        return [{"type": "text", "parameter_name": name, "text": text} for name, text in named]
    if isinstance(values, Sequence) and not isinstance(values, str):
        texts = [_check_parameter(f"{kind} {number}", text, limit) for number, text in enumerate(values, start=1)]
        return [{"type": "text", "text": text} for text in texts]
    raise Unsendable(f"the parameters of the {kind} are neither a list nor named")


def _check_parameter_name(name: object) -> str:
    if not isinstance(name, str) or not _PARAMETER_NAME.fullmatch(name):
        raise Unsendable("a parameter's name has small letters, digits and underscores")
    return name


def _check_parameter(key: str, text: object, limit: int) -> str:
    found = check_text(f"parameter {key}", text, limit)
    if not found.strip():
        raise Unsendable(f"parameter {key} is empty")
    if _REFUSED_IN_PARAMETERS.search(found):
        raise Unsendable(f"parameter {key} has a line break, a tab or more than three spaces in a row")
    return found
