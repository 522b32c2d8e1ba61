"""QR codes of the number: a short link each, with a text that the customer finds written already."""

import base64
import os
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph.responses import done, json_body, no_such_object, paged, refused
from api.simulator.graph_error import Refusal
from api.simulator.meta import Meta

MOST: Final = 2_000
TEXT_LENGTH: Final = 140
PICTURE: Final = "https://scontent.example.com/qr/{code}.{kind}"


def add_qr_codes(graph: Blueprint, meta: Meta) -> None:
    codes: dict[str, dict[str, Any]] = {}

    @graph.post("/<phone_number_id>/message_qrdls")
    async def write_code(version: str, phone_number_id: str) -> Response:
        if phone_number_id != meta.setup.phone_number_id:
            return no_such_object(phone_number_id)
        body = await json_body()
        text = body.get("prefilled_message") if isinstance(body, dict) else None
        if not isinstance(text, str) or not 1 <= len(text) <= TEXT_LENGTH:
            return refused(Refusal(100, f"prefilled_message has 1 to {TEXT_LENGTH} characters."))
        code = body.get("code") or base64.b32encode(os.urandom(8)).decode()[:12] + "E1"
        if "code" in body and code not in codes:
            return no_such_object(str(code))
        if code not in codes and len(codes) >= MOST:
            return refused(Refusal(100, "This number has as many codes as it may have."))
        kind = body.get("generate_qr_image", "")
        if kind and kind not in {"SVG", "PNG"}:
            return refused(Refusal(100, "generate_qr_image must be SVG or PNG."))
        codes[code] = {"code": code, "prefilled_message": text, "deep_link_url": f"https://wa.me/message/{code}"}
        picture = {"qr_image_url": PICTURE.format(code=code, kind=kind.lower())} if kind else {}
        return jsonify(codes[code] | picture)

    @graph.get("/<phone_number_id>/message_qrdls")
    async def list_codes(version: str, phone_number_id: str) -> Response:
        if phone_number_id != meta.setup.phone_number_id:
            return no_such_object(phone_number_id)
        only = request.args.get("code")
        return paged([one for code, one in codes.items() if only in (None, "", code)])

    @graph.route("/<phone_number_id>/message_qrdls/<code>", methods=["GET", "DELETE"])
    async def read_code(version: str, phone_number_id: str, code: str) -> Response:
        if phone_number_id != meta.setup.phone_number_id or code not in codes:
            return no_such_object(code)
        if request.method == "GET":
            return jsonify({"data": [codes[code]]})
        del codes[code]
        return done()
