"""POST /messages: a message is refused at once as Meta would, or accepted; whether it arrives is told later."""

from typing import Any

from quart import Blueprint, Response, jsonify

from api.simulator.graph.fault_effects import failing_code
from api.simulator.graph.responses import done, json_body, no_such_object, refused
from api.simulator.graph_error import Refusal
from api.simulator.message_rules import refusal_of
from api.simulator.meta import Meta
from api.simulator.rate_limits import Pace
from api.simulator.sent_templates import template_refusal


def add_messages(graph: Blueprint, meta: Meta) -> None:
    pace = Pace(meta.setup)

    @graph.post("/<phone_number_id>/messages")
    async def send(version: str, phone_number_id: str) -> Response:
        if phone_number_id != meta.setup.phone_number_id:
            return no_such_object(phone_number_id)
        body = await json_body()
        if isinstance(body, dict) and body.get("status") == "read":
            return _mark_read(meta, body)
        refusal = (
            _number_refusal(meta)
            or refusal_of(body, meta.knows_media)
            or _recipient_refusal(meta, body)
            or template_refusal(body, meta.setup)
            or pace.refusal(recipient_of(meta, body), meta.clock())
        )
        return refused(refusal) if refusal is not None else jsonify(_accepted(meta, body))


def recipient_of(meta: Meta, body: Any) -> str:
    """The phone of the customer to whom this is sent; what was given, when nobody is known by it; "" for no message."""
    if not isinstance(body, dict):
        return ""
    to, user_id = body.get("to"), body.get("recipient")
    if isinstance(to, str) and to:
        return "".join(filter(str.isdecimal, to)) if not is_user_id(to) else to
    known = meta.chats.by_user_id(user_id) if isinstance(user_id, str) else None
    return known.phone if known is not None else str(user_id or "")


def is_user_id(address: str) -> bool:
    """`CC.` and letters or digits: a business-scoped user id, where a phone number may belong."""
    country, dot, rest = address.partition(".")
    return bool(dot and rest) and len(country) == 2 and country.isalpha()


def _accepted(meta: Meta, body: dict[str, Any]) -> dict[str, Any]:
    to = body.get("to")
    phone = recipient_of(meta, body)
    message = meta.accept(body, phone, fails_with=failing_code(), dropped=bool(to) and is_user_id(str(to)))
    contact = {"input": to, "wa_id": phone} if to else {"input": body["recipient"], "user_id": body["recipient"]}
    customer = meta.chats.customers.get(phone)
    if to and customer is not None and customer.user_id:
        contact["user_id"] = customer.user_id
    accepted = {"id": message.wamid}
    if body.get("type") == "template":
        accepted["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [accepted]}


def _number_refusal(meta: Meta) -> Refusal | None:
    if not meta.setup.registered:
        return Refusal(133010)
    if meta.setup.health == "BLOCKED":
        return Refusal(131031)
    return None


def _recipient_refusal(meta: Meta, body: dict[str, Any]) -> Refusal | None:
    phone = recipient_of(meta, body)
    if phone == meta.setup.display_phone_number:
        return Refusal(131021)
    allowed = meta.setup.allowed_recipients
    if allowed is not None and (phone not in allowed or not body.get("to")):
        return Refusal(131030)
    return None


def _mark_read(meta: Meta, body: dict[str, Any]) -> Response:
    if body.get("messaging_product") != "whatsapp" or not isinstance(body.get("message_id"), str):
        return refused(Refusal(100, "The parameters messaging_product and message_id are required."))
    indicator = body.get("typing_indicator")
    if indicator is not None and (not isinstance(indicator, dict) or indicator.get("type") != "text"):
        return refused(Refusal(131009, "typing_indicator['type'] must be text."))
    if not meta.mark_read(body["message_id"], typing=indicator is not None):
        return refused(Refusal(131009, f"Message {body['message_id']} was not received by this number."))
    return done()
