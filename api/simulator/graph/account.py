"""Serves the number, the WhatsApp Business Account (WABA) and the app: what describes a set-up, and what can be
changed.
"""

from typing import Any, Final

from quart import Blueprint, Response, g, jsonify, request

from api.simulator.graph.media import make_media_response
from api.simulator.graph.responses import (
    make_error_response,
    make_no_such_object_response,
    make_page_response,
    make_success_response,
    read_json,
    select_fields,
)
from api.simulator.graph.templates import describe_template
from api.simulator.graph.tokens import is_app_token
from api.simulator.graph_error import GraphError
from api.simulator.setup import Setup
from api.simulator.simulator import Simulator, current_simulator

APP_FIELDS: Final = "name,link"
NUMBER_FIELDS: Final = "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type"
WABA_FIELDS: Final = "name,timezone_id,message_template_namespace"
MAX_CALLBACK_CHARACTERS: Final = 200

account = Blueprint("account", __name__)


@account.get("/app")
async def read_app() -> Response:
    """Describes the app of the token."""
    return jsonify(select_fields(_describe_app(current_simulator().setup), APP_FIELDS))


@account.get("/<object_id>")
async def read_object(object_id: str) -> Response:
    """Describes whatever has this id: the number, the WABA, the app, a file, a template."""
    simulator = current_simulator()
    setup = simulator.setup
    if object_id == setup.phone_number_id:
        return jsonify(select_fields(_describe_number(setup), NUMBER_FIELDS))
    if object_id == setup.waba_id:
        return jsonify(select_fields(_describe_waba(setup), WABA_FIELDS))
    if object_id == setup.app_id:
        return jsonify(select_fields(_describe_app(setup), APP_FIELDS))
    file = simulator.media.find(object_id)
    if file is not None:
        return make_media_response(simulator, file)
    template = next((one for one in setup.templates if one["id"] == object_id), None)
    return make_no_such_object_response(object_id) if template is None else jsonify(describe_template(template))


@account.post("/<object_id>")
async def change_object(object_id: str) -> Response:
    """Changes the number's own callback URL."""
    simulator = current_simulator()
    body = await read_json()
    wanted = body.get("webhook_configuration") if isinstance(body, dict) else None
    if object_id != simulator.setup.phone_number_id or not isinstance(wanted, dict):
        return make_no_such_object_response(object_id)
    error = await _find_callback_error(simulator, wanted)
    if error is not None:
        return make_error_response(error)
    simulator.setup.override_callback_url = wanted.get("override_callback_uri", "")
    return make_success_response()


@account.get("/<waba_id>/phone_numbers")
async def list_numbers(waba_id: str) -> Response:
    """Lists the numbers of the WABA: there is one."""
    setup = current_simulator().setup
    if waba_id != setup.waba_id:
        return make_no_such_object_response(waba_id)
    return make_page_response([select_fields(_describe_number(setup), NUMBER_FIELDS)])


@account.route("/<waba_id>/subscribed_apps", methods=["GET", "POST", "DELETE"])
async def change_subscribed_apps(waba_id: str) -> Response:
    """Lists the apps that are subscribed to the WABA, subscribes this one (with a callback URL), or unsubscribes it."""
    simulator = current_simulator()
    setup = simulator.setup
    if waba_id != setup.waba_id:
        return make_no_such_object_response(waba_id)
    if request.method == "GET":
        apps = [{"whatsapp_business_api_data": _describe_app(setup)}] if setup.subscribed_apps else []
        return jsonify({"data": apps})
    given = await read_json() if request.method == "POST" else None
    wanted = given if isinstance(given, dict) else {}
    error = await _find_callback_error(simulator, wanted)
    if error is not None:
        return make_error_response(error)
    setup.subscribed_apps = request.method == "POST"
    setup.waba_callback_url = wanted.get("override_callback_uri", "")
    return make_success_response()


@account.route("/<app_id>/subscriptions", methods=["GET", "POST"])
async def change_subscriptions(app_id: str) -> Response:
    """Describes the app's webhooks, or sets their fields and address; both with the app's own token."""
    simulator = current_simulator()
    setup = simulator.setup
    if app_id != setup.app_id:
        return make_no_such_object_response(app_id)
    if not is_app_token(setup):
        words = "(#15) This method must be called with an app access_token."
        return make_error_response(GraphError(15, message=words))
    if request.method == "GET":
        return jsonify({"data": [_describe_subscription(setup, g.version)] if setup.webhook_fields else []})
    return await _subscribe(simulator, await read_json() or (await request.form).to_dict() or request.args.to_dict())


