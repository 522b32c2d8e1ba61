"""Makes the answers that several endpoints give: an error, success, an object that is not there, a list in pages."""

import base64
import os
from typing import Any, Final

from quart import Response, jsonify, request

from api.simulator.graph_error import GraphError

DEFAULT_PAGE_ROWS: Final = 25
MAX_PAGE_ROWS: Final = 500


def make_error_response(error: GraphError) -> Response:
    """Answers with an error of the Graph API."""
    response = jsonify(error.build_body(os.urandom(12).hex()))
    response.status_code = error.status
    return response


def make_success_response() -> Response:
    """Answers that it is done."""
    return jsonify({"success": True})


def make_no_such_object_response(object_id: str) -> Response:
    """Answers for an id that nobody has, or that is of another kind: a WABA's where a number's is wanted."""
    verb = request.method.lower()
    message = (
        f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation. Please read the Graph API documentation at"
        " https://developers.facebook.com/docs/graph-api"
    )
    return make_error_response(GraphError(100, subcode=33, message=message, kind="GraphMethodException"))


def make_page_response(rows: list[dict[str, Any]]) -> Response:
    """Answers with one page of `rows`, from the cursor that was given on, and the cursor of the next."""
    try:
        limit = max(1, min(int(request.args.get("limit", DEFAULT_PAGE_ROWS)), MAX_PAGE_ROWS))
        after = request.args.get("after", "")
        begin = int(base64.urlsafe_b64decode(after)) if after else 0
    except ValueError:
        return make_error_response(GraphError(100, "limit must be a number, and after a cursor that was given."))
    page = rows[begin : begin + limit]
    if not page:
        return jsonify({"data": []})
    end = begin + len(page)
    paging: dict[str, Any] = {"cursors": {"before": _encode_cursor(begin), "after": _encode_cursor(end)}}
    if end < len(rows):
        paging["next"] = f"{request.base_url}?limit={limit}&after={_encode_cursor(end)}"
    return jsonify({"data": page, "paging": paging})


def select_fields(value: dict[str, Any], default: str) -> dict[str, Any]:
    """Returns only the fields that the query asks for, or those of `default`, and always the id."""
    asked = {name.strip() for name in request.args.get("fields", default).split(",")}
    return {key: each for key, each in value.items() if key in asked or key == "id"}


async def read_json() -> Any:
    """Reads the body as JSON whatever its content type; None when it is no JSON."""
    return await request.get_json(force=True, silent=True)


def _encode_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()
