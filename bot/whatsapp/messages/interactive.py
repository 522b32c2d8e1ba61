"""Messages that ask for a tap, in Meta's form: buttons, a list, a link, a request for the place or the number."""

from collections.abc import Mapping
from typing import Final

from bot.whatsapp.messages.limits import Unsendable, check_text, require_id, require_objects, require_text
from flows.limits import LIMITS

MAX_BUTTON_ID_UNITS: Final = 256
MAX_ROW_ID_UNITS: Final = 200
MAX_SECTIONS: Final = 10
MAX_SECTION_TITLE_UNITS: Final = 24
MAX_URL_UNITS: Final = 2000

Message = Mapping[str, object]


def build_buttons(message: Message) -> dict[str, object]:
    """Up to three answers below a text."""
    built: list[dict[str, object]] = []
    for option in require_objects(message, "options", LIMITS.buttons):
        reply = {
            "id": require_id(option, "option_id", MAX_BUTTON_ID_UNITS),
            "title": require_text(option, "label", LIMITS.button),
        }
        built.append({"type": "reply", "reply": reply})
    replies = [one["reply"] for one in built]
    _all_differ("id", replies)
    _all_differ("title", replies)
    return {"type": "button", "body": _body(message), "action": {"buttons": built}}


def build_list(message: Message) -> dict[str, object]:
    """Up to ten rows behind one button, as `options` or, under titles, as `sections` of options."""
    held = require_objects(message, "sections", MAX_SECTIONS) if "sections" in message else [message]
    sections: list[dict[str, object]] = []
    every: list[object] = []
    for section in held:
        rows = [_row(option) for option in require_objects(section, "options", LIMITS.rows)]
        every += rows
        if len(held) > 1 or section.get("title"):
            sections.append({"title": require_text(section, "title", MAX_SECTION_TITLE_UNITS), "rows": rows})
        else:
            sections.append({"rows": rows})
    if len(every) > LIMITS.rows:
        raise Unsendable(f"a list has at most {LIMITS.rows} rows in all its sections")
    _all_differ("id", every)
    button = require_text(message, "button", LIMITS.button)
    return {"type": "list", "body": _body(message), "action": {"button": button, "sections": sections}}


def _row(option: Message) -> dict[str, object]:
    row: dict[str, object] = {
        "id": require_id(option, "option_id", MAX_ROW_ID_UNITS),
        "title": require_text(option, "label", LIMITS.row),
    }
    if description := check_text("description", option.get("description", ""), LIMITS.row_description):
        row["description"] = description
    return row


def build_cta_url(message: Message) -> dict[str, object]:
    """One button that opens a page."""
    url = require_id(message, "url", MAX_URL_UNITS)
    if not url.startswith(("https://", "http://")) or any(character.isspace() for character in url):
        raise Unsendable("url is not the address of a page")
    parameters = {"display_text": require_text(message, "label", LIMITS.button), "url": url}
    return {"type": "cta_url", "body": _body(message), "action": {"name": "cta_url", "parameters": parameters}}


def build_location_request(message: Message) -> dict[str, object]:
    """Asks where the customer is."""
    return {"type": "location_request_message", "body": _body(message), "action": {"name": "send_location"}}


def build_contact_request(message: Message) -> dict[str, object]:
    """Asks for the phone number of a customer whom we know only by their user id."""
    return {"type": "request_contact_info", "body": _body(message), "action": {"name": "request_contact_info"}}


def _body(message: Message) -> dict[str, object]:
    return {"text": require_text(message, "text", LIMITS.body)}


def _all_differ(key: str, held: list[object]) -> None:
    values = [one[key] for one in held if isinstance(one, dict)]
    if len(set(values)) < len(values):
        raise Unsendable(f"two options with the same {key}")