@account.post("/<phone_number_id>/register")
async def register(phone_number_id: str) -> Response:
    """Registers the number for the Cloud API."""
    setup = current_simulator().setup
    if phone_number_id != setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    body = await read_json()
    pin = body.get("pin") if isinstance(body, dict) else None
    if not (isinstance(pin, str) and len(pin) == 6 and pin.isdecimal()):
        return make_error_response(GraphError(133005, "A PIN has six digits."))
    setup.registered, setup.number_status = True, "CONNECTED"
    return make_success_response()


@account.post("/<phone_number_id>/deregister")
async def deregister(phone_number_id: str) -> Response:
    """Takes the number out of the Cloud API."""
    setup = current_simulator().setup
    if phone_number_id != setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    setup.registered, setup.number_status = False, "DISCONNECTED"
    return make_success_response()


@account.get("/<phone_number_id>/whatsapp_business_profile")
async def read_profile(phone_number_id: str) -> Response:
    """Describes the profile that customers see."""
    if phone_number_id != current_simulator().setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    profile = {"messaging_product": "whatsapp", "about": "We are here to help.", "vertical": "OTHER"}
    return jsonify({"data": [profile]})


def _describe_app(setup: Setup) -> dict[str, Any]:
    link = f"https://www.facebook.com/games/?app_id={setup.app_id}"
    return {"id": setup.app_id, "name": setup.app_name, "link": link}


def _describe_number(setup: Setup) -> dict[str, Any]:
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
        "health_status": _describe_health(setup, setup.phone_number_id),
        "id": setup.phone_number_id,
    }


def _describe_waba(setup: Setup) -> dict[str, Any]:
    return {
        "name": setup.verified_name,
        "timezone_id": "1",
        "message_template_namespace": "ba30dd89_2ebd_41e4_b805_f2c05ae04cc9",
        "account_review_status": "APPROVED",
        "health_status": _describe_health(setup, setup.waba_id),
        "id": setup.waba_id,
    }


def _describe_health(setup: Setup, object_id: str) -> dict[str, Any]:
    ids = (("PHONE_NUMBER", setup.phone_number_id), ("WABA", setup.waba_id), ("BUSINESS", setup.business_id))
    entities: list[dict[str, Any]] = [
        {"entity_type": kind, "id": object_id, "can_send_message": "AVAILABLE"}
        for kind, object_id in (*ids, ("APP", setup.app_id))
    ]
    entities[0]["can_send_message"] = setup.health
    if setup.health_errors:
        entities[0]["errors"] = setup.health_errors
    listed = (
        entities
        if object_id == setup.phone_number_id
        else [one for one in entities if one["id"] != setup.phone_number_id]
    )
    return {"can_send_message": setup.health, "entities": listed}


def _describe_subscription(setup: Setup, version: str) -> dict[str, Any]:
    return {
        "object": "whatsapp_business_account",
        "callback_url": setup.callback_url,
        "active": True,
        "fields": [{"name": name, "version": version} for name in sorted(setup.webhook_fields)],
    }


async def _subscribe(simulator: Simulator, given: dict[str, Any]) -> Response:
    setup, fields, url = simulator.setup, given.get("fields"), given.get("callback_url")
    names = fields.split(",") if isinstance(fields, str) else fields
    if given.get("object") != "whatsapp_business_account" or not isinstance(names, list) or not isinstance(url, str):
        return make_error_response(GraphError(100, "object, fields, callback_url and verify_token are required."))
    token = str(given.get("verify_token") or "")
    error = await _find_callback_error(simulator, {"override_callback_uri": url, "verify_token": token})
    if error is not None:
        return make_error_response(error)
    setup.webhook_fields = {str(name).strip() for name in names}
    setup.callback_url, setup.verify_token = url, token
    return make_success_response()


async def _find_callback_error(simulator: Simulator, wanted: dict[str, Any]) -> GraphError | None:
    """Returns why webhooks can't go there. No address at all is fine: it takes an earlier one away."""
    url = wanted.get("override_callback_uri", "")
    if not isinstance(url, str) or len(url) > MAX_CALLBACK_CHARACTERS:
        return GraphError(100, "A callback is an address of at most 200 characters.")
    wrong = await simulator.meta.verify_callback(url, str(wanted.get("verify_token", ""))) if url else ""
    words = f"(#2200) Callback verification failed with the following errors: {wrong}"
    return GraphError(2200, message=words) if wrong else None
