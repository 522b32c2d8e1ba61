"""Our messages in Meta's form.

Invariant: what leaves here is within WhatsApp's limits, so Meta never refuses a message for its form. `fit` makes what
somebody wrote legal without losing any of it; what can't be made so is an error where it was written.
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
_OPAQUE_CAP: Final = 512
_ID_CAP: Final = 200
_FILE_NAME_CAP: Final = 240
_EMOJI_CAP: Final = 64
_WRITTEN_CAP: Final = 1_000_000
_LIST_BUTTON: Final = "☰"  # understood in every language, where nobody gave a word for it

Message = Mapping[str, object]


def effect_to_message(effect: Say | Offer) -> dict[str, object]:
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


def build_body(message: Message, *, to: str, opaque: str, quoted_wamid: str = "") -> dict[str, object]:
    """The body of POST /messages. Raises Unsendable.

    A phone number goes into `to`, with the plus that keeps Meta from guessing a country; a user id into `recipient`: in
    `to` it would be accepted and never arrive.
    """
    content = _content(message)
    body: dict[str, object] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if phone := read_phone_digits(to):
        body["to"] = "+" + phone
    elif to:
        body["recipient"] = to
    else:
        raise Unsendable("nobody to send to")
    quoted = quoted_wamid or message.get("quoted")
    if quoted and message["type"] not in ("reaction", "template"):
        body["context"] = {"message_id": require_id({"quoted": quoted}, "quoted", _ID_CAP)}
    body["biz_opaque_callback_data"] = check_text("opaque", opaque, _OPAQUE_CAP)
    return body | content


def _content(message: Message) -> dict[str, object]:
    kind = message.get("type")
    make = _CONTENTS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise Unsendable(f"unknown type of message: {kind!r}")
    return make(message)


def _interactive(make: Callable[[Message], dict[str, object]]) -> Callable[[Message], dict[str, object]]:
    return lambda message: {"type": "interactive", "interactive": make(message)}


def _text(message: Message) -> dict[str, object]:
    return {"type": "text", "text": {"body": require_text(message, "text", LIMITS.text), "preview_url": False}}


def _media(message: Message) -> dict[str, object]:
    kind = message.get("kind")
    rule = MEDIA_RULES.get(kind) if isinstance(kind, str) else None
    if rule is None:
        raise Unsendable(f"unknown kind of file: {kind!r}")
    media: dict[str, object] = {"id": require_id(message, "media_id", _ID_CAP)}
    if caption := check_text("caption", message.get("caption", ""), MAX_CAPTION_UNITS):
        if not rule.shows_caption:
            raise Unsendable(f"WhatsApp shows no caption with this kind of file: {kind}")
        media["caption"] = caption
    if rule.shows_filename and (name := check_text("filename", message.get("filename", ""), _FILE_NAME_CAP)):
        media["filename"] = name  # the other kinds show none
    return {"type": kind, f"{kind}": media}


def _reaction(message: Message) -> dict[str, object]:
    """Without an emoji it takes an earlier reaction back."""
    emoji = check_text("emoji", message.get("emoji", ""), _EMOJI_CAP)
    if emoji and (emoji.isascii() or any(character.isspace() for character in emoji)):
        raise Unsendable("a reaction is one emoji")
    return {
        "type": "reaction",
        "reaction": {"message_id": require_id(message, "wamid", _ID_CAP), "emoji": emoji},
    }


def _template(message: Message) -> dict[str, object]:
    return {"type": "template", "template": build_template(message)}


_CONTENTS: Final[Mapping[str, Callable[[Message], dict[str, object]]]] = MappingProxyType(
    {
        "text": _text,
        "buttons": _interactive(interactive.build_buttons),
        "list": _interactive(interactive.build_list),
        "cta": _interactive(interactive.build_cta_url),
        "location_request": _interactive(interactive.build_location_request),
        "contact_request": _interactive(interactive.build_contact_request),
        "media": _media,
        "reaction": _reaction,
        "template": _template,
    }
)


def fit_to_limits(message: Message) -> list[dict[str, object]]:
    """The same as messages that `build` takes, in the order of sending, with nothing lost. Raises Unsendable for what
    no list and no split can mend, such as eleven options. The first of them quotes; keys that are not known here stay.
    """
    kind = message.get("type")
    itself = {key: value for key, value in message.items() if key != "quoted"}
    if kind == "text":
        first, *others = split_text(require_text(message, "text", _WRITTEN_CAP))
        fitted = [itself | {"text": first}, *map(_said, others)]
    elif kind == "media":
        fitted = _with_fitting_caption(itself)
    elif kind in ("reaction", "template"):
        fitted = [itself]
    else:
        ahead, question = split_before_question(require_text(message, "text", _WRITTEN_CAP), LIMITS.body)
        fitted = [*map(_said, ahead), _as_list_where_needed(itself) | {"text": question}]
    for one in fitted:
        _content({"media_id": "-", **one})  # a file may get its id at Meta later
    if "quoted" in message:
        fitted[0]["quoted"] = message["quoted"]
    return fitted


def _said(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


def _with_fitting_caption(media: dict[str, object]) -> list[dict[str, object]]:
    """A caption that is too long, or that this kind of file can't have, is a text after it."""
    caption = check_text("caption", media.get("caption", ""), _WRITTEN_CAP)
    rule = MEDIA_RULES.get(str(media.get("kind")))
    if not caption or (rule and rule.shows_caption and count_units(caption) <= MAX_CAPTION_UNITS):
        return [media]
    alone = {key: value for key, value in media.items() if key != "caption"}
    return [alone, *map(_said, split_text(caption))]


def _as_list_where_needed(message: dict[str, object]) -> dict[str, object]:
    """Buttons that are too many, too long or called the same are a list, which bears more."""
    if message.get("type") != "buttons":
        return message
    labels = [
        require_text(option, "label", _WRITTEN_CAP) for option in require_objects(message, "options", LIMITS.rows)
    ]
    fits = len(labels) <= LIMITS.buttons and all(count_units(label) <= LIMITS.button for label in labels)
    if fits and len(set(labels)) == len(labels):
        return message
    return message | {"type": "list", "button": message.get("button") or _LIST_BUTTON}
