"""Webhook bodies as Meta sends them, so that whoever reads ours can read Meta's.

Pure: every id and timestamp is a plain value handed in; no clock, no randomness, no I/O. What Meta leaves out
(a phone number that is hidden, a caption that is empty) is left out here too: the key is missing, never null.
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


@dataclass(frozen=True, slots=True)
class Number:
    """The business number that the webhooks are about."""

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


@dataclass(frozen=True, slots=True)
class Attached:
    """A file as a webhook names it: never its bytes."""

    media_id: str
    mime_type: str
    sha256: bytes
    filename: str = ""


def sign(body: bytes, app_secret: str) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def encode(document: Mapping[str, Any]) -> bytes:
    """JSON as on Meta's wire: no spaces, everything beyond ASCII escaped, and `/` escaped as well."""
    # A slash can only stand inside a string of JSON, and dumps() never escapes it: replacing each is exact.
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def make_wamid(phone: str, unique: bytes) -> str:
    """A message id of Meta's look: opaque to everybody, with the phone number inside."""
    tail = unique.hex().upper().encode()
    named = phone.encode("ascii", "replace")[:64]  # its length is one byte, and nobody has more digits
    inner = b"\x1c\x18" + bytes([len(named)]) + named + b"\x15\x02\x00\x12\x18" + bytes([len(tail)]) + tail
    return "wamid." + base64.b64encode(inner + b"\x00").decode()


def messages_webhook(number: Number, people: Sequence[Person], messages: Sequence[Json]) -> bytes:
    return _webhook(number, people, {"messages": list(messages)})


def statuses_webhook(number: Number, statuses: Sequence[Json], people: Sequence[Person] = ()) -> bytes:
    return _webhook(number, people, {"statuses": list(statuses)})


def text(person: Person, wamid: str, timestamp: int, body: str, context: Json | None = None) -> Json:
    return message(person, wamid, timestamp, "text", {"body": body}, context)


def button_reply(
    person: Person, wamid: str, timestamp: int, option_id: str, title: str, context: Json | None = None
) -> Json:
    reply = {"type": "button_reply", "button_reply": {"id": option_id, "title": title}}
    return message(person, wamid, timestamp, "interactive", reply, context)


def list_reply(
    person: Person,
    wamid: str,
    timestamp: int,
    option_id: str,
    title: str,
    description: str = "",
    context: Json | None = None,
) -> Json:
    row = {"id": option_id, "title": title} | ({"description": description} if description else {})
    return message(person, wamid, timestamp, "interactive", {"type": "list_reply", "list_reply": row}, context)


def image(
    person: Person, wamid: str, timestamp: int, file: Attached, caption: str = "", context: Json | None = None
) -> Json:
    return message(person, wamid, timestamp, "image", _captioned(caption) | attached(file), context)


def video(
    person: Person, wamid: str, timestamp: int, file: Attached, caption: str = "", context: Json | None = None
) -> Json:
    return message(person, wamid, timestamp, "video", _captioned(caption) | attached(file), context)


def audio(
    person: Person, wamid: str, timestamp: int, file: Attached, voice: bool = False, context: Json | None = None
) -> Json:
    return message(person, wamid, timestamp, "audio", attached(file) | {"voice": voice}, context)


def document(
    person: Person, wamid: str, timestamp: int, file: Attached, caption: str = "", context: Json | None = None
) -> Json:
    named = _captioned(caption) | {"filename": file.filename} | attached(file)
    return message(person, wamid, timestamp, "document", named, context)


def quote(from_: str, wamid: str) -> Json:
    """The `context` of an answer to a message; `from_` is the number of whoever wrote the quoted one."""
    return {"from": from_, "id": wamid}


def status(
    person: Person,
    wamid: str,
    timestamp: int,
    name: str,
    opaque: str = "",
    errors: Sequence[Json] = (),
    category: str = "service",
) -> Json:
    """One delivery status: sent, delivered, read or failed. `opaque` is biz_opaque_callback_data."""
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


def error(code: int, title: str, details: str) -> Json:
    """An error as it stands in a failed status."""
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details},
        "href": "/documentation/business-messaging/whatsapp/support/error-codes",
    }


def messaging_value(number: Number) -> Json:
    """What the `value` of every messaging field begins with."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": number.display_phone_number,
            "phone_number_id": number.phone_number_id,
        },
    }


def field_webhook(waba_id: str, field: str, value: Json, *, time: int | None = None) -> bytes:
    """Any field; only those about the account have a `time`."""
    entry: Json = {"id": waba_id} | ({} if time is None else {"time": time})
    return encode(
        {"object": "whatsapp_business_account", "entry": [entry | {"changes": [{"value": value, "field": field}]}]}
    )


def _webhook(number: Number, people: Sequence[Person], what: Json) -> bytes:
    value = messaging_value(number)
    if people:
        value["contacts"] = [contact(person) for person in people]
    return field_webhook(number.waba_id, "messages", value | what)


def contact(person: Person) -> Json:
    """Who somebody is, as far as the business may know."""
    profile = {"name": person.name} | ({"username": person.username} if person.username else {})
    known: Json = {"profile": profile} if person.name else {}
    if person.wa_id:
        known["wa_id"] = person.wa_id
    if person.user_id:
        known["user_id"] = person.user_id
    return known


def message(
    person: Person, wamid: str, timestamp: int, kind: str, content: Json | list[Json], context: Json | None = None
) -> Json:
    """A message of any kind: what all have in common, and `content` under the name of its kind."""
    whole: Json = {"context": context} if context else {}
    if person.wa_id:
        whole["from"] = person.wa_id
    if person.user_id:
        whole["from_user_id"] = person.user_id
    return whole | {"id": wamid, "timestamp": str(timestamp), "type": kind, kind: content}


def _captioned(caption: str) -> Json:
    return {"caption": caption} if caption else {}


def attached(file: Attached) -> Json:
    """How a message names a file."""
    digest = base64.b64encode(file.sha256).decode()
    return {"mime_type": file.mime_type, "sha256": digest, "id": file.media_id}
