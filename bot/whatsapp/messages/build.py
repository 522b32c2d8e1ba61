"""Builds the body of POST /messages from a message as the outbox keeps it, and makes messages fit to be built.

Invariants
- What leaves here is within WhatsApp's limits, so Meta never refuses a message for its shape.
- `fit_to_limits` loses nothing of what somebody wrote; what can't be made to fit is an error where it was written.

A message of the outbox is a JSON object with its `type` (the keys of _BUILDERS) and the parts of that type; `quoted`
is the wamid of the message that it answers.

Source: Meta, messages/send-messages (with a page for each type); statuses bring back `biz_opaque_callback_data`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from bot.whatsapp.addresses import read_phone_digits
from bot.whatsapp.messages import interactive
from bot.whatsapp.messages.limits import Unsendable, check_text, require_id, require_objects, require_text
from bot.whatsapp.messages.media_kinds import MEDIA_RULES
from bot.whatsapp.messages.split_text import split_before_question, split_text
from bot.whatsapp.messages.template import build_template
from flows.effects import Offer, Option, Say
from flows.language.formatting import count_units
from flows.limits import LIMITS

MAX_CAPTION_UNITS: Final = 1024
_MAX_OPAQUE_UNITS: Final = 512
_MAX_ID_UNITS: Final = 200
_MAX_FILE_NAME_UNITS: Final = 240
_MAX_EMOJI_UNITS: Final = 64
_MAX_WRITTEN_UNITS: Final = 1_000_000  # of a text that is going to be split
_LIST_BUTTON: Final = "☰"  # understood in every language, where nobody gave a word for it

Message = Mapping[str, object]


def effect_to_message(effect: Say | Offer) -> dict[str, object]:
    """Turns what a flow says into a message of the outbox."""
    if isinstance(effect, Say):
        return {"type": "text", "text": effect.text}
    if len(effect.options) <= LIMITS.buttons:
        options: list[dict[str, object]] = [_keep_option(option) for option in effect.options]
        return {"type": "buttons", "text": effect.text, "options": options}
    options = [_keep_option(option) | {"description": option.description} for option in effect.options]
    return {"type": "list", "text": effect.text, "button": effect.button, "options": options}


def _keep_option(option: Option) -> dict[str, object]:
    return {"option_id": option.option_id, "label": option.label}


def build_body(message: Message, *, to: str, opaque: str, quoted_wamid: str = "") -> dict[str, object]:
    """Returns the body of POST /messages. Raises Unsendable.

    `to` is the customer's address. A phone number goes into Meta's `to`, with the plus that keeps Meta from guessing a
    country; a user id into `recipient`: in `to` it would be accepted and never arrive. `opaque` is what Meta gives back
    with each status of the message.
    """
    content = _build_content(message)
    body: dict[str, object] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if phone := read_phone_digits(to):
        body["to"] = "+" + phone
    elif to:
        body["recipient"] = to
    else:
        raise Unsendable("nobody to send to")
    quoted = quoted_wamid or message.get("quoted")
    if quoted and message["type"] not in ("reaction", "template"):
        body["context"] = {"message_id": require_id({"quoted": quoted}, "quoted", _MAX_ID_UNITS)}
    body["biz_opaque_callback_data"] = check_text("opaque", opaque, _MAX_OPAQUE_UNITS)
    return body | content


def _build_content(message: Message) -> dict[str, object]:
    kind = message.get("type")
    builder = _BUILDERS.get(kind) if isinstance(kind, str) else None
    if builder is None:
        raise Unsendable(f"unknown type of message: {kind!r}")
    return builder(message)


def _make_interactive_builder(
    builder: Callable[[Message], dict[str, object]],
) -> Callable[[Message], dict[str, object]]:
    return lambda message: {"type": "interactive", "interactive": builder(message)}


def _build_text(message: Message) -> dict[str, object]:
    return {"type": "text", "text": {"body": require_text(message, "text", LIMITS.text), "preview_url": False}}


def _build_media(message: Message) -> dict[str, object]:
    kind = message.get("kind")
    rule = MEDIA_RULES.get(kind) if isinstance(kind, str) else None
    if rule is None:
        raise Unsendable(f"unknown kind of file: {kind!r}")
    media: dict[str, object] = {"id": require_id(message, "media_id", _MAX_ID_UNITS)}
    if caption := check_text("caption", message.get("caption", ""), MAX_CAPTION_UNITS):
        if not rule.shows_caption:
            raise Unsendable(f"WhatsApp shows no caption with this kind of file: {kind}")
        media["caption"] = caption
    if rule.shows_filename and (name := check_text("filename", message.get("filename", ""), _MAX_FILE_NAME_UNITS)):
        media["filename"] = name  # the other kinds show none
    return {"type": kind, f"{kind}": media}


def _build_reaction(message: Message) -> dict[str, object]:
    """Builds a reaction; without an emoji it takes an earlier one back."""
    emoji = check_text("emoji", message.get("emoji", ""), _MAX_EMOJI_UNITS)
    if emoji and (emoji.isascii() or any(character.isspace() for character in emoji)):
        raise Unsendable("a reaction is one emoji")
    return {
        "type": "reaction",
        "reaction": {"message_id": require_id(message, "wamid", _MAX_ID_UNITS), "emoji": emoji},
    }


def _build_template(message: Message) -> dict[str, object]:
    return {"type": "template", "template": build_template(message)}


_BUILDERS: Final[Mapping[str, Callable[[Message], dict[str, object]]]] = MappingProxyType(
    {
        "text": _build_text,
        "buttons": _make_interactive_builder(interactive.build_buttons),
        "list": _make_interactive_builder(interactive.build_list),
        "cta": _make_interactive_builder(interactive.build_cta_url),
        "location_request": _make_interactive_builder(interactive.build_location_request),
        "contact_request": _make_interactive_builder(interactive.build_contact_request),
        "media": _build_media,
        "reaction": _build_reaction,
        "template": _build_template,
    }
)


def fit_to_limits(message: Message) -> list[dict[str, object]]:
    """Returns the same as messages that `build_body` takes, in the order of sending, with nothing lost.

    The first of them quotes; keys that are not known here stay. Raises Unsendable for what no list and no split can
    fix, such as eleven options.
    """
    kind = message.get("type")
    itself = {key: value for key, value in message.items() if key != "quoted"}
    if kind == "text":
        first, *others = split_text(require_text(message, "text", _MAX_WRITTEN_UNITS))
        fitted = [itself | {"text": first}, *map(_make_text, others)]
    elif kind == "media":
        fitted = _fit_caption(itself)
    elif kind in ("reaction", "template"):
        fitted = [itself]
    else:
        ahead, question = split_before_question(require_text(message, "text", _MAX_WRITTEN_UNITS), LIMITS.body)
        fitted = [*map(_make_text, ahead), _fit_options(itself) | {"text": question}]
    for one in fitted:
        _build_content({"media_id": "-", **one})  # a file may get its id at Meta later
    if "quoted" in message:
        fitted[0]["quoted"] = message["quoted"]
    return fitted


def _make_text(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


def _fit_caption(media: dict[str, object]) -> list[dict[str, object]]:
    """Makes a text after it of a caption that is too long, or that this kind of file can't have."""
    caption = check_text("caption", media.get("caption", ""), _MAX_WRITTEN_UNITS)
    rule = MEDIA_RULES.get(str(media.get("kind")))
    if not caption or (rule and rule.shows_caption and count_units(caption) <= MAX_CAPTION_UNITS):
        return [media]
    alone = {key: value for key, value in media.items() if key != "caption"}
    return [alone, *map(_make_text, split_text(caption))]


def _fit_options(message: dict[str, object]) -> dict[str, object]:
    """Makes a list, which bears more, of buttons that are too many, too long or called the same."""
    if message.get("type") != "buttons":
        return message
    options = require_objects(message, "options", LIMITS.rows)
    labels = [require_text(option, "label", _MAX_WRITTEN_UNITS) for option in options]
    fits = len(labels) <= LIMITS.buttons and all(count_units(label) <= LIMITS.button for label in labels)
    if fits and len(set(labels)) == len(labels):
        return message
    return message | {"type": "list", "button": message.get("button") or _LIST_BUTTON}
