"""Builds `interactive` messages: buttons, a list, a link, a request for the location or the phone number.

Each function takes a message as the outbox keeps it, returns the object `interactive` of the body of POST /messages,
and raises Unsendable for what Meta would refuse.

Source: Meta, messages/send-messages (with a page for each type); business-scoped-user-ids (request_contact_info).
"""

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
    """Builds up to three buttons below a text, from `options`."""
    built: list[dict[str, object]] = []
    for option in require_objects(message, "options", LIMITS.buttons):
        reply = {
            "id": require_id(option, "option_id", MAX_BUTTON_ID_UNITS),
            "title": require_text(option, "label", LIMITS.button),
        }
        built.append({"type": "reply", "reply": reply})
    replies = [one["reply"] for one in built]
    _require_distinct("id", replies)
    _require_distinct("title", replies)
    return {"type": "button", "body": _build_text(message), "action": {"buttons": built}}


def build_list(message: Message) -> dict[str, object]:
    """Builds up to ten rows behind one button, from `options` or, under titles, from `sections` of options."""
    given = require_objects(message, "sections", MAX_SECTIONS) if "sections" in message else [message]
    sections: list[dict[str, object]] = []
    all_rows: list[object] = []
    for section in given:
        rows = [_build_row(option) for option in require_objects(section, "options", LIMITS.rows)]
        all_rows += rows
        if len(given) > 1 or section.get("title"):
            sections.append({"title": require_text(section, "title", MAX_SECTION_TITLE_UNITS), "rows": rows})
        else:
            sections.append({"rows": rows})
    if len(all_rows) > LIMITS.rows:
        raise Unsendable(f"a list has at most {LIMITS.rows} rows in all its sections")
    _require_distinct("id", all_rows)
    button = require_text(message, "button", LIMITS.button)
    return {"type": "list", "body": _build_text(message), "action": {"button": button, "sections": sections}}


def _build_row(option: Message) -> dict[str, object]:
    row: dict[str, object] = {
        "id": require_id(option, "option_id", MAX_ROW_ID_UNITS),
        "title": require_text(option, "label", LIMITS.row),
    }
    if description := check_text("description", option.get("description", ""), LIMITS.row_description):
        row["description"] = description
    return row


def build_cta_url(message: Message) -> dict[str, object]:
    """Builds one button that opens a web page."""
    url = require_id(message, "url", MAX_URL_UNITS)
    if not url.startswith(("https://", "http://")) or any(character.isspace() for character in url):
        raise Unsendable("url is not the address of a page")
    parameters = {"display_text": require_text(message, "label", LIMITS.button), "url": url}
    return {"type": "cta_url", "body": _build_text(message), "action": {"name": "cta_url", "parameters": parameters}}


def build_location_request(message: Message) -> dict[str, object]:
    """Builds the question where the customer is."""
    return {"type": "location_request_message", "body": _build_text(message), "action": {"name": "send_location"}}


def build_contact_request(message: Message) -> dict[str, object]:
    """Builds the question for the phone number of a customer whom we know only by their user id."""
    return {"type": "request_contact_info", "body": _build_text(message), "action": {"name": "request_contact_info"}}


def _build_text(message: Message) -> dict[str, object]:
    return {"text": require_text(message, "text", LIMITS.body)}


def _require_distinct(key: str, objects: list[object]) -> None:
    values = [one[key] for one in objects if isinstance(one, dict)]
    if len(set(values)) < len(values):
        raise Unsendable(f"two options with the same {key}")
