"""Reads what a message says, by its type.

Invariants
- Nothing raises, whatever is in the message.
- Every text stands for itself: "[photo]" is what an agent reads when there is no caption.
- What a person can't read here is `unreadable`: answered kindly, and shown by a placeholder. What has words is read by
  them, whatever its type.
- What is no message at all (a reaction, an edit, a deletion, a system notice) is `silent`: answered with nothing, and
  shown where it belongs.

`request_welcome`, which is sent when a customer opens the chat for the first time, reads as a greeting
(flows/language/matching.py).

Source: Meta, webhooks/overview (the field `messages`, with a page for each type); support/error-codes.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from bot.whatsapp.addresses import read_phone_digits
from bot.whatsapp.json_access import get_id, get_instant, get_line, get_object, get_objects, get_text, get_wamid
from bot.whatsapp.sanitize import MEDIA_ID, clean, clean_file_name, clean_mime_type, clean_sha256
from bot.whatsapp.webhook.contact_cards import describe_contact_card
from bot.whatsapp.webhook.form_replies import describe_order, read_form_reply
from bot.whatsapp.webhook.other_types import describe_interactive, describe_template, find_words
from flows.events import Author, Change, EventKind, Lost, Media, MediaKind

MAX_CONTACT_CARDS = 5  # that are shown of a message; the rest is counted
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,30})?")
_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")
_NO_TYPE_NAMES = ("unsupported", "unknown")
_MEDIA_DOWNLOAD_ERROR = 131052  # the file is over 100 MB, or was lost on Meta's side
_MESSAGE_UNAVAILABLE = 131060  # the message is on the customer's phone alone

Message = dict[str, object]


class MessageContent(NamedTuple):
    """What a message says, as the parts of the event that it becomes (flows.events.Event explains them)."""

    kind: EventKind
    text: str = ""
    option_id: str = ""
    media: Media | None = None
    about: str = ""  # the wamid of the message that a reaction, an edit or a deletion is about
    shown: str = ""
    author: Author = "customer"
    change: Change = ""
    edited: str = ""
    lost: Lost = ""
    more_media: tuple[Media, ...] = ()


def read_message(message: Message) -> MessageContent:
    """Returns the content of one entry of a webhook's `messages` or `message_echoes`."""
    return _READERS.get(get_text(message, "type"), _read_unsupported)(message)


def _read_text(message: Message) -> MessageContent:
    body = get_object(message, "text").get("body")
    return MessageContent("text", clean(body)) if isinstance(body, str) else _read_unsupported(message)


def _read_interactive(message: Message) -> MessageContent:
    interactive = get_object(message, "interactive")
    kind = get_text(interactive, "type")
    content = get_object(interactive, kind)
    if kind in ("button_reply", "list_reply"):
        return _read_option(get_id(content, "id"), get_text(content, "title"), message)
    if kind == "nfm_reply":
        form = read_form_reply(content)
        return MessageContent("text", form.text, media=form.files[0] if form.files else None, more_media=form.files[1:])
    if kind == "call_permission_reply":
        return MessageContent("silent", shown=_describe_call_permission(content))
    if kind == "payment_method":
        method = get_line(content, "payment_method", 60)
        return MessageContent("silent", shown=f"[chose to pay by {method}]" if method else "[chose how to pay]")
    words = describe_interactive(interactive)
    return MessageContent("text", words) if words else _read_unsupported(message, kind)


def _read_template(message: Message) -> MessageContent:
    """Reads a template, which a person of ours sent in the Business app."""
    words = describe_template(get_object(message, "template"))
    return MessageContent("text", words) if words else _read_unsupported(message, "template")


def _describe_call_permission(content: Message) -> str:
    if get_text(content, "response") != "accept":
        return "[we may not call them]"
    until = get_instant(content, "expiration_timestamp")
    return f"[we may call them until {until:%Y-%m-%d %H:%M} UTC]" if until else "[we may call them]"


def _read_button(message: Message) -> MessageContent:
    """Reads a tap on a template's button as its label: no flow has made its payload, which is the label as a rule."""
    button = get_object(message, "button")
    label = get_text(button, "text") or get_text(button, "payload")
    return MessageContent("text", label) if label else _read_unsupported(message)


def _read_option(option_id: str, title: str, message: Message) -> MessageContent:
    if option_id:
        return MessageContent("option", title or option_id, option_id)
    return MessageContent("text", title) if title else _read_unsupported(message)


def _make_media_reader(kind: MediaKind, name: str) -> Callable[[Message], MessageContent]:
    """Makes the reader of one type of file. `name`: what an agent calls it."""

    def read(message: Message) -> MessageContent:
        content = get_object(message, get_text(message, "type"))
        caption = get_text(content, "caption")
        media_id, sha256 = get_id(content, "id"), get_id(content, "sha256")
        own_kind = "voice" if kind == "audio" and content.get("voice") is True else kind
        shown = "voice note" if own_kind == "voice" else name
        if not MEDIA_ID.fullmatch(media_id):  # Meta could not fetch it: the words that came with it are still words
            lost = f"[{shown} that could not be received]"
            if not caption:
                return MessageContent("unreadable", lost, lost="file")
            return MessageContent("text", caption, shown=lost, lost="file")
        filename = clean_file_name(get_text(content, "filename"))
        placeholder = f"[{shown}: {filename}]" if filename else f"[{shown}]"
        media = Media(
            media_id=media_id,
            mime_type=clean_mime_type(get_text(content, "mime_type")),
            filename=filename,
            kind=own_kind,
            sha256=clean_sha256(sha256),
        )
        return MessageContent("media", caption or placeholder, media=media)

    return read


