"""What a message says, by its type.

Invariant: total, and every text stands for itself: "[photo]" is what an agent reads when there is no caption. What a
person can't read here is `unreadable`, answered kindly and shown by a placeholder; what is no message at all (a
reaction, an edit, a deletion, a system notice) is `silent`, answered with nothing and shown where it belongs.

`request_welcome`, sent when a customer opens the chat for the first time, reads as a greeting
(flows/language/matching.py).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from bot.whatsapp.addresses import read_phone_digits
from bot.whatsapp.json_access import id_in, instant_in, line_in, object_in, objects_in, text_in, wamid_in
from bot.whatsapp.sanitize import clean, file_name, mime_type
from bot.whatsapp.webhook.contact_cards import read_card
from bot.whatsapp.webhook.form_replies import read_form, read_order
from flows.events import Author, Change, EventKind, Lost, Media, MediaKind

CARDS = 5
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # it becomes a part of an address of the Graph API
_SHA256 = re.compile(r"[A-Za-z0-9+/=_-]{1,100}")
_KIND_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")
_NAMELESS = ("unsupported", "unknown")
_NOT_FETCHED, _NOT_DELIVERED = 131052, 131060  # over 100 MB, or lost on Meta's side; only on the customer's phone

Message = dict[str, object]


class Read(NamedTuple):
    """What the type's own object says."""

    kind: EventKind
    text: str = ""
    option_id: str = ""
    media: Media | None = None
    about: str = ""  # the wamid that a reaction, an edit or a deletion is about
    shown: str = ""
    author: Author = "customer"
    change: Change = ""
    edited: str = ""
    lost: Lost = ""


def read_message(message: Message) -> Read:
    return _READERS.get(text_in(message, "type"), _unreadable)(message)


def _written(message: Message) -> Read:
    body = object_in(message, "text").get("body")
    return Read("text", clean(body)) if isinstance(body, str) else _unreadable(message)


def _interactive(message: Message) -> Read:
    interactive = object_in(message, "interactive")
    kind = text_in(interactive, "type")
    held = object_in(interactive, kind)
    if kind in ("button_reply", "list_reply"):
        return _option(id_in(held, "id"), text_in(held, "title"), message)
    if kind == "nfm_reply":
        return Read("text", read_form(held))
    if kind == "call_permission_reply":
        return Read("silent", shown=_call_permission(held))
    if kind == "payment_method":
        method = line_in(held, "payment_method", 60)
        return Read("silent", shown=f"[chose to pay by {method}]" if method else "[chose how to pay]")
    return _unreadable(message, kind)


def _call_permission(held: Message) -> str:
    if text_in(held, "response") != "accept":
        return "[we may not call them]"
    until = instant_in(held, "expiration_timestamp")
    return f"[we may call them until {until:%Y-%m-%d %H:%M} UTC]" if until else "[we may call them]"


def _button(message: Message) -> Read:
    """A button of a template says what stands on it: no flow has made its payload, which is the label as a rule."""
    button = object_in(message, "button")
    said = text_in(button, "text") or text_in(button, "payload")
    return Read("text", said) if said else _unreadable(message)


def _option(option_id: str, title: str, message: Message) -> Read:
    if option_id:
        return Read("option", title or option_id, option_id)
    return Read("text", title) if title else _unreadable(message)


def _media(kind: MediaKind, name: str) -> Callable[[Message], Read]:
    def read(message: Message) -> Read:
        held = object_in(message, text_in(message, "type"))
        caption = text_in(held, "caption")
        media_id, sha256 = id_in(held, "id"), id_in(held, "sha256")
        this = "voice" if kind == "audio" and held.get("voice") is True else kind
        shown = "voice note" if this == "voice" else name
        if not _MEDIA_ID.fullmatch(media_id):  # Meta could not fetch it: the words that came with it are still words
            lost = f"[{shown} that could not be received]"
            if not caption:
                return Read("unreadable", lost, lost="file")
            return Read("text", caption, shown=lost, lost="file")
        filename = file_name(text_in(held, "filename"))
        placeholder = f"[{shown}: {filename}]" if filename else f"[{shown}]"
        sha256 = sha256 if _SHA256.fullmatch(sha256) else ""
        media = Media(media_id, mime_type(text_in(held, "mime_type")), filename, this, sha256)
        return Read("media", caption or placeholder, media=media)

    return read


