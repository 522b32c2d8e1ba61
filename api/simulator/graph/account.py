"""The number, the WABA, the app: what a set-up can be checked by, and the few things of it that can be changed."""

from typing import Any, Final

from quart import Blueprint, Response, jsonify, request

from api.simulator.graph.media import located
from api.simulator.graph.responses import chosen, done, json_body, no_such_object, paged, refused
from api.simulator.graph.templates import described
from api.simulator.graph.tokens import is_app_token
from api.simulator.graph_error import Refusal
from api.simulator.meta import Meta
from api.simulator.setup import Setup

NUMBER_FIELDS: Final = "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type"
WABA_FIELDS: Final = "name,timezone_id,message_template_namespace"
CALLBACK_LENGTH: Final = 200


def add_account(graph: Blueprint, meta: Meta) -> None:
    setup = meta.setup

    @graph.get("/app")
    async def read_app(version: str) -> Response:
        return jsonify(chosen(_app(setup), "name,link"))

    @graph.get("/<object_id>")
    async def read(version: str, object_id: str) -> Response:
        if object_id == setup.phone_number_id:
            return jsonify(chosen(_number(setup), NUMBER_FIELDS))
        if object_id == setup.waba_id:
            return jsonify(chosen(_waba(setup), WABA_FIELDS))
        if object_id == setup.app_id:
            return jsonify(chosen(_app(setup), "name,link"))
        media = meta.find_media(object_id)
        if media is not None:
            return located(meta, version, media)
        template = next((one for one in setup.templates if one["id"] == object_id), None)
        return no_such_object(object_id) if template is None else jsonify(described(template))

    @graph.post("/<object_id>")
    async def change(version: str, object_id: str) -> Response:
        body = await json_body()
        wanted = body.get("webhook_configuration") if isinstance(body, dict) else None
        if object_id != setup.phone_number_id or not isinstance(wanted, dict):
            return no_such_object(object_id)
        refusal = await _callback_refusal(meta, wanted)
        if refusal is None:
            setup.override_callback_url = wanted.get("override_callback_uri", "")
        return done() if refusal is None else refused(refusal)

    @graph.get("/<waba_id>/phone_numbers")
    async def list_numbers(version: str, waba_id: str) -> Response:
        if waba_id != setup.waba_id:
            return no_such_object(waba_id)
        return paged([chosen(_number(setup), NUMBER_FIELDS)])

    @graph.route("/<waba_id>/subscribed_apps", methods=["GET", "POST", "DELETE"])
    async def subscriptions(version: str, waba_id: str) -> Response:
        if waba_id != setup.waba_id:
            return no_such_object(waba_id)
        if request.method == "GET":
            return jsonify({"data": [{"whatsapp_business_api_data": _app(setup)}] if setup.subscribed_apps else []})
        given = await json_body() if request.method == "POST" else None
        wanted = given if isinstance(given, dict) else {}
        refusal = await _callback_refusal(meta, wanted)
        if refusal is None:
            setup.subscribed_apps = request.method == "POST"
            setup.waba_callback_url = wanted.get("override_callback_uri", "")
        return done() if refusal is None else refused(refusal)

    @graph.route("/<app_id>/subscriptions", methods=["GET", "POST"])
    async def webhook_fields(version: str, app_id: str) -> Response:
        if app_id != setup.app_id:
            return no_such_object(app_id)
        if not is_app_token(setup):
            return refused(Refusal(15, message="(#15) This method must be called with an app access_token."))
        if request.method == "GET":
            return jsonify({"data": [_subscription(setup, version)] if setup.webhook_fields else []})
        return await _subscribe(meta, await json_body() or (await request.form).to_dict() or request.args.to_dict())

    @graph.post("/<phone_number_id>/register")
    async def register(version: str, phone_number_id: str) -> Response:
        if phone_number_id != setup.phone_number_id:
            return no_such_object(phone_number_id)
        body = await json_body()
        pin = body.get("pin") if isinstance(body, dict) else None
        if not (isinstance(pin, str) and len(pin) == 6 and pin.isdecimal()):
            return refused(Refusal(133005, "A PIN has six digits."))
        setup.registered, setup.number_status = True, "CONNECTED"
        return done()

    @graph.post("/<phone_number_id>/deregister")
    async def deregister(version: str, phone_number_id: str) -> Response:
        if phone_number_id != setup.phone_number_id:
            return no_such_object(phone_number_id)
        setup.registered, setup.number_status = False, "DISCONNECTED"
        return done()

    @graph.get("/<phone_number_id>/whatsapp_business_profile")
    async def profile(version: str, phone_number_id: str) -> Response:
        if phone_number_id != setup.phone_number_id:
            return no_such_object(phone_number_id)
        return jsonify(
            {"data": [{"messaging_product": "whatsapp", "about": "We are here to help.", "vertical": "OTHER"}]}
        )


