"""What several endpoints answer: an error, success, an object that is not there, a list in pages."""

import base64
import os
from typing import Any, Final

from quart import Response, jsonify, request

from api.simulator.graph_error import Refusal

PAGE: Final = 25


def refused(refusal: Refusal) -> Response:
    response = jsonify(refusal.document(os.urandom(12).hex()))
    response.status_code = refusal.status
    return response


def done() -> Response:
    return jsonify({"success": True})


def no_such_object(object_id: str) -> Response:
    """Also for an id that exists and is of another kind: a WABA's where a number's is wanted."""
    verb = request.method.lower()
    message = (
        f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation. Please read the Graph API documentation at"
        " https://developers.facebook.com/docs/graph-api"
    )
    return refused(Refusal(100, subcode=33, message=message, kind="GraphMethodException"))


def chosen(value: dict[str, Any], default: str) -> dict[str, Any]:
    """Only the fields that were asked for, and the id."""
    asked = {name.strip() for name in request.args.get("fields", default).split(",")}
    return {key: held for key, held in value.items() if key in asked or key == "id"}


def paged(rows: list[dict[str, Any]], *, page: int = PAGE) -> Response:
    """`rows` from the cursor on, and the cursor of what follows."""
    try:
        limit = max(1, min(int(request.args.get("limit", page)), 500))
        after = request.args.get("after", "")
        begin = int(base64.urlsafe_b64decode(after)) if after else 0
    except ValueError:
        return refused(Refusal(100, "limit must be a number, and after a cursor that was given."))
    shown = rows[begin : begin + limit]
    if not shown:
        return jsonify({"data": []})
    end = begin + len(shown)
    paging: dict[str, Any] = {"cursors": {"before": _cursor(begin), "after": _cursor(end)}}
    if end < len(rows):
        paging["next"] = f"{request.base_url}?limit={limit}&after={_cursor(end)}"
    return jsonify({"data": shown, "paging": paging})


async def json_body() -> Any:
    """The body as JSON whatever it is called; None when it is none."""
    return await request.get_json(force=True, silent=True)


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode()
