"""What Meta would refuse of a message that is sent, and how it says so.

Pure. A client that passes here has kept the documented limits of the types that the simulator can show; lengths
are counted in characters.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

MEDIA_KINDS: Final = frozenset({"image", "video", "audio", "document"})
TITLES: Final = {
    100: "Invalid parameter",
    190: "Authentication Error",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131051: "Unsupported message type",
    132001: "Template name does not exist in the translation",
}
DETAILS: Final = {
    131026: "Message Undeliverable.",
    131047: "Message failed to send because more than 24 hours have passed since the customer last replied to this"
    " number.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    details: str
    http_status: int = 400
    subcode: int = 0

    def document(self, trace_id: str) -> dict[str, Any]:
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {TITLES[self.code]}",
            "type": "OAuthException",
            "code": self.code,
        }
        if self.subcode:
            error["error_subcode"] = self.subcode
        error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        return {"error": error | {"fbtrace_id": trace_id}}


def refusal_of(body: object, knows_media: Callable[[str], bool]) -> Refusal | None:
    """Why this body of POST /messages is refused at once; None when it is accepted."""
    return next(_refusals(body, knows_media), None)


def _refusals(body: object, knows_media: Callable[[str], bool]) -> Iterator[Refusal]:
    if not isinstance(body, dict):
        yield Refusal(100, "The request body must be a JSON object.")
        return
    if body.get("messaging_product") != "whatsapp":
        yield Refusal(100, "The parameter messaging_product is required and must be 'whatsapp'.")
    addresses = [body[key] for key in ("to", "recipient") if body.get(key)]
    if not addresses:
        yield Refusal(131008, "The parameter to is required.")
    elif len(addresses) > 1 or not isinstance(addresses[0], str):
        yield Refusal(131009, "Exactly one of to and recipient must name who the message is for.")
    opaque = body.get("biz_opaque_callback_data", "")
    if not isinstance(opaque, str) or len(opaque) > 512:
        yield Refusal(131009, "biz_opaque_callback_data must be a string of at most 512 characters.")
    context = body.get("context", {"message_id": "-"})
    if not isinstance(context, dict) or not isinstance(context.get("message_id"), str):
        yield Refusal(131009, "context must hold the message_id of the message that is quoted.")
    kind = body.get("type", "text")
    content = body.get(kind) if isinstance(kind, str) else None
    if not isinstance(content, dict):
        yield Refusal(131008, f"The parameter {kind} is required.")
    elif kind == "text":
        yield from _length("text['body']", content.get("body"), 4096)
    elif kind == "interactive":
        yield from _interactive(content)
    elif kind in MEDIA_KINDS:
        yield from _media(kind, content, knows_media)
    elif kind == "template":
        yield Refusal(132001, f"template name ({content.get('name')}) does not exist", http_status=404)
    else:
        yield Refusal(131051, f"Message type {kind} is not supported here.")


def _interactive(content: Mapping[str, Any]) -> Iterator[Refusal]:
    yield from _length("interactive['body']['text']", _at(content, "body", "text"), 1024)
    for optional in ("header", "footer"):
        if optional in content and _at(content, optional, "type") in (None, "text"):
            yield from _length(f"interactive['{optional}']['text']", _at(content, optional, "text"), 60)
    action = content.get("action")
    if not isinstance(action, dict):
        yield Refusal(131008, "The parameter interactive['action'] is required.")
    elif content.get("type") == "button":
        yield from _buttons(action.get("buttons"))
    elif content.get("type") == "list":
        yield from _length("action['button']", action.get("button"), 20)
        yield from _sections(action.get("sections"))
    else:
        yield Refusal(131009, "interactive['type'] must be one of button, list.")


def _buttons(buttons: object) -> Iterator[Refusal]:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        yield Refusal(131009, "Invalid buttons count. Min allowed buttons: 1, max allowed buttons: 3.")
        return
    for button in buttons:
        if _at(button, "type") != "reply":
            yield Refusal(131009, "Button type must be reply.")
        yield from _option("button", _at(button, "reply"), title=20, option_id=256)
    yield from _unique("Button", [_at(button, "reply") for button in buttons], ("id", "title"))


def _sections(sections: object) -> Iterator[Refusal]:
    if not isinstance(sections, list) or not 1 <= len(sections) <= 10:
        yield Refusal(131009, "A list must have 1 to 10 sections.")
        return
    rows: list[object] = []
    for section in sections:
        if len(sections) > 1 or _at(section, "title"):
            yield from _length("section['title']", _at(section, "title"), 24)
        some = _at(section, "rows")
        if not isinstance(some, list) or not some:
            yield Refusal(131009, "A section must have at least one row.")
            return
        rows += some
    if len(rows) > 10:
        yield Refusal(131009, "Total row count exceed max allowed count: 10")
    for row in rows:
        yield from _option("row", row, title=24, option_id=200)
        if _at(row, "description"):
            yield from _length("row['description']", _at(row, "description"), 72)
    yield from _unique("Row", rows, ("id",))


def _option(name: str, option: object, *, title: int, option_id: int) -> Iterator[Refusal]:
    yield from _length(f"{name}['title']", _at(option, "title"), title)
    yield from _length(f"{name}['id']", _at(option, "id"), option_id)
    key = _at(option, "id")
    if isinstance(key, str) and key != key.strip():
        yield Refusal(131009, f"{name}['id'] must not begin or end with a space.")


def _unique(name: str, options: list[object], keys: tuple[str, ...]) -> Iterator[Refusal]:
    for key in keys:
        values = [_at(option, key) for option in options]
        if any(value in values[:place] for place, value in enumerate(values)):
            yield Refusal(131009, f"{name} {key}s must be unique.")


def _media(kind: str, content: Mapping[str, Any], knows_media: Callable[[str], bool]) -> Iterator[Refusal]:
    media_id, link = content.get("id"), content.get("link")
    if not media_id and not link:
        yield Refusal(131008, f"The parameter {kind}['id'] or {kind}['link'] is required.")
    elif media_id and not (isinstance(media_id, str) and knows_media(media_id)):
        yield Refusal(131009, f"Media ID {media_id} is not known to this number.")
    if content.get("caption"):
        yield from _length(f"{kind}['caption']", content.get("caption"), 1024)


def _length(name: str, value: object, most: int) -> Iterator[Refusal]:
    if not isinstance(value, str) or not value.strip():
        yield Refusal(131008, f"The parameter {name} is required.")
    elif len(value) > most:
        yield Refusal(100, f"Param {name} must be at most {most} characters long.")


def _at(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
