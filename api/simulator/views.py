"""Shows messages and customers as JSON for the page, and makes records out of the JSON that the Graph API gets.

Pure. What a stranger sent is passed on as text; making it safe to look at is the page's part.
"""

from typing import Any, Final

from api.simulator.chats import Chats
from api.simulator.message_rules import MEDIA_KINDS
from api.simulator.records import SILENT_KINDS, Choice, Customer, Message

IMAGES: Final = frozenset({"image/png", "image/jpeg"})
SHOWN_IN_PAGE: Final = IMAGES | {"image/webp"}  # what the page may show; a webp is a document unless it is a sticker
# Interactive messages that ask for one thing: the kind of the record, what its button says, what the button does.
REQUESTS: Final = {
    "location_request_message": ("location_request", "Send location", "place"),
    "request_contact_info": ("contact_request", "Share phone number", "number"),
    "flow": ("form", "Open form", "form"),
}


def get_media_kind(mime_type: str) -> str:
    """Returns the type of message that WhatsApp makes of a file."""
    if mime_type in IMAGES:
        return "image"
    family = mime_type.partition("/")[0]
    return family if family in {"audio", "video"} else "document"


def parse_sent_message(body: dict[str, Any], *, phone: str, at: float, wamid: str) -> Message:
    """Makes the record of a message that the business sends, out of the body of POST /messages."""
    kind = body.get("type", "text")
    content = body[kind]
    message = Message(wamid, phone, "business", at, kind, "accepted")
    message.quote = body.get("context", {}).get("message_id", "")
    message.opaque = body.get("biz_opaque_callback_data", "")
    if kind == "text":
        message.text = content["body"]
    elif kind in MEDIA_KINDS:
        message.text = content.get("caption") or ""
        message.media_id = content.get("id") or ""
    elif kind == "reaction":
        message.text, message.quote = content["emoji"], content["message_id"]
    elif kind == "location":
        message.extra = {key: content[key] for key in ("latitude", "longitude", "name", "address") if key in content}
    elif kind == "contacts":
        message.extra = _parse_card(content[0])
    elif kind == "interactive":
        _fill_interactive(message, content)
    return message


def _parse_card(contact: dict[str, Any]) -> dict[str, Any]:
    phones = contact.get("phones") or [{}]
    return {"name": contact["name"]["formatted_name"], "phone": str(phones[0].get("phone", "")).lstrip("+")}


def _fill_interactive(message: Message, content: dict[str, Any]) -> None:
    message.text = content["body"]["text"]
    message.header = content.get("header", {}).get("text", "")
    message.footer = content.get("footer", {}).get("text", "")
    action = content["action"]
    if content["type"] == "button":
        message.kind = "buttons"
        replies = [button["reply"] for button in action["buttons"]]
        message.options = [Choice(reply["id"], reply["title"]) for reply in replies]
    elif content["type"] == "cta_url":
        message.kind, named = "cta", action["parameters"]
        message.options = [Choice("", named["display_text"], named["url"], kind="url")]
    elif content["type"] in REQUESTS:
        message.kind, label, kind = REQUESTS[content["type"]]
        label = action.get("parameters", {}).get("flow_cta") or label
        message.options = [Choice("", label, kind=kind)]
    else:
        message.kind = "list"
        message.button = action["button"]
        message.options = [
            Choice(row["id"], row["title"], row.get("description") or "", section.get("title") or "")
            for section in action["sections"]
            for row in section["rows"]
        ]


def describe_customer(customer: Customer, chats: Chats) -> dict[str, Any]:
    """Returns a customer with their whole chat, oldest message first."""
    shown = [record for record in chats.list_messages(customer.phone) if record.kind not in SILENT_KINDS]
    who = {"phone": customer.phone, "name": customer.name, "user_id": customer.user_id, "username": customer.username}
    return who | {"shows": customer.shows, "messages": [describe_message(record, chats) for record in shown]}


def describe_message(record: Message, chats: Chats) -> dict[str, Any]:
    """Returns one message, and what is known of its file."""
    media = chats.media.get(record.media_id)
    return {
        "wamid": record.wamid,
        "phone": record.phone,
        "by": record.by,
        "at": record.at,
        "kind": record.kind,
        "status": record.status,
        "text": record.text,
        "quote": record.quote,
        "header": record.header,
        "footer": record.footer,
        "button": record.button,
        "options": [
            {"id": choice.option_id, "title": choice.title, "description": choice.description}
            | {"section": choice.section, "kind": choice.kind}
            for choice in record.options
        ],
        "media": None
        if media is None
        else {
            "media_id": media.media_id,
            "mime_type": media.mime_type,
            "filename": media.filename,
            "size": media.size,
        },
        "error": record.error,
        "edited": record.edited,
        "revoked": record.revoked,
        "reactions": record.reactions,
        "extra": record.extra,
    }


def describe_chats(chats: Chats) -> list[dict[str, Any]]:
    """Returns every customer with their chat, in the order in which they came."""
    return [describe_customer(customer, chats) for customer in chats.customers.values()]