def _app(setup: Setup) -> dict[str, Any]:
    link = f"https://www.facebook.com/games/?app_id={setup.app_id}"
    return {"id": setup.app_id, "name": setup.app_name, "link": link}


def _number(setup: Setup) -> dict[str, Any]:
    configuration = {"application": setup.callback_url}
    if setup.waba_callback_url:
        configuration["whatsapp_business_account"] = setup.waba_callback_url
    if setup.override_callback_url:
        configuration["phone_number"] = setup.override_callback_url
    return {
        "verified_name": setup.verified_name,
        "code_verification_status": "VERIFIED",
        "display_phone_number": setup.display_phone_number,
        "quality_rating": setup.quality,
        "platform_type": "CLOUD_API" if setup.registered else "NOT_APPLICABLE",
        "status": setup.number_status if setup.registered or setup.number_status != "CONNECTED" else "PENDING",
        "name_status": setup.name_status,
        "throughput": {"level": setup.throughput},
        "webhook_configuration": configuration,
        "whatsapp_business_manager_messaging_limit": setup.messaging_limit,
        "health_status": _health(setup, setup.phone_number_id),
        "id": setup.phone_number_id,
    }


def _waba(setup: Setup) -> dict[str, Any]:
    return {
        "name": setup.verified_name,
        "timezone_id": "1",
        "message_template_namespace": "ba30dd89_2ebd_41e4_b805_f2c05ae04cc9",
        "account_review_status": "APPROVED",
        "health_status": _health(setup, setup.waba_id),
        "id": setup.waba_id,
    }


def _health(setup: Setup, object_id: str) -> dict[str, Any]:
    ids = (("PHONE_NUMBER", setup.phone_number_id), ("WABA", setup.waba_id), ("BUSINESS", setup.business_id))
    entities: list[dict[str, Any]] = [
        {"entity_type": kind, "id": held, "can_send_message": "AVAILABLE"}
        for kind, held in (*ids, ("APP", setup.app_id))
    ]
    entities[0]["can_send_message"] = setup.health
    if setup.health_errors:
        entities[0]["errors"] = setup.health_errors
    shown = (
        entities
        if object_id == setup.phone_number_id
        else [one for one in entities if one["id"] != setup.phone_number_id]
    )
    return {"can_send_message": setup.health, "entities": shown}


def _subscription(setup: Setup, version: str) -> dict[str, Any]:
    return {
        "object": "whatsapp_business_account",
        "callback_url": setup.callback_url,
        "active": True,
        "fields": [{"name": name, "version": version} for name in sorted(setup.webhook_fields)],
    }


async def _subscribe(meta: Meta, given: dict[str, Any]) -> Response:
    setup, fields, url = meta.setup, given.get("fields"), given.get("callback_url")
    names = fields.split(",") if isinstance(fields, str) else fields
    if given.get("object") != "whatsapp_business_account" or not isinstance(names, list) or not isinstance(url, str):
        return refused(Refusal(100, "object, fields, callback_url and verify_token are required."))
    token = str(given.get("verify_token") or "")
    refusal = await _callback_refusal(meta, {"override_callback_uri": url, "verify_token": token})
    if refusal is not None:
        return refused(refusal)
    setup.webhook_fields = {str(name).strip() for name in names}
    setup.callback_url, setup.verify_token = url, token
    return done()


async def _callback_refusal(meta: Meta, wanted: dict[str, Any]) -> Refusal | None:
    """Why webhooks can't go there. No address at all is fine: it takes an earlier one away."""
    url = wanted.get("override_callback_uri", "")
    if not isinstance(url, str) or len(url) > CALLBACK_LENGTH:
        return Refusal(100, "A callback is an address of at most 200 characters.")
    wrong = await meta.verify(url, str(wanted.get("verify_token", ""))) if url else ""
    words = f"(#2200) Callback verification failed with the following errors: {wrong}"
    return Refusal(2200, message=words) if wrong else None
