"""Serves QR codes of the number: a short link each, with a text that the customer finds written already."""

import base64
import os
import re
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph.responses import (
    make_error_response,
    make_no_such_object_response,
    make_page_response,
    make_success_response,
    read_json,
)
from api.simulator.graph_error import GraphError
from api.simulator.simulator import current_simulator

MAX_CODES: Final = 2_000  # of a number
MAX_TEXT_CHARACTERS: Final = 140
PICTURE_FIELD: Final = re.compile(r"qr_image_url\.format\((PNG|SVG)\)")
PICTURE_URL: Final = "https://scontent.example.com/qr/{code}.{kind}"

qr_codes = Blueprint("qr_codes", __name__)


@qr_codes.post("/<phone_number_id>/message_qrdls")
async def save_code(phone_number_id: str) -> Response:
    """Makes a code, or changes the text of the one that the body names."""
    simulator = current_simulator()
    codes = simulator.qr_codes
    if phone_number_id != simulator.setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    body = await read_json()
    given = request.args.to_dict() | (body if isinstance(body, dict) else {})
    text = given.get("prefilled_message")
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_TEXT_CHARACTERS:
        return make_error_response(GraphError(100, f"prefilled_message has 1 to {MAX_TEXT_CHARACTERS} characters."))
    code = given.get("code") or base64.b32encode(os.urandom(8)).decode()[:12] + "E1"
    if "code" in given and code not in codes:
        return make_no_such_object_response(str(code))
    if code not in codes and len(codes) >= MAX_CODES:
        return make_error_response(GraphError(100, "This number has as many codes as it may have."))
    kind = given.get("generate_qr_image", "")
    if kind and kind not in {"SVG", "PNG"}:
        return make_error_response(GraphError(100, "generate_qr_image must be SVG or PNG."))
    codes[code] = {"code": code, "prefilled_message": text, "deep_link_url": f"https://wa.me/message/{code}"}
    picture = {"qr_image_url": PICTURE_URL.format(code=code, kind=kind.lower())} if kind else {}
    return jsonify(codes[code] | picture)


@qr_codes.get("/<phone_number_id>/message_qrdls")
async def list_codes(phone_number_id: str) -> Response:
    """Lists the codes, or the one that the query names."""
    simulator = current_simulator()
    if phone_number_id != simulator.setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    only = request.args.get("code")
    return make_page_response([_show(one) for code, one in simulator.qr_codes.items() if only in (None, "", code)])


@qr_codes.route("/<phone_number_id>/message_qrdls/<code>", methods=["GET", "DELETE"])
async def read_or_remove_code(phone_number_id: str, code: str) -> Response:
    """Reads one code, or removes it."""
    simulator = current_simulator()
    if phone_number_id != simulator.setup.phone_number_id or code not in simulator.qr_codes:
        return make_no_such_object_response(code)
    if request.method == "GET":
        return jsonify({"data": [_show(simulator.qr_codes[code])]})
    del simulator.qr_codes[code]
    return make_success_response()


def _show(code: dict[str, Any]) -> dict[str, Any]:
    """Shows the fields that the query asks for, a picture among them only where its format is asked for."""
    asked = request.args.get("fields", ",".join(code)).split(",")
    shown = {key: value for key, value in code.items() if key in asked}
    if found := PICTURE_FIELD.search(request.args.get("fields", "")):
        shown["qr_image_url"] = PICTURE_URL.format(code=code["code"], kind=found[1].lower())
    return shown
