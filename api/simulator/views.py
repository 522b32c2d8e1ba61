"""Messages and customers as the page and the Graph API put them: plain JSON out of our records, and back.

Pure. What a stranger sent is passed on as text; making it safe to look at is the page's part.
"""

from typing import Any, Final

from api.simulator.chats import Chats, Choice, Customer, Message
from api.simulator.refusals import MEDIA_KINDS

IMAGES: Final = frozenset({"image/png", "image/jpeg"})


def media_kind(mime_type: str) -> str:
    """The type of message that WhatsApp makes of a file."""
    if mime_type in IMAGES:
        return "image"
    family = mime_type.partition("/")[0]
    return family if family in {"audio", "video"} else "document"


def message_sent(body: dict[str, Any], *, phone: str, at: float, wamid: str) -> Message:
    """The record of a message that the business sent, out of the body of POST /messages."""
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
    else:
        _interactive(message, content)
    return message


def _interactive(message: Message, content: dict[str, Any]) -> None:
    message.text = content["body"]["text"]
    message.header = content.get("header", {}).get("text", "")
    message.footer = content.get("footer", {}).get("text", "")
    action = content["action"]
    if content["type"] == "button":
        message.kind = "buttons"
        replies = [button["reply"] for button in action["buttons"]]
        message.options = [Choice(reply["id"], reply["title"]) for reply in replies]
    else:
        message.kind = "list"
        message.button = action["button"]
        message.options = [
            Choice(row["id"], row["title"], row.get("description") or "", section.get("title") or "")
            for section in action["sections"]
            for row in section["rows"]
        ]


def customer(person: Customer, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"phone": person.phone, "name": person.name, "messages": messages}


def message(record: Message, chats: Chats) -> dict[str, Any]:
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
            | {"section": choice.section}
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
    }


def all_chats(chats: Chats) -> list[dict[str, Any]]:
    return [
        customer(person, [message(record, chats) for record in chats.chat(phone)])
        for phone, person in chats.customers.items()
    ]
