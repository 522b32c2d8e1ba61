"""The part of the Graph API that the service calls, with Meta's answers and Meta's errors.

Mounted at /simulator/graph/<version>, so that the service differs by one address between here and Meta. Faults on
demand have one place to come in: before a request is looked at.
"""

import hashlib
import hmac
import os
from typing import Any, Final

from quart import Blueprint, Response, jsonify, request, send_file

from api.simulator import gate
from api.simulator.chats import Media
from api.simulator.meta import Meta
from api.simulator.refusals import Refusal, refusal_of
from api.simulator.settings import SimulatorSettings

LINK_SECONDS: Final = 300
DEFAULT_FIELDS: Final = "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type"


def make_graph(settings: SimulatorSettings, meta: Meta) -> Blueprint:
    graph = Blueprint("simulator_graph", __name__, url_prefix="/simulator/graph/<version>")
    graph.before_request(gate.refuse_strangers)

    @graph.before_request
    async def check_token() -> Response | None:
        return _token_refusal(settings)

    @graph.after_request
    async def name_version(response: Response) -> Response:
        response.headers["facebook-api-version"] = str((request.view_args or {}).get("version", ""))
        return response

    @graph.post("/<phone_number_id>/messages")
    async def send(version: str, phone_number_id: str) -> Response:
        if phone_number_id != settings.phone_number_id:
            return _no_such_object(phone_number_id)
        body = await request.get_json(force=True, silent=True)
        if isinstance(body, dict) and body.get("status") == "read":
            return _mark_read(meta, body)
        refusal = refusal_of(body, meta.chats.media.__contains__)
        if refusal is not None:
            return _refused(refusal)
        message = meta.accept(body)
        address = body.get("to") or body["recipient"]
        key = "wa_id" if body.get("to") else "user_id"
        return jsonify(
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": address, key: message.phone}],
                "messages": [{"id": message.wamid}],
            }
        )

    @graph.post("/<phone_number_id>/media")
    async def upload(version: str, phone_number_id: str) -> Response:
        if phone_number_id != settings.phone_number_id:
            return _no_such_object(phone_number_id)
        file = (await request.files).get("file")
        form = await request.form
        if file is None or form.get("messaging_product") != "whatsapp":
            return _refused(Refusal(100, "The parameters messaging_product and file are required."))
        content = file.read()
        mime_type = form.get("type") or file.mimetype or "application/octet-stream"
        media = meta.keep_file(content, hashlib.sha256(content).hexdigest(), mime_type, file.filename or "")
        return jsonify({"id": media.media_id})

    @graph.get("/<object_id>")
    async def read(version: str, object_id: str) -> Response:
        if object_id == settings.phone_number_id:
            return jsonify(_number(settings, request.args.get("fields", DEFAULT_FIELDS)))
        media = meta.chats.media.get(object_id)
        owner = request.args.get("phone_number_id", settings.phone_number_id)
        if media is None or owner != settings.phone_number_id:
            return _no_such_object(object_id)
        return jsonify(_located(settings, version, media, meta.clock()))

    @graph.delete("/<object_id>")
    async def delete(version: str, object_id: str) -> Response:
        if object_id not in meta.chats.media:
            return _no_such_object(object_id)
        meta.chats.remove_media(object_id)
        return jsonify({"success": True})

    @graph.get("/files/<media_id>")
    async def download(version: str, media_id: str) -> Response:
        media = meta.chats.media.get(media_id)
        expires = request.args.get("ext", "")
        good = hmac.compare_digest(_link_hash(settings, media_id, expires), request.args.get("hash", "").encode())
        if media is None or not good or int(expires) < meta.clock():
            return Response("", 404)
        response = await send_file(meta.chats.file_path(media_id), mimetype=media.mime_type)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return graph


def _token_refusal(settings: SimulatorSettings) -> Response | None:
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, f"Bearer {settings.access_token}".encode()):
        return _refused(Refusal(190, "Error validating access token.", http_status=401))
    proof = request.args.get("appsecret_proof")
    if proof is not None:
        wanted = hmac.new(settings.app_secret.encode(), settings.access_token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof.encode("utf-8", "replace"), wanted.encode()):
            return _refused(Refusal(100, "Invalid appsecret_proof provided in the API argument."))
    return None


def _mark_read(meta: Meta, body: dict[str, Any]) -> Response:
    if body.get("messaging_product") != "whatsapp" or not isinstance(body.get("message_id"), str):
        return _refused(Refusal(100, "The parameters messaging_product and message_id are required."))
    if not meta.mark_read(body["message_id"], typing="typing_indicator" in body):
        return _refused(Refusal(131009, f"Message {body['message_id']} was not received by this number."))
    return jsonify({"success": True})


def _number(settings: SimulatorSettings, fields: str) -> dict[str, Any]:
    number = {
        "verified_name": settings.business_name,
        "code_verification_status": "VERIFIED",
        "display_phone_number": settings.display_phone_number,
        "quality_rating": "GREEN",
        "platform_type": "CLOUD_API",
        "status": "CONNECTED",
        "name_status": "APPROVED",
        "throughput": {"level": "STANDARD"},
        "webhook_configuration": {"application": settings.webhook_url},
        "health_status": {"can_send_message": "AVAILABLE", "entities": []},
    }
    asked = {name.strip() for name in fields.split(",")}
    return {key: value for key, value in number.items() if key in asked} | {"id": settings.phone_number_id}


def _located(settings: SimulatorSettings, version: str, media: Media, now: float) -> dict[str, Any]:
    expires = str(int(now) + LINK_SECONDS)
    link_hash = _link_hash(settings, media.media_id, expires).decode()
    url = f"{request.host_url}simulator/graph/{version}/files/{media.media_id}?ext={expires}&hash={link_hash}"
    return {
        "messaging_product": "whatsapp",
        "url": url,
        "mime_type": media.mime_type,
        "sha256": media.sha256,
        "file_size": media.size,
        "id": media.media_id,
    }


def _link_hash(settings: SimulatorSettings, media_id: str, expires: str) -> bytes:
    known = f"{media_id}.{expires}".encode("utf-8", "replace")
    return hmac.new(settings.app_secret.encode(), known, hashlib.sha256).hexdigest().encode()


def _no_such_object(object_id: str) -> Response:
    details = (
        f"Unsupported request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation."
    )
    return _refused(Refusal(100, details, subcode=33))


def _refused(refusal: Refusal) -> Response:
    response = jsonify(refusal.document(os.urandom(12).hex()))
    response.status_code = refusal.http_status
    return response
