"""Messages that ask for a tap, in Meta's form: buttons, a list, a link, a request for the place or the number."""

from collections.abc import Mapping
from typing import Final

from bot.whatsapp.messages.limits import Unsendable, filled, objects, plain_id_in, within
from flows.limits import LIMITS

BUTTON_ID_CAP: Final = 256
ROW_ID_CAP: Final = 200
SECTIONS: Final = 10
SECTION_TITLE_CAP: Final = 24
URL_CAP: Final = 2000

Message = Mapping[str, object]


def buttons(message: Message) -> dict[str, object]:
    """Up to three answers below a text."""
    built: list[dict[str, object]] = []
    for option in objects(message, "options", LIMITS.buttons):
        reply = {"id": plain_id_in(option, "option_id", BUTTON_ID_CAP), "title": filled(option, "label", LIMITS.button)}
        built.append({"type": "reply", "reply": reply})
    replies = [one["reply"] for one in built]
    _all_differ("id", replies)
    _all_differ("title", replies)
    return {"type": "button", "body": _body(message), "action": {"buttons": built}}


def listed(message: Message) -> dict[str, object]:
    """Up to ten rows behind one button, as `options` or, under titles, as `sections` of options."""
    held = objects(message, "sections", SECTIONS) if "sections" in message else [message]
    sections: list[dict[str, object]] = []
    every: list[object] = []
    for section in held:
        rows = [_row(option) for option in objects(section, "options", LIMITS.rows)]
        every += rows
        if len(held) > 1 or section.get("title"):
            sections.append({"title": filled(section, "title", SECTION_TITLE_CAP), "rows": rows})
        else:
            sections.append({"rows": rows})
    if len(every) > LIMITS.rows:
        raise Unsendable(f"a list has at most {LIMITS.rows} rows in all its sections")
    _all_differ("id", every)
    button = filled(message, "button", LIMITS.button)
    return {"type": "list", "body": _body(message), "action": {"button": button, "sections": sections}}


def _row(option: Message) -> dict[str, object]:
    row: dict[str, object] = {
        "id": plain_id_in(option, "option_id", ROW_ID_CAP),
        "title": filled(option, "label", LIMITS.row),
    }
    if description := within("description", option.get("description", ""), LIMITS.row_description):
        row["description"] = description
    return row


def link(message: Message) -> dict[str, object]:
    """One button that opens a page."""
    url = plain_id_in(message, "url", URL_CAP)
    if not url.startswith(("https://", "http://")) or any(character.isspace() for character in url):
        raise Unsendable("url is not the address of a page")
    parameters = {"display_text": filled(message, "label", LIMITS.button), "url": url}
    return {"type": "cta_url", "body": _body(message), "action": {"name": "cta_url", "parameters": parameters}}


def location_request(message: Message) -> dict[str, object]:
    """Asks where the customer is."""
    return {"type": "location_request_message", "body": _body(message), "action": {"name": "send_location"}}


def contact_request(message: Message) -> dict[str, object]:
    """Asks for the phone number of a customer whom we know only by their user id."""
    return {"type": "request_contact_info", "body": _body(message), "action": {"name": "request_contact_info"}}


def _body(message: Message) -> dict[str, object]:
    return {"text": filled(message, "text", LIMITS.body)}


def _all_differ(key: str, held: list[object]) -> None:
    values = [one[key] for one in held if isinstance(one, dict)]
    if len(set(values)) < len(values):
        raise Unsendable(f"two options with the same {key}")
