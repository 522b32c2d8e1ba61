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
from bot.whatsapp.json_access import get_id, get_instant, get_line, get_object, get_objects, get_text, get_wamid
from bot.whatsapp.sanitize import clean, clean_file_name, clean_mime_type
from bot.whatsapp.webhook.contact_cards import describe_contact_card
from bot.whatsapp.webhook.form_replies import describe_form_reply, describe_order
from flows.events import Author, Change, EventKind, Lost, Media, MediaKind

MAX_CONTACT_CARDS = 5
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # it becomes a part of an address of the Graph API
_SHA256 = re.compile(r"[A-Za-z0-9+/=_-]{1,100}")
_KIND_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")
_NAMELESS = ("unsupported", "unknown")
_NOT_FETCHED, _NOT_DELIVERED = 131052, 131060  # over 100 MB, or lost on Meta's side; only on the customer's phone

Message = dict[str, object]


class MessageContent(NamedTuple):
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


def read_message(message: Message) -> MessageContent:
    return _READERS.get(get_text(message, "type"), _unreadable)(message)


def _written(message: Message) -> MessageContent:
    body = get_object(message, "text").get("body")
    return MessageContent("text", clean(body)) if isinstance(body, str) else _unreadable(message)


def _interactive(message: Message) -> MessageContent:
    interactive = get_object(message, "interactive")
    kind = get_text(interactive, "type")
    held = get_object(interactive, kind)
    if kind in ("button_reply", "list_reply"):
        return _option(get_id(held, "id"), get_text(held, "title"), message)
    if kind == "nfm_reply":
        return MessageContent("text", describe_form_reply(held))
    if kind == "call_permission_reply":
        return MessageContent("silent", shown=_call_permission(held))
    if kind == "payment_method":
        method = get_line(held, "payment_method", 60)
        return MessageContent("silent", shown=f"[chose to pay by {method}]" if method else "[chose how to pay]")
    return _unreadable(message, kind)


def _call_permission(held: Message) -> str:
    if get_text(held, "response") != "accept":
        return "[we may not call them]"
    until = get_instant(held, "expiration_timestamp")
    return f"[we may call them until {until:%Y-%m-%d %H:%M} UTC]" if until else "[we may call them]"


def _button(message: Message) -> MessageContent:
    """A button of a template says what stands on it: no flow has made its payload, which is the label as a rule."""
    button = get_object(message, "button")
    said = get_text(button, "text") or get_text(button, "payload")
    return MessageContent("text", said) if said else _unreadable(message)


def _option(option_id: str, title: str, message: Message) -> MessageContent:
    if option_id:
        return MessageContent("option", title or option_id, option_id)
    return MessageContent("text", title) if title else _unreadable(message)


def _media(kind: MediaKind, name: str) -> Callable[[Message], MessageContent]:
    def read(message: Message) -> MessageContent:
        held = get_object(message, get_text(message, "type"))
        caption = get_text(held, "caption")
        media_id, sha256 = get_id(held, "id"), get_id(held, "sha256")
        this = "voice" if kind == "audio" and held.get("voice") is True else kind
        shown = "voice note" if this == "voice" else name
        if not _MEDIA_ID.fullmatch(media_id):  # Meta could not fetch it: the words that came with it are still words
            lost = f"[{shown} that could not be received]"
            if not caption:
                return MessageContent("unreadable", lost, lost="file")
            return MessageContent("text", caption, shown=lost, lost="file")
        filename = clean_file_name(get_text(held, "filename"))
        placeholder = f"[{shown}: {filename}]" if filename else f"[{shown}]"
        sha256 = sha256 if _SHA256.fullmatch(sha256) else ""
        media = Media(media_id, clean_mime_type(get_text(held, "mime_type")), filename, this, sha256)
        return MessageContent("media", caption or placeholder, media=media)

    return read


def _place(message: Message) -> MessageContent:
    place = get_object(message, "location")
    words = [get_line(place, key, 500) for key in ("name", "address")]
    latitude, longitude = _degrees(place, "latitude", 90), _degrees(place, "longitude", 180)
    if latitude is not None and longitude is not None:
        words.append(f"{_six_places(latitude)}, {_six_places(longitude)}")
    words.append(get_line(place, "url", 500))
    shown = " · ".join(filter(None, words))
    return MessageContent("place", f"[place: {shown}]" if shown else "[place]")


def _cards(message: Message) -> MessageContent:
    cards = get_objects(message, "contacts")
    if not cards:
        return _unreadable(message)
    shown = "\n".join(map(describe_contact_card, cards[:MAX_CONTACT_CARDS]))
    return MessageContent(
        "contact",
        shown + (f"\n[{len(cards) - MAX_CONTACT_CARDS} more contacts]" if len(cards) > MAX_CONTACT_CARDS else ""),
    )


def _order(message: Message) -> MessageContent:
    return MessageContent("text", describe_order(get_object(message, "order")))


def _reaction(message: Message) -> MessageContent:
    reaction = get_object(message, "reaction")
    emoji = get_line(reaction, "emoji", 64)
    shown = f"[reaction {emoji}]" if emoji else "[took their reaction back]"
    return MessageContent("silent", shown=shown, about=get_wamid(reaction, "message_id"))


def _edit(message: Message) -> MessageContent:
    """The new text or caption, of the message it was."""
    edit = get_object(message, "edit")
    after = get_object(edit, "message")
    held = get_object(after, get_text(after, "type"))
    edited = get_text(held, "body") or get_text(held, "caption")
    shown = f"[edited] {edited}" if edited else "[edited: no words are left]"
    about = get_wamid(edit, "original_message_id")
    return MessageContent("silent", shown=clean(shown), about=about, change="edited", edited=edited)


def _revoke(message: Message) -> MessageContent:
    about = get_wamid(get_object(message, "revoke"), "original_message_id")
    return MessageContent("silent", shown="[deleted this message]", about=about, change="revoked")


def _system(message: Message) -> MessageContent:
    system = get_object(message, "system")
    kind, body = get_text(system, "type"), get_line(system, "body", 300)
    number = read_phone_digits(system.get("wa_id") or system.get("new_wa_id"))
    if kind in ("user_changed_number", "customer_changed_number"):
        shown = f"[their number is now +{number}]" if number else "[their number has changed]"
    elif kind == "user_changed_user_id":
        shown = "[their WhatsApp account has a new id]"
    elif kind == "customer_identity_changed":
        shown = "[their security code has changed: it may be another phone, or another person]"
    else:
        shown = f"[{body}]" if body else ""
    return MessageContent("silent", shown=shown, author="system")


def _welcome(message: Message) -> MessageContent:
    return MessageContent("text", "[opened the chat]")


def _unreadable(message: Message, part: str = "") -> MessageContent:
    codes = [error.get("code") for error in get_objects(message, "errors")]
    if _NOT_FETCHED in codes:
        return MessageContent("unreadable", "[file that could not be received]", lost="file")
    if _NOT_DELIVERED in codes:
        return MessageContent("unreadable", "[message that WhatsApp did not pass on]", lost="message")
    own = get_text(message, "type")
    name = part or get_text(get_object(message, "unsupported"), "type") or ("" if own in _READERS else own)
    if name in _NAMELESS or not _KIND_NAME.fullmatch(name):
        return MessageContent("unreadable", "[message of a kind that can't be shown]")
    return MessageContent("unreadable", f"[message of the kind {name.replace('_', ' ')} that can't be shown]")


_READERS: dict[str, Callable[[Message], MessageContent]] = {
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
