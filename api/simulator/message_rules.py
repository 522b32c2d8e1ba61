"""Checks a message by the rules that Meta has for it, and names the error with which Meta would refuse it.

Pure. A client that passes here has kept the documented limits of the types that the simulator can show; lengths are
counted in characters. Source: Meta's reference of POST /messages.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from api.simulator.graph_error import GraphError

MEDIA_KINDS: Final = frozenset({"image", "video", "audio", "document", "sticker"})
MAX_EMOJI_CODE_POINTS: Final = 16  # families and flags have many
WORDLESS: Final = frozenset({"audio", "sticker"})  # without a caption
MAX_CONTACTS: Final = 257
USER_ID: Final = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
# A number with its punctuation, never with 00 for the +; or a user id, which does not belong there but is taken.
ADDRESS: Final = re.compile(rf"(?!00)\+?[0-9][0-9 ()-]{{3,24}}|{USER_ID.pattern}")
NAMED_ACTIONS: Final = {
    "cta_url": "cta_url",
    "location_request_message": "send_location",
    "request_contact_info": "request_contact_info",
    "flow": "flow",
}


def find_message_error(body: object, has_media: Callable[[str], bool]) -> GraphError | None:
    """Returns why this body of POST /messages is refused at once; None when it is accepted."""
    return next(_list_errors(body, has_media), None)


def _list_errors(body: object, has_media: Callable[[str], bool]) -> Iterator[GraphError]:
    if not isinstance(body, dict):
        yield GraphError(100, "The request body must be a JSON object.")
        return
    if body.get("messaging_product") != "whatsapp":
        yield GraphError(100, "The parameter messaging_product is required and must be 'whatsapp'.")
    addresses = [body[key] for key in ("to", "recipient") if body.get(key)]
    if not addresses:
        yield GraphError(131008, "The parameter to is required.")
    elif not isinstance(addresses[0], str):  # of both, `to` counts
        yield GraphError(131009, "to, or else recipient, must name who the message is for.")
    elif not (ADDRESS if body.get("to") else USER_ID).fullmatch(addresses[0]):
        yield GraphError(100, "Parameter Invalid")
    opaque = body.get("biz_opaque_callback_data", "")
    if not isinstance(opaque, str) or len(opaque) > 512:
        yield GraphError(131009, "biz_opaque_callback_data must be a string of at most 512 characters.")
    context = body.get("context", {"message_id": "-"})
    if not isinstance(context, dict) or not isinstance(context.get("message_id"), str):
        yield GraphError(131009, "context must hold the message_id of the message that is quoted.")
    kind = body.get("type", "text")
    content = body.get(kind) if isinstance(kind, str) else None
    if kind == "contacts":
        yield from _check_contacts(body.get("contacts"))
    elif not isinstance(content, dict):
        yield GraphError(131008, f"The parameter {kind} is required.")
    elif kind == "text":
        yield from _check_length("text['body']", content.get("body"), 4096)
    elif kind == "interactive":
        yield from _check_interactive(content)
    elif kind in MEDIA_KINDS:
        yield from _check_media(kind, content, has_media)
    elif kind == "reaction":
        yield from _check_reaction(content, quotes="context" in body)
    elif kind == "location":
        yield from _check_location(content)
    elif kind == "template":
        yield from _check_length("template['name']", content.get("name"), 512)
        yield from _check_length("template['language']['code']", _get_in(content, "language", "code"), 16)
    else:
        yield GraphError(131051, f"Message type {kind} is not supported.")


def _check_interactive(content: Mapping[str, Any]) -> Iterator[GraphError]:
    yield from _check_length("interactive['body']['text']", _get_in(content, "body", "text"), 1024)
    for optional in ("header", "footer"):
        if optional in content and _get_in(content, optional, "type") in (None, "text"):
            yield from _check_length(f"interactive['{optional}']['text']", _get_in(content, optional, "text"), 60)
    action = content.get("action")
    if not isinstance(action, dict):
        yield GraphError(131008, "The parameter interactive['action'] is required.")
    elif content.get("type") in NAMED_ACTIONS:
        yield from _check_named_action(content["type"], action)
    elif content.get("type") == "button":
        yield from _check_buttons(action.get("buttons"))
    elif content.get("type") == "list":
        yield from _check_length("action['button']", action.get("button"), 20)
        yield from _check_sections(action.get("sections"))
    else:
        yield GraphError(131009, f"interactive['type'] must be one of button, list, {', '.join(NAMED_ACTIONS)}.")


def _check_named_action(kind: str, action: Mapping[str, Any]) -> Iterator[GraphError]:
    if action.get("name") != NAMED_ACTIONS[kind]:
        yield GraphError(131009, f"action['name'] must be {NAMED_ACTIONS[kind]}.")
    if kind == "cta_url":
        yield from _check_length("parameters['display_text']", _get_in(action, "parameters", "display_text"), 20)
        url = _get_in(action, "parameters", "url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            yield GraphError(131009, "parameters['url'] must be an http(s) address.")


def _check_buttons(buttons: object) -> Iterator[GraphError]:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        yield GraphError(131009, "Invalid buttons count. Min allowed buttons: 1, max allowed buttons: 3.")
        return
    for button in buttons:
        if _get_in(button, "type") != "reply":
            yield GraphError(131009, "Button type must be reply.")
        yield from _check_option("button", _get_in(button, "reply"), title=20, option_id=256)
    yield from _check_unique("Button", [_get_in(button, "reply") for button in buttons], ("id", "title"))


def _check_sections(sections: object) -> Iterator[GraphError]:
    if not isinstance(sections, list) or not 1 <= len(sections) <= 10:
        yield GraphError(131009, "A list must have 1 to 10 sections.")
        return
    rows: list[object] = []
    for section in sections:
        if len(sections) > 1 or _get_in(section, "title"):
            yield from _check_length("section['title']", _get_in(section, "title"), 24)
        some = _get_in(section, "rows")
        if not isinstance(some, list) or not some:
            yield GraphError(131009, "A section must have at least one row.")
            return
        rows += some
    if len(rows) > 10:
        yield GraphError(131009, "Total row count exceed max allowed count: 10")
    for row in rows:
        yield from _check_option("row", row, title=24, option_id=200)
        if _get_in(row, "description"):
            yield from _check_length("row['description']", _get_in(row, "description"), 72)
    yield from _check_unique("Row", rows, ("id",))


def _check_option(name: str, option: object, *, title: int, option_id: int) -> Iterator[GraphError]:
    yield from _check_length(f"{name}['title']", _get_in(option, "title"), title)
    yield from _check_length(f"{name}['id']", _get_in(option, "id"), option_id)
    key = _get_in(option, "id")
    if isinstance(key, str) and key != key.strip():
        yield GraphError(131009, f"{name}['id'] must not begin or end with a space.")


def _check_unique(name: str, options: list[object], keys: tuple[str, ...]) -> Iterator[GraphError]:
    for key in keys:
        values = [_get_in(option, key) for option in options]
        if any(value in values[:place] for place, value in enumerate(values)):
            yield GraphError(131009, f"{name} {key}s must be unique.")


def _check_media(kind: str, content: Mapping[str, Any], has_media: Callable[[str], bool]) -> Iterator[GraphError]:
    media_id, link = content.get("id"), content.get("link")
    if not media_id and not link:
        yield GraphError(131008, f"The parameter {kind}['id'] or {kind}['link'] is required.")
    elif media_id and not (isinstance(media_id, str) and has_media(media_id)):
        yield GraphError(131009, f"Media ID {media_id} is not known to this number.")
    if content.get("caption") and kind in WORDLESS:
        yield GraphError(100, f"Unexpected key caption on param {kind}.")
    elif content.get("caption"):
        yield from _check_length(f"{kind}['caption']", content.get("caption"), 1024)


def _check_reaction(content: Mapping[str, Any], quotes: bool) -> Iterator[GraphError]:
    if not isinstance(content.get("message_id"), str) or not content["message_id"]:
        yield GraphError(131008, "The parameter reaction['message_id'] is required.")
    if not isinstance(content.get("emoji"), str):
        yield GraphError(131008, "The parameter reaction['emoji'] is required.")
    elif len(content["emoji"]) > MAX_EMOJI_CODE_POINTS or (content["emoji"] and content["emoji"].isascii()):
        yield GraphError(131009, "reaction['emoji'] must be one emoji.")
    if quotes:
        yield GraphError(131009, "A reaction has no context.")


def _check_location(content: Mapping[str, Any]) -> Iterator[GraphError]:
    for name, limit in (("latitude", 90), ("longitude", 180)):
        try:
            given = float(content[name])
        except (KeyError, TypeError, ValueError):
            yield GraphError(131008, f"The parameter location['{name}'] is required.")
            return
        if not -limit <= given <= limit:
            yield GraphError(131009, f"location['{name}'] is out of range.")


def _check_contacts(contacts: object) -> Iterator[GraphError]:
    if not isinstance(contacts, list) or not 1 <= len(contacts) <= MAX_CONTACTS:
        yield GraphError(131009, f"contacts must hold 1 to {MAX_CONTACTS} contacts.")
        return
    for contact in contacts:
        yield from _check_length("contacts['name']['formatted_name']", _get_in(contact, "name", "formatted_name"), 1024)


def _check_length(name: str, value: object, limit: int) -> Iterator[GraphError]:
    if not isinstance(value, str) or not value.strip():
        yield GraphError(131008, f"The parameter {name} is required.")
    elif len(value) > limit:
        yield GraphError(100, f"Param {name} must be at most {limit} characters long.")


def _get_in(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
