"""Serves POST /messages: refuses a message at once as Meta would, or accepts it and reports its fate later."""

from typing import Any

from quart import Blueprint, Response, jsonify

from api.simulator.chats import Chats
from api.simulator.graph.fault_effects import get_later_error
from api.simulator.graph.responses import (
    make_error_response,
    make_no_such_object_response,
    make_success_response,
    read_json,
)
from api.simulator.graph_error import GraphError
from api.simulator.message_rules import find_message_error
from api.simulator.sent_templates import find_template_error
from api.simulator.setup import Setup
from api.simulator.simulator import Simulator, current_simulator

messages = Blueprint("messages", __name__)


@messages.post("/<phone_number_id>/messages")
async def send_message(phone_number_id: str) -> Response:
    """Takes a message, or marks one as read."""
    simulator = current_simulator()
    if phone_number_id != simulator.setup.phone_number_id:
        return make_no_such_object_response(phone_number_id)
    body = await read_json()
    if isinstance(body, dict) and body.get("status") == "read":
        return _mark_read(simulator, body)
    error = (
        _find_number_error(simulator.setup)
        or find_message_error(body, simulator.media.has)
        or _find_recipient_error(simulator, body)
        or find_template_error(body, simulator.setup)
        or simulator.rate_limits.admit(find_recipient(simulator.chats, body), simulator.clock())
    )
    return make_error_response(error) if error is not None else jsonify(_accept(simulator, body))


def find_recipient(chats: Chats, body: Any) -> str:
    """Returns the phone of the customer to whom this is sent; what was given, when nobody is known by it; "" for no
    message."""
    if not isinstance(body, dict):
        return ""
    to, user_id = body.get("to"), body.get("recipient")
    if isinstance(to, str) and to:
        return "".join(filter(str.isdecimal, to)) if not is_user_id(to) else to
    known = chats.find_by_user_id(user_id) if isinstance(user_id, str) else None
    return known.phone if known is not None else str(user_id or "")


def is_user_id(address: str) -> bool:
    """Whether this is a business-scoped user id, where a phone number may belong: `CC.` and letters or digits."""
    country, dot, rest = address.partition(".")
    return bool(dot and rest) and len(country) == 2 and country.isalpha()


def _accept(simulator: Simulator, body: dict[str, Any]) -> dict[str, Any]:
    to = body.get("to")
    phone = find_recipient(simulator.chats, body)
    dropped = bool(to) and is_user_id(str(to))
    message = simulator.meta.accept(body, phone, fails_with=get_later_error(), dropped=dropped)
    contact = {"input": to, "wa_id": phone} if to else {"input": body["recipient"], "user_id": body["recipient"]}
    customer = simulator.chats.customers.get(phone)
    if to and customer is not None and customer.user_id:
        contact["user_id"] = customer.user_id
    accepted = {"id": message.wamid}
    if body.get("type") == "template":
        accepted["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [accepted]}


def _find_number_error(setup: Setup) -> GraphError | None:
    if not setup.registered:
        return GraphError(133010)
    if setup.health == "BLOCKED":
        return GraphError(131031)
    return None


def _find_recipient_error(simulator: Simulator, body: dict[str, Any]) -> GraphError | None:
    phone = find_recipient(simulator.chats, body)
    if phone == simulator.setup.display_phone_number:
        return GraphError(131021)
    allowed = simulator.setup.allowed_recipients
    if allowed is not None and (phone not in allowed or not body.get("to")):
        return GraphError(131030)
    return None


def _mark_read(simulator: Simulator, body: dict[str, Any]) -> Response:
    if body.get("messaging_product") != "whatsapp" or not isinstance(body.get("message_id"), str):
        return make_error_response(GraphError(100, "The parameters messaging_product and message_id are required."))
    indicator = body.get("typing_indicator")
    if indicator is not None and (not isinstance(indicator, dict) or indicator.get("type") != "text"):
        return make_error_response(GraphError(131009, "typing_indicator['type'] must be text."))
    if not simulator.meta.mark_read(body["message_id"], typing=indicator is not None):
        return make_error_response(GraphError(131009, f"Message {body['message_id']} was not received by this number."))
    return make_success_response()
