"""The shapes of Meta's webhooks: which keys must be there, which may, and nothing else.

Every webhook that the echo service gets in any test is held against them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Keys(NamedTuple):
    """The keys of an object."""

    must: frozenset[str]
    may: frozenset[str]


def keys(must: str, may: str = "") -> Keys:
    return Keys(frozenset(must.split()), frozenset(may.split()))


ACCOUNT_FIELDS = frozenset(
    {"message_template_status_update", "phone_number_quality_update", "phone_number_name_update", "account_update"}
)
MESSAGE = keys("id timestamp type from_user_id", "from context")
FILE = "mime_type sha256 id url"
CONTENT = {
    "text": keys("body"),
    "image": keys(FILE, "caption"),
    "video": keys(FILE, "caption"),
    "audio": keys(f"{FILE} voice"),
    "document": keys(f"{FILE} filename", "caption"),
    "sticker": keys(f"{FILE} animated"),
    "location": keys("latitude longitude", "name address url"),
    "contacts": keys("phones origin", "name"),
    "interactive": keys("type", "button_reply list_reply"),
    "button": keys("payload text"),
    "reaction": keys("message_id", "emoji"),
    "edit": keys("original_message_id message"),
    "revoke": keys("original_message_id"),
    "system": keys("body type user_id previous_user_id", "wa_id"),
}
REPLIES = {"button_reply": keys("id title"), "list_reply": keys("id title", "description")}
STATUS = keys("id status timestamp", "recipient_id recipient_user_id biz_opaque_callback_data pricing errors")
PRICING = keys("billable pricing_model type category")
ERROR = keys("code title message error_data href")
CONTACT = keys("", "profile wa_id user_id")
CONTEXT = keys("id", "from from_user_id")
PROFILE = keys("name", "username")
SENT_WITH_PRICE = {"sent": True, "delivered": False, "read": True, "failed": False}
USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")


def find_oddities(document: Mapping[str, Any]) -> Iterator[str]:
    """Yields everything about this webhook that Meta would not send."""
    yield from _check_keys("the whole", document, keys("object entry"))
    if document["object"] != "whatsapp_business_account":
        yield "object"
    for entry in document["entry"]:
        for change in entry["changes"]:
            yield from _check_keys("a change", change, keys("field value"))
            about_account = change["field"] in ACCOUNT_FIELDS
            yield from _check_keys("an entry", entry, keys("id changes time" if about_account else "id changes"))
            if change["field"] == "messages":
                yield from _check_messages_value(change["value"])
            elif about_account and {"metadata", "messaging_product"} & change["value"].keys():
                yield "metadata in news of the account"


def _check_messages_value(value: Mapping[str, Any]) -> Iterator[str]:
    yield from _check_keys("value", value, keys("messaging_product metadata", "contacts messages statuses errors"))
    yield from _check_keys("metadata", value["metadata"], keys("display_phone_number phone_number_id"))
    for contact in value.get("contacts", []):
        yield from _check_keys("a contact", contact, CONTACT)
        if "profile" in contact:
            yield from _check_keys("a profile", contact["profile"], PROFILE)
        if not {"wa_id", "user_id"} & contact.keys():
            yield "a contact that is nobody"
    for message in value.get("messages", []):
        yield from _check_message(message)
        if ("contacts" in value) == (message["type"] == "system"):
            yield "contacts belong to every message but a system message"
    for status in value.get("statuses", []):
        yield from _check_status(status)
    yield from _check_nothing_empty(value)


def _check_message(message: Mapping[str, Any]) -> Iterator[str]:
    kind = message["type"]
    if kind not in CONTENT:
        yield f"a message of the kind {kind}"
        return
    yield from _check_keys(f"a message ({kind})", message, Keys(MESSAGE.must | {kind}, MESSAGE.may))
    if "context" in message:
        yield from _check_keys("a context", message["context"], CONTEXT)
    if kind == "system" and ("wa_id" in message[kind]) != (message[kind]["type"] == "user_changed_number"):
        yield "a number belongs to the change of a number"
    if not message["id"].startswith("wamid.") or not message["timestamp"].isdecimal():
        yield "id or timestamp"
    if not USER_ID.fullmatch(message.get("from_user_id", "US.1")) or not message.get("from", "1").isdecimal():
        yield "from"
    contents = message[kind] if kind == "contacts" else [message[kind]]
    for content in contents:
        yield from _check_keys(kind, content, CONTENT[kind])
    if kind == "interactive":
        reply = message[kind]["type"]
        yield from _check_keys(reply, message[kind][reply], REPLIES[reply])
    if kind == "edit":
        edited = message[kind]["message"]
        yield from _check_keys("an edit", edited, keys(f"context type {edited['type']}"))
        yield from _check_keys(edited["type"], edited[edited["type"]], CONTENT[edited["type"]])


def _check_status(status: Mapping[str, Any]) -> Iterator[str]:
    yield from _check_keys("a status", status, STATUS)
    if not {"recipient_id", "recipient_user_id"} & status.keys():
        yield "a status for nobody"
    if ("pricing" in status) != SENT_WITH_PRICE[status["status"]]:
        yield "pricing"
    if ("errors" in status) != (status["status"] == "failed"):
        yield "errors"
    if "pricing" in status:
        yield from _check_keys("pricing", status["pricing"], PRICING)
    for error in status.get("errors", []):
        yield from _check_keys("an error", error, ERROR)


def _check_keys(name: str, value: Mapping[str, Any], wanted: Keys) -> Iterator[str]:
    if missing := wanted.must - value.keys():
        yield f"{name} lacks {sorted(missing)}"
    if strange := value.keys() - wanted.must - wanted.may:
        yield f"{name} has {sorted(strange)}"


def _check_nothing_empty(value: Any) -> Iterator[str]:
    """Yields what is empty: what Meta leaves out has no key, and is never null or an empty phone number."""
    if isinstance(value, dict):
        for key, held in value.items():
            if held is None or (held == "" and key in {"from", "wa_id", "recipient_id", "user_id", "caption", "emoji"}):
                yield f"{key} is empty"
            yield from _check_nothing_empty(held)
    elif isinstance(value, list):
        for held in value:
            yield from _check_nothing_empty(held)
