"""The one shape of every answer: `{"success": true, "data": ...}`, or `{"success": false, "message": ...}`.

Invariants: whatever goes wrong leaves in this shape, with a status that says whose fault it is; no answer repeats what
the caller sent, and none tells what happened inside.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar, cast

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from quart import Quart, Request, Response
from quart_schema import RequestSchemaValidationError, document_response, validate_querystring, validate_request
from werkzeug.exceptions import BadRequest, HTTPException

from storage.sql.database import DatabaseDown

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., Any])
MESSAGES = {
    400: "The request can't be read: is its body valid JSON?",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    413: "The request is too large",
    415: "Send JSON, with Content-Type: application/json",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOT_VALID = "Something in the request is not as it should be"
log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """What is wrong, and where."""

    field: str
    message: str


class Refusal(BaseModel):
    """What was asked for did not happen."""

    success: Literal[False] = False
    message: str
    errors: list[Problem] | None = None


class Answer(BaseModel, Generic[T]):
    """What was asked for."""

    success: Literal[True] = True
    data: T


class Pagination(BaseModel):
    """Which part of a list this is."""

    page: int
    limit: int
    total: int


class PageAnswer(Answer[T], Generic[T]):
    """One page of a list."""

    pagination: Pagination


class Body(BaseModel):
    """What a request's body may hold: these fields, of these types, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """What a query string may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class JsonRequest(Request):
    """A request whose body is either JSON that was read, or refused: whatever the bytes are."""

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        try:
            return await super().get_json(force, silent, cache)
        except (UnicodeDecodeError, RecursionError):
            if silent:
                return None
            raise BadRequest from None


def answer(model: BaseModel, status: int = 200) -> Response:
    """The answer as it goes out."""
    return Response(model.model_dump_json(), status, content_type="application/json")


def refusal(status: int, message: str = "", errors: Sequence[Problem] = ()) -> Response:
    """The refusal as it goes out."""
    held = Refusal(message=message or MESSAGES.get(status, "The request failed"), errors=list(errors) or None)
    return Response(held.model_dump_json(exclude_none=True), status, content_type="application/json")


def takes(body: type[Body]) -> Callable[[View], View]:
    """The view's `data` is the request's body."""
    return cast(Callable[[View], View], validate_request(body))


def asks(query: type[Query]) -> Callable[[View], View]:
    """The view's `query_args` is the query string."""
    return cast(Callable[[View], View], validate_querystring(query))


def gives(model: type[BaseModel], status: int = 200) -> Callable[[View], View]:
    """What the view answers, for the description of the API."""
    return document_response(cast(Any, model), status)


def answer_errors(app: Quart) -> None:
    """Every error of the application leaves in our shape, every answer with our headers."""
    app.request_class = JsonRequest
    app.register_error_handler(RequestSchemaValidationError, _not_valid)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(DatabaseDown, _database_down)

    @app.after_request
    async def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


async def _not_valid(error: RequestSchemaValidationError) -> Response:
    found = error.validation_error
    problems = []
    if isinstance(found, ValidationError):
        for each in found.errors(include_input=False, include_url=False, include_context=False):
            field = ".".join(map(str, each["loc"]))[:100].encode("ascii", "replace").decode()
            problems.append(Problem(field=field, message=each["msg"].removeprefix("Value error, ")))
    return refusal(422, NOT_VALID, problems[:50])


async def _refused(error: HTTPException) -> Response:
    status = error.code or 500
    response = refusal(status, "" if status in MESSAGES else error.name)
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return response


async def _database_down(error: DatabaseDown) -> Response:
    log.warning("database_down", error=str(error))
    response = refusal(503, "The database does not answer: try again later")
    response.headers["Retry-After"] = "5"
    return response
