"""Lets routes tell the OpenAPI document what quart-schema has no word for.

That is: answers that are no JSON, what stands in an address, refusals that many routes share.
`route_describer.py` makes the document of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from quart import Blueprint
from quart_schema import tag_blueprint

from api.web.fields import ID_SCHEMA

Json = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])


class SharedAnswer(NamedTuple):
    """A refusal that many routes answer with: its name among the components, what it means, its headers."""

    name: str
    description: str
    headers: Mapping[str, str] = {}


SHARED_ANSWERS: Final[Mapping[int, SharedAnswer]] = {
    400: SharedAnswer("BadRequest", "The body can't be read: it is not valid JSON, or no form."),
    401: SharedAnswer(
        "Unauthorized",
        "There is no key in the header `Authorization`, or it is not good (any more). What was wrong with it is not"
        " said.",
        {"WWW-Authenticate": "Always `Bearer`."},
    ),
    403: SharedAnswer("Forbidden", "The role of this key does not include what this call does."),
    404: SharedAnswer("NotFound", "There is nothing with the id or the name in the address or in the body."),
    409: SharedAnswer(
        "Conflict",
        "As things stand this can't be done, and nothing was changed. `errors` says in words what is missing.",
    ),
    410: SharedAnswer("Gone", "There was a file with this id, and its bytes are no longer there."),
    413: SharedAnswer("ContentTooLarge", "The body, or a file in it, is larger than it may be."),
    415: SharedAnswer("UnsupportedMediaType", "The body is of another content type than this call takes."),
    416: SharedAnswer(
        "RangeNotSatisfiable",
        "The file has no such part.",
        {"Content-Range": "`bytes */` and the size of the file."},
    ),
    422: SharedAnswer("UnprocessableContent", "A value is not as it should be; `errors` names each field."),
    429: SharedAnswer(
        "TooManyRequests",
        "There were too many requests in too short a time.",
        {"Retry-After": "After how many seconds to try again."},
    ),
    503: SharedAnswer(
        "ServiceUnavailable",
        "Something that this call needs does not answer just now, and nothing was changed: the database, the store of"
        " files, or Meta.",
        {"Retry-After": "After how many seconds to try again."},
    ),
}
OTHER_ANSWER: Final = SharedAnswer("OtherRefusal", "Anything else that went wrong; `message` says what.")


class Payload(NamedTuple):
    """An answer that is no JSON."""

    description: str
    content_types: tuple[str, ...]


def answers_with(status: int, *content_types: str, description: str) -> Callable[[View], View]:
    """Describes an answer of the route that is no JSON: text, a picture, the bytes of a file."""

    def mark(view: View) -> View:
        payloads: dict[int, Payload] = {
            **getattr(view, "_tick_payloads", {}),
            status: Payload(description, content_types),
        }
        view._tick_payloads = payloads  # type: ignore[attr-defined]
        return view

    return mark


def describe_blueprint(blueprint: Blueprint, tag: str, **parameters: Json) -> None:
    """Puts all routes of a blueprint under one heading, and describes what stands in their addresses, by name: a schema
    with its description."""
    tag_blueprint(blueprint, [tag])
    blueprint._tick_parameters = parameters  # type: ignore[attr-defined]


def make_id_schema(description: str) -> Json:
    """Makes the schema of an id in an address."""
    return {**ID_SCHEMA, "description": description}


def read_payloads(view: object) -> Mapping[int, Payload]:
    """Reads which answers of the route are no JSON, by status."""
    payloads: Mapping[int, Payload] = getattr(view, "_tick_payloads", {})
    return payloads


def read_parameters(blueprint: object) -> Mapping[str, Json]:
    """Reads the schemas of what stands in the addresses of a blueprint's routes, by name."""
    parameters: Mapping[str, Json] = getattr(blueprint, "_tick_parameters", {})
    return parameters
