"""Gives every answer over HTTP one shape: `{"success": true, "data": ...}`, or `{"success": false, "message": ...}`.

Invariants
- Whatever goes wrong leaves in this shape, with a status that says whose fault it is.
- No answer repeats what the caller sent, and none tells what happened inside.
"""

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar, get_args

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Quart, Request, Response
from quart_schema import RequestSchemaValidationError
from werkzeug.exceptions import BadRequest, HTTPException, UnprocessableEntity

from api.web.problem_text import describe_problem
from storage.sql.database import DatabaseDown, RowsHeld

T = TypeVar("T")
MESSAGES = {
    400: "The request can't be read: is its body valid JSON?",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    413: "The request is too large",
    415: "Send JSON, with Content-Type: application/json",
    422: "The request has too many members",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MAX_PROBLEMS = 50
MAX_MEMBERS = 1000  # of a body, inside each other too: the largest we take has 100, and each unknown one costs 20 µs
SEND_FORM = "Send the file in a form, with Content-Type: multipart/form-data"
ROWS_HELD = "Somebody else is changing the same thing just now: try again in a few seconds"
NOT_VALID = "Something in the request is not as it should be"
log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="The field, by its path in the body or its name in the query.", examples=["mobile"])
    message: str = Field(description="A sentence for people; it never repeats what was sent.")


class Refusal(BaseModel):
    """The answer to a request that was not carried out."""

    success: Literal[False] = False
    message: str = Field(
        description="Why, for people; a conflict (409) on a ticket says it in a code such as `window_closed`."
    )
    errors: list[Problem] = Field(
        default=[],
        exclude_if=lambda problems: not problems,
        description="Which fields are at fault, where that can be said.",
        json_schema_extra={"maxItems": MAX_PROBLEMS},
    )

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Answer(BaseModel, Generic[T]):
    """The answer to a request that was carried out."""

    success: Literal[True] = True
    data: T = Field(description="What was asked for.")

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Names the answer with a model after that model: code that is made of the description has these names."""
        (held,) = params
        return _name_model(held) + cls.__name__


class Pagination(BaseModel):
    """Which part of a list this is."""

    page: int = Field(description="The number of this page; the first is 1.")
    limit: int = Field(description="How many a page has at most.")
    total: int = Field(description="How many there are on all pages.")


class PageAnswer(Answer[T], Generic[T]):
    """The answer with one page of a list."""

    pagination: Pagination = Field(description="Where in the whole list this page stands.")


class Body(BaseModel):
    """The base of requests' bodies: these fields, of these types, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """The base of query strings: these fields, and nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class JsonRequest(Request):
    """A request whose body is either JSON that was read, or refused: whatever the bytes are."""

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        try:
            value = await super().get_json(force, silent, cache)
        except (UnicodeDecodeError, RecursionError):
            if silent:
                return None
            raise BadRequest from None
        if has_too_many_members(value):
            raise UnprocessableEntity
        return value


def has_too_many_members(value: object) -> bool:
    """Whether a value that was read from JSON has more than MAX_MEMBERS members, inside each other too: then it is not
    validated, which would find each of them wrong by itself."""
    left, waiting = MAX_MEMBERS, [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            left -= len(inner)
            if left < 0:
                return True
            waiting += inner.values() if isinstance(inner, dict) else inner
    return False


def respond(model: BaseModel, status: int = 200) -> Response:
    """Makes the response of an answer."""
    return Response(model.model_dump_json(), status, content_type="application/json")


def refuse(status: int, message: str = "", errors: Sequence[Problem] = ()) -> Response:
    """Makes the response of a refusal, with the status's own message where there is no better one."""
    refusal = Refusal(message=message or MESSAGES.get(status, "The request failed"), errors=list(errors))
    return Response(refusal.model_dump_json(), status, content_type="application/json")


def answer_errors(app: Quart) -> None:
    """Has every error of the application leave in our shape, and every answer with our headers."""
    app.request_class = JsonRequest
    app.register_error_handler(RequestSchemaValidationError, _refuse_invalid)
    app.register_error_handler(HTTPException, _refuse_http_error)
    app.register_error_handler(DatabaseDown, _refuse_for_now)

    @app.after_request
    async def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _name_model(model: Any) -> str:
    """Names a model of an answer: Ticket, TicketList, Nothing."""
    if model is None or model is type(None):
        return "Nothing"
    items = get_args(model)
    return f"{_name_model(items[0])}List" if items else str(model.__name__)


async def _refuse_invalid(error: RequestSchemaValidationError) -> Response:
    found = error.validation_error
    problems = []
    if isinstance(found, ValidationError):
        for each in found.errors(include_input=False, include_url=False):
            field = ".".join(map(str, each["loc"]))[:100].encode("ascii", "replace").decode()
            problems.append(
                Problem(field=field, message=describe_problem(each["type"], each.get("ctx", {}), each["msg"]))
            )
    return refuse(422, NOT_VALID, problems[:MAX_PROBLEMS])


async def _refuse_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    response = refuse(status, "" if status in MESSAGES else error.name)
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return response


async def _refuse_for_now(error: DatabaseDown) -> Response:
    if isinstance(error, RowsHeld):
        log.info("rows_held", error=str(error))
        response = refuse(503, ROWS_HELD)
        response.headers["Retry-After"] = "2"
        return response
    log.warning("database_down", error=str(error))
    response = refuse(503, "The database does not answer: try again later")
    response.headers["Retry-After"] = "5"
    return response
