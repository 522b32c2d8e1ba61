"""Our messages in Meta's form.

Invariant: what leaves here is within WhatsApp's limits, counted in UTF-16 units as the strictest reading of them, so
Meta never refuses a message for its form. Something too long is an error where it was written; it is never cut here,
because the one who wrote it can cut it better.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from bot.whatsapp.people import phone_of
from flows.model import LIMITS, Offer, Option, Say

_OPAQUE_CAP = 512
_BUTTON_ID_CAP, _ROW_ID_CAP = 256, 200


class Unsendable(ValueError):
    """A message that Meta would refuse, found before it went out."""


class TooLong(Unsendable):
    """A part of the message is over its limit."""


def message_of(effect: Say | Offer) -> dict[str, object]:
    """What a flow says, as it is kept in the outbox."""
    if isinstance(effect, Say):
        return {"type": "text", "text": effect.text}
    if len(effect.options) <= LIMITS.buttons:
        options: list[dict[str, object]] = [_option(option) for option in effect.options]
        return {"type": "buttons", "text": effect.text, "options": options}
    options = [_option(option) | {"description": option.description} for option in effect.options]
    return {"type": "list", "text": effect.text, "button": effect.button, "options": options}


def _option(option: Option) -> dict[str, object]:
    return {"option_id": option.option_id, "label": option.label}


def build(message: Mapping[str, object], *, to: str, opaque: str, quoted_wamid: str = "") -> dict[str, object]:
    """The body of POST /messages. Raises Unsendable.

    A phone number goes into `to`, with the plus that keeps Meta from guessing a country; a user id into `recipient`: in
    `to` it would be accepted and never arrive.
    """
    kind = message.get("type")
    if kind == "text":
        content = {"type": "text", "text": {"body": _text(message, "text", LIMITS.text), "preview_url": False}}
    elif kind == "buttons":
        content = {"type": "interactive", "interactive": _buttons(message)}
    elif kind == "list":
        content = {"type": "interactive", "interactive": _list(message)}
    else:
        raise Unsendable(f"unknown type of message: {kind!r}")
    body: dict[str, object] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if phone := phone_of(to):
        body["to"] = "+" + phone
    elif to:
        body["recipient"] = to
    else:
        raise Unsendable("nobody to send to")
    if quoted_wamid:
        body["context"] = {"message_id": quoted_wamid}
    body["biz_opaque_callback_data"] = _within("opaque", opaque, _OPAQUE_CAP)
    return body | content


def split_text(text: str, limit: int = LIMITS.text) -> list[str]:
    """A long text in pieces that fit: cut between paragraphs, else lines, else words, and never inside an emoji or an
    accented letter as long as any other place is left. Only white space at the cuts is lost."""
    pieces = []
    rest = text.strip()
    while units(rest) > limit:
        most = _fitting(rest, limit)
        cut = next((at for mark in ("\n\n", "\n", " ") if (at := rest.rfind(mark, most // 2, most + 1)) > 0), 0)
        if not cut:
            cut = _between_letters(rest, most)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*pieces, rest] if rest else pieces


def units(text: str) -> int:
    """Length in UTF-16 units: an emoji outside the basic plane is two."""
    return len(text) + sum(character > "\uffff" for character in text)


def _buttons(message: Mapping[str, object]) -> dict[str, object]:
    options = _options(message, LIMITS.buttons, _BUTTON_ID_CAP, LIMITS.button)
    if len({title for _, title, _ in options}) < len(options):
        raise Unsendable("two buttons with the same label")
    buttons = [{"type": "reply", "reply": {"id": option_id, "title": title}} for option_id, title, _ in options]
    return {"type": "button", "body": {"text": _text(message, "text", LIMITS.body)}, "action": {"buttons": buttons}}


def _list(message: Mapping[str, object]) -> dict[str, object]:
    rows = [
        {"id": option_id, "title": title} | ({"description": description} if description else {})
        for option_id, title, description in _options(message, LIMITS.rows, _ROW_ID_CAP, LIMITS.row)
    ]
    return {
        "type": "list",
        "body": {"text": _text(message, "text", LIMITS.body)},
        "action": {"button": _text(message, "button", LIMITS.button), "sections": [{"rows": rows}]},
    }


def _options(message: Mapping[str, object], most: int, id_cap: int, label_cap: int) -> list[tuple[str, str, str]]:
    options = message.get("options")
    if not isinstance(options, Sequence) or not 1 <= len(options) <= most:
        raise Unsendable(f"1 to {most} options are needed")
    built = []
    for option in options:
        option_id, label = _text(option, "option_id", id_cap), _text(option, "label", label_cap)
        if option_id != option_id.strip():
            raise Unsendable("an option id with a space around it")
        description = option.get("description", "")
        built.append((option_id, label, _within("description", description, LIMITS.row_description)))
    if len({option_id for option_id, _, _ in built}) < len(built):
        raise Unsendable("two options with the same id")
    return built


def _text(held: Mapping[str, object], key: str, limit: int) -> str:
    text = held.get(key)
    if not isinstance(text, str) or not text.strip():
        raise Unsendable(f"{key} is empty")
    return _within(key, text, limit)


def _within(key: str, text: str, limit: int) -> str:
    if units(text) > limit:
        raise TooLong(f"{key} has {units(text)} of at most {limit} characters")
    return text


def _fitting(text: str, limit: int) -> int:
    """How many characters of the text fit into so many units."""
    used = 0
    for at, character in enumerate(text):
        used += 2 if character > "\uffff" else 1
        if used > limit:
            return at
    return len(text)


_JOINED = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def _between_letters(text: str, most: int) -> int:
    """The last place, at most there, that is not inside what a reader sees as one character."""
    for cut in range(most, max(most - 64, 0), -1):
        after, before = text[cut], text[cut - 1]
        if not (_JOINED.match(after) or before == "\u200d" or unicodedata.combining(after)):
            return cut
    return max(most, 1)