def _read_location(message: Message) -> MessageContent:
    place = get_object(message, "location")
    words = [get_line(place, key, 500) for key in ("name", "address")]
    latitude, longitude = _get_degrees(place, "latitude", 90), _get_degrees(place, "longitude", 180)
    if latitude is not None and longitude is not None:
        words.append(f"{_format_degrees(latitude)}, {_format_degrees(longitude)}")
    words.append(get_line(place, "url", 500))
    shown = " · ".join(filter(None, words))
    return MessageContent("location", f"[place: {shown}]" if shown else "[place]")


def _read_contacts(message: Message) -> MessageContent:
    cards = get_objects(message, "contacts")
    if not cards:
        return _read_unsupported(message)
    shown = "\n".join(map(describe_contact_card, cards[:MAX_CONTACT_CARDS]))
    if len(cards) > MAX_CONTACT_CARDS:
        shown += f"\n[{len(cards) - MAX_CONTACT_CARDS} more contacts]"
    return MessageContent("contact", shown)


def _read_order(message: Message) -> MessageContent:
    return MessageContent("text", describe_order(get_object(message, "order")))


def _read_reaction(message: Message) -> MessageContent:
    reaction = get_object(message, "reaction")
    emoji = get_line(reaction, "emoji", 64)
    shown = f"[reaction {emoji}]" if emoji else "[took their reaction back]"
    return MessageContent("silent", shown=shown, about=get_wamid(reaction, "message_id"))


def _read_edit(message: Message) -> MessageContent:
    """Reads an edit: the new text or caption, and which message it is of."""
    edit = get_object(message, "edit")
    after = get_object(edit, "message")
    content = get_object(after, get_text(after, "type"))
    edited = get_text(content, "body") or get_text(content, "caption")
    shown = f"[edited] {edited}" if edited else "[edited: no words are left]"
    about = get_wamid(edit, "original_message_id")
    return MessageContent("silent", shown=clean(shown), about=about, change="edited", edited=edited)


def _read_revoke(message: Message) -> MessageContent:
    about = get_wamid(get_object(message, "revoke"), "original_message_id")
    return MessageContent("silent", shown="[deleted this message]", about=about, change="revoked")


def _read_system(message: Message) -> MessageContent:
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


def _read_welcome(message: Message) -> MessageContent:
    return MessageContent("text", "[opened the chat]")


def _read_unsupported(message: Message, part: str = "") -> MessageContent:
    """Reads what can't be shown: why, or of which type it is. `part`: the type of what is in an `interactive` one."""
    codes = [error.get("code") for error in get_objects(message, "errors")]
    if _MEDIA_DOWNLOAD_ERROR in codes:
        return MessageContent("unreadable", "[file that could not be received]", lost="file")
    if _MESSAGE_UNAVAILABLE in codes:
        return MessageContent("unreadable", "[message that WhatsApp did not pass on]", lost="message")
    own = get_text(message, "type")
    name = part or get_text(get_object(message, "unsupported"), "type") or ("" if own in _READERS else own)
    if name in _NO_TYPE_NAMES or not _TYPE_NAME.fullmatch(name):
        return MessageContent("unreadable", "[message of a kind that can't be shown]")
    words = find_words(get_object(message, own)) if name == own else ""
    if words:
        return MessageContent("text", f"[{name.replace('_', ' ')}] {words}")
    return MessageContent("unreadable", f"[message of the kind {name.replace('_', ' ')} that can't be shown]")


_READERS: dict[str, Callable[[Message], MessageContent]] = {
    "text": _read_text,
    "interactive": _read_interactive,
    "template": _read_template,
    "button": _read_button,
    "image": _make_media_reader("photo", "photo"),
    "video": _make_media_reader("video", "video"),
    "audio": _make_media_reader("audio", "audio"),
    "voice": _make_media_reader("voice", "voice note"),
    "document": _make_media_reader("file", "file"),
    "sticker": _make_media_reader("sticker", "sticker"),
    "location": _read_location,
    "contacts": _read_contacts,
    "order": _read_order,
    "reaction": _read_reaction,
    "edit": _read_edit,
    "revoke": _read_revoke,
    "system": _read_system,
    "request_welcome": _read_welcome,
}


def _get_degrees(place: Message, key: str, limit: int) -> float | None:
    degrees = place.get(key)
    if isinstance(degrees, str) and _DEGREES.fullmatch(degrees.strip()):
        degrees = float(degrees)
    if isinstance(degrees, bool) or not isinstance(degrees, (int, float)):
        return None
    return float(degrees) if abs(degrees) <= limit else None  # NaN is on no side of a limit


def _format_degrees(degrees: float) -> str:
    """Rounds to six decimal places, a tenth of a metre."""
    return f"{degrees:.6f}".rstrip("0").rstrip(".")
