"""What Meta would refuse of a message that is sent, and how it says so.

Pure. A client that passes here has kept the documented limits of the types that the simulator can show; lengths
are counted in characters.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from api.simulator.graph_error import Refusal

MEDIA_KINDS: Final = frozenset({"image", "video", "audio", "document", "sticker"})
LONGEST_EMOJI: Final = 16  # code points: families and flags are many
WORDLESS: Final = frozenset({"audio", "sticker"})  # without a caption
MOST_CONTACTS: Final = 257
NAMED_ACTIONS: Final = {
    "cta_url": "cta_url",
    "location_request_message": "send_location",
    "request_contact_info": "request_contact_info",
    "flow": "flow",
}


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
    elif not isinstance(addresses[0], str):  # of both, `to` counts
        yield Refusal(131009, "to, or else recipient, must name who the message is for.")
    opaque = body.get("biz_opaque_callback_data", "")
    if not isinstance(opaque, str) or len(opaque) > 512:
        yield Refusal(131009, "biz_opaque_callback_data must be a string of at most 512 characters.")
    context = body.get("context", {"message_id": "-"})
    if not isinstance(context, dict) or not isinstance(context.get("message_id"), str):
        yield Refusal(131009, "context must hold the message_id of the message that is quoted.")
    kind = body.get("type", "text")
    content = body.get(kind) if isinstance(kind, str) else None
    if kind == "contacts":
        yield from _contacts(body.get("contacts"))
    elif not isinstance(content, dict):
        yield Refusal(131008, f"The parameter {kind} is required.")
    elif kind == "text":
        yield from _length("text['body']", content.get("body"), 4096)
    elif kind == "interactive":
        yield from _interactive(content)
    elif kind in MEDIA_KINDS:
        yield from _media(kind, content, knows_media)
    elif kind == "reaction":
        yield from _reaction(content, quotes="context" in body)
    elif kind == "location":
        yield from _place(content)
    elif kind == "template":
        yield from _length("template['name']", content.get("name"), 512)
        yield from _length("template['language']['code']", _at(content, "language", "code"), 16)
    else:
        yield Refusal(131051, f"Message type {kind} is not supported.")


def _interactive(content: Mapping[str, Any]) -> Iterator[Refusal]:
    yield from _length("interactive['body']['text']", _at(content, "body", "text"), 1024)
    for optional in ("header", "footer"):
        if optional in content and _at(content, optional, "type") in (None, "text"):
            yield from _length(f"interactive['{optional}']['text']", _at(content, optional, "text"), 60)
    action = content.get("action")
    if not isinstance(action, dict):
        yield Refusal(131008, "The parameter interactive['action'] is required.")
    elif content.get("type") in NAMED_ACTIONS:
        yield from _named_action(content["type"], action)
    elif content.get("type") == "button":
        yield from _buttons(action.get("buttons"))
    elif content.get("type") == "list":
        yield from _length("action['button']", action.get("button"), 20)
        yield from _sections(action.get("sections"))
    else:
        yield Refusal(131009, f"interactive['type'] must be one of button, list, {', '.join(NAMED_ACTIONS)}.")


def _named_action(kind: str, action: Mapping[str, Any]) -> Iterator[Refusal]:
    if action.get("name") != NAMED_ACTIONS[kind]:
        yield Refusal(131009, f"action['name'] must be {NAMED_ACTIONS[kind]}.")
    if kind == "cta_url":
        yield from _length("parameters['display_text']", _at(action, "parameters", "display_text"), 20)
        url = _at(action, "parameters", "url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            yield Refusal(131009, "parameters['url'] must be an http(s) address.")


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
    if content.get("caption") and kind in WORDLESS:
        yield Refusal(100, f"Unexpected key caption on param {kind}.")
    elif content.get("caption"):
        yield from _length(f"{kind}['caption']", content.get("caption"), 1024)


def _reaction(content: Mapping[str, Any], quotes: bool) -> Iterator[Refusal]:
    if not isinstance(content.get("message_id"), str) or not content["message_id"]:
        yield Refusal(131008, "The parameter reaction['message_id'] is required.")
    if not isinstance(content.get("emoji"), str):
        yield Refusal(131008, "The parameter reaction['emoji'] is required.")
    elif len(content["emoji"]) > LONGEST_EMOJI or (content["emoji"] and content["emoji"].isascii()):
        yield Refusal(131009, "reaction['emoji'] must be one emoji.")
    if quotes:
        yield Refusal(131009, "A reaction has no context.")


def _place(content: Mapping[str, Any]) -> Iterator[Refusal]:
    for name, most in (("latitude", 90), ("longitude", 180)):
        try:
            given = float(content[name])
        except (KeyError, TypeError, ValueError):
            yield Refusal(131008, f"The parameter location['{name}'] is required.")
            return
        if not -most <= given <= most:
            yield Refusal(131009, f"location['{name}'] is out of range.")


def _contacts(contacts: object) -> Iterator[Refusal]:
    if not isinstance(contacts, list) or not 1 <= len(contacts) <= MOST_CONTACTS:
        yield Refusal(131009, f"contacts must hold 1 to {MOST_CONTACTS} contacts.")
        return
    for contact in contacts:
        yield from _length("contacts['name']['formatted_name']", _at(contact, "name", "formatted_name"), 1024)


def _length(name: str, value: object, most: int) -> Iterator[Refusal]:
    if not isinstance(value, str) or not value.strip():
        yield Refusal(131008, f"The parameter {name} is required.")
    elif len(value) > most:
        yield Refusal(100, f"Param {name} must be at most {most} characters long.")


def _at(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