def _place(message: Message) -> Read:
    place = object_in(message, "location")
    words = [line_in(place, key, 500) for key in ("name", "address")]
    latitude, longitude = _degrees(place, "latitude", 90), _degrees(place, "longitude", 180)
    if latitude is not None and longitude is not None:
        words.append(f"{_six_places(latitude)}, {_six_places(longitude)}")
    words.append(line_in(place, "url", 500))
    shown = " · ".join(filter(None, words))
    return Read("place", f"[place: {shown}]" if shown else "[place]")


def _cards(message: Message) -> Read:
    cards = objects_in(message, "contacts")
    if not cards:
        return _unreadable(message)
    shown = "\n".join(map(read_card, cards[:CARDS]))
    return Read("contact", shown + (f"\n[{len(cards) - CARDS} more contacts]" if len(cards) > CARDS else ""))


def _order(message: Message) -> Read:
    return Read("text", read_order(object_in(message, "order")))


def _reaction(message: Message) -> Read:
    reaction = object_in(message, "reaction")
    emoji = line_in(reaction, "emoji", 64)
    shown = f"[reaction {emoji}]" if emoji else "[took their reaction back]"
    return Read("silent", shown=shown, about=wamid_in(reaction, "message_id"))


def _edit(message: Message) -> Read:
    """The new text or caption, of the message it was."""
    edit = object_in(message, "edit")
    after = object_in(edit, "message")
    held = object_in(after, text_in(after, "type"))
    edited = text_in(held, "body") or text_in(held, "caption")
    shown = f"[edited] {edited}" if edited else "[edited: no words are left]"
    about = wamid_in(edit, "original_message_id")
    return Read("silent", shown=clean(shown), about=about, change="edited", edited=edited)


def _revoke(message: Message) -> Read:
    about = wamid_in(object_in(message, "revoke"), "original_message_id")
    return Read("silent", shown="[deleted this message]", about=about, change="revoked")


def _system(message: Message) -> Read:
    system = object_in(message, "system")
    kind, body = text_in(system, "type"), line_in(system, "body", 300)
    number = read_phone_digits(system.get("wa_id") or system.get("new_wa_id"))
    if kind in ("user_changed_number", "customer_changed_number"):
        shown = f"[their number is now +{number}]" if number else "[their number has changed]"
    elif kind == "user_changed_user_id":
        shown = "[their WhatsApp account has a new id]"
    elif kind == "customer_identity_changed":
        shown = "[their security code has changed: it may be another phone, or another person]"
    else:
        shown = f"[{body}]" if body else ""
    return Read("silent", shown=shown, author="system")


def _welcome(message: Message) -> Read:
    return Read("text", "[opened the chat]")


def _unreadable(message: Message, part: str = "") -> Read:
    codes = [error.get("code") for error in objects_in(message, "errors")]
    if _NOT_FETCHED in codes:
        return Read("unreadable", "[file that could not be received]", lost="file")
    if _NOT_DELIVERED in codes:
        return Read("unreadable", "[message that WhatsApp did not pass on]", lost="message")
    own = text_in(message, "type")
    name = part or text_in(object_in(message, "unsupported"), "type") or ("" if own in _READERS else own)
    if name in _NAMELESS or not _KIND_NAME.fullmatch(name):
        return Read("unreadable", "[message of a kind that can't be shown]")
    return Read("unreadable", f"[message of the kind {name.replace('_', ' ')} that can't be shown]")


_READERS: dict[str, Callable[[Message], Read]] = {
    "text": _written,
    "interactive": _interactive,
    "button": _button,
    "image": _media("photo", "photo"),
    "video": _media("video", "video"),
    "audio": _media("audio", "audio"),
    "voice": _media("voice", "voice note"),
    "document": _media("file", "file"),
    "sticker": _media("sticker", "sticker"),
    "location": _place,
    "contacts": _cards,
    "order": _order,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
    "request_welcome": _welcome,
}


def _degrees(place: Message, key: str, most: int) -> float | None:
    held = place.get(key)
    if isinstance(held, bool) or not isinstance(held, (int, float)):
        return None
    return float(held) if abs(held) <= most else None  # false for NaN too


def _six_places(degrees: float) -> str:
    """A tenth of a metre."""
    return f"{degrees:.6f}".rstrip("0").rstrip(".")
