"""Builds the bodies of Meta's webhooks, byte by byte as Meta sends them: the envelope, delivery statuses, the
signature.

Invariants
- Pure: every id and timestamp is a value handed in; no clock, no randomness, no I/O, no web framework.
- What Meta leaves out (a phone number that is hidden, a caption that is empty) is left out here too: the key is
  missing, never null.

The messages inside are built by message_bodies.py. Source: Meta's webhook reference for WhatsApp.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

PRICED: Final = frozenset({"sent", "read"})  # `pricing` comes with sent and with one of delivered and read
MAX_PHONE_BYTES_IN_WAMID: Final = 64  # its length is one byte there, and nobody has more digits


@dataclass(frozen=True, slots=True)
class BusinessNumber:
    """The business phone number that the webhooks are about, and the WhatsApp Business Account that it belongs to."""

    phone_number_id: str
    display_phone_number: str
    waba_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who writes, or who was written to; wa_id or user_id may be hidden (empty)."""

    name: str = ""
    wa_id: str = ""
    user_id: str = ""
    username: str = ""


def sign(body: bytes, app_secret: str) -> str:
    """Computes the value of X-Hub-Signature-256: `sha256=` and the HMAC of the body, in hex."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def encode_json(document: Mapping[str, Any]) -> bytes:
    """Encodes JSON as on Meta's wire: no spaces, everything beyond ASCII escaped, and `/` escaped as well."""
    # A slash can only stand inside a string of JSON, and dumps() never escapes it: replacing each is exact.
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def make_wamid(phone: str, unique: bytes) -> str:
    """Makes a message id of Meta's look: opaque to everybody, with the phone number inside."""
    tail = unique.hex().upper().encode()
    named = phone.encode("ascii", "replace")[:MAX_PHONE_BYTES_IN_WAMID]
    inner = b"\x1c\x18" + bytes([len(named)]) + named + b"\x15\x02\x00\x12\x18" + bytes([len(tail)]) + tail
    return "wamid." + base64.b64encode(inner + b"\x00").decode()


def build_messages_webhook(number: BusinessNumber, people: Sequence[Person], messages: Sequence[Json]) -> bytes:
    """Builds the webhook that brings messages, and in `contacts` the people who wrote them."""
    return _messages_field(number, people, {"messages": list(messages)})


def build_statuses_webhook(number: BusinessNumber, statuses: Sequence[Json], people: Sequence[Person] = ()) -> bytes:
    """Builds the webhook that brings delivery statuses; Meta names the recipients in `contacts` only sometimes."""
    return _messages_field(number, people, {"statuses": list(statuses)})


def build_field_webhook(waba_id: str, field: str, value: Json, *, time: int | None = None) -> bytes:
    """Builds a webhook of any field; only the fields about the account have a `time`, in whole seconds."""
    entry: Json = {"id": waba_id} | ({} if time is None else {"time": time})
    return encode_json(
        {"object": "whatsapp_business_account", "entry": [entry | {"changes": [{"value": value, "field": field}]}]}
    )


def build_messaging_value(number: BusinessNumber) -> Json:
    """Builds what the `value` of every messaging field begins with."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": number.display_phone_number,
            "phone_number_id": number.phone_number_id,
        },
    }


def build_contact(person: Person) -> Json:
    """Builds an entry of `contacts`: who somebody is, as far as the business may know."""
    profile = {"name": person.name} | ({"username": person.username} if person.username else {})
    known: Json = {"profile": profile} if person.name else {}
    if person.wa_id:
        known["wa_id"] = person.wa_id
    if person.user_id:
        known["user_id"] = person.user_id
    return known


def build_delivery_status(
    person: Person,
    wamid: str,
    timestamp: int,
    name: str,
    *,
    opaque: str = "",
    errors: Sequence[Json] = (),
    category: str = "service",
) -> Json:
    """Builds one delivery status: sent, delivered, read or failed. `opaque` is biz_opaque_callback_data."""
    change: Json = {"id": wamid, "status": name, "timestamp": str(timestamp)}
    if person.wa_id:
        change["recipient_id"] = person.wa_id
    if person.user_id:
        change["recipient_user_id"] = person.user_id
    if opaque:
        change["biz_opaque_callback_data"] = opaque
    if name in PRICED:
        change["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": category}
    if errors:
        change["errors"] = list(errors)
    return change


def build_status_error(code: int, title: str, details: str) -> Json:
    """Builds an entry of `errors`, as it stands in a failed status and in a webhook of errors."""
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details},
        "href": "/documentation/business-messaging/whatsapp/support/error-codes",
    }


def _messages_field(number: BusinessNumber, people: Sequence[Person], what: Json) -> bytes:
    value = build_messaging_value(number)
    if people:
        value["contacts"] = [build_contact(person) for person in people]
    return build_field_webhook(number.waba_id, "messages", value | what)
