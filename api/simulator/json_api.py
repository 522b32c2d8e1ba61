"""Reads the requests of the simulator's page and answers them: JSON in, `{"success": ..., "data": ...}` out."""

from typing import Any

from quart import Response, jsonify, request
from werkzeug.exceptions import BadRequest


async def read_object() -> dict[str, Any]:
    """Reads the body as a JSON object. Raises BadRequest, which is answered with its sentence."""
    body = await request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadRequest("Send a JSON object.")
    return body


def read_string(body: dict[str, Any], key: str) -> str:
    """Returns the string under `key`, or "" where there is none. Raises BadRequest for anything else."""
    value = body.get(key, "")
    if not isinstance(value, str):
        raise BadRequest(f"{key} must be a string.")
    return value


def make_data_response(data: Any, status: int = 200) -> Response:
    """Builds the answer to a call that succeeded."""
    response = jsonify({"success": True, "data": data})
    response.status_code = status
    return response


def make_done_response() -> Response:
    """Builds the answer to a call that succeeded and has nothing to give."""
    return jsonify({"success": True})


def make_error_response(status: int, message: str) -> Response:
    """Builds the answer to a call that was refused; `message` is a sentence for people."""
    response = jsonify({"success": False, "message": message})
    response.status_code = status
    return response
