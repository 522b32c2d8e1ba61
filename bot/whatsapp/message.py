"""A stored message or status becomes what the conversation and the outbox can work with.

Invariant: never an exception, whatever is in the journal: it may have been written by an older version, or by a Meta
that has changed. What a person can't read here is `unreadable` and answered kindly; what is no message at all (a
reaction, an edit, a deletion, a system notice) is `silent` and answered with nothing. Every text is clean, and stands
for itself: "[photo]" is what an agent reads when there is no caption.

`request_welcome`, sent when a customer opens the chat for the first time, is a text without words: a greeting.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from bot.whatsapp.cleaning import TEXT_CAP, clean, file_name, mime_type, one_line, plain_id
from bot.whatsapp.items import Kind, Status
from flows.model import Event, EventKind, Media, MediaKind

_ID_CAP = 256
_CARDS, _PHONES_A_CARD = 5, 3
_SECONDS = re.compile(r"[0-9]{1,11}")
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # it becomes a part of an address of the Graph API


class _Read(NamedTuple):
    """What the type's own object says."""

    kind: EventKind
    text: str = ""
    option_id: str = ""
    media: Media | None = None
    about: str = ""  # the wamid that a reaction, an edit or a deletion is about


def read_event(payload: str, *, item_id: int, at: datetime, late: bool, kind: Kind = Kind.MESSAGE) -> Event:
    """The event of a message item, from its payload as `read_webhook` wrote it."""
    message = _object(_load(payload), "message")
    context = _object(message, "context")
    read = _READERS.get(_text(message, "type"), _unreadable)(message)
    return Event(
        kind=read.kind,
        at=at,
        item_id=item_id,
        wamid=_wamid(message, "id"),
        text=read.text,
        option_id=read.option_id,
        quoted_wamid=read.about or _wamid(context, "id"),
        media=read.media,
        late=late,
    )


def read_name(payload: str) -> str:
    """What the customer calls themselves: untrusted, for display only."""
    return one_line(_text(_object(_load(payload), "contact"), "name"), 200)


def read_status(payload: str) -> Status:
    """The status of a status item; without a time of its own it is as old as can be, and the item's time counts."""
    status = _load(payload)
    name = _text(status, "status")
    seconds = _text(status, "timestamp")
    errors = _list(status, "errors")
    error = errors[0] if errors else {}
    code = error.get("code")
    return Status(
        wamid=_wamid(status, "id"),
        status="read" if name == "played" else name,
        at=datetime.fromtimestamp(int(seconds) if _SECONDS.fullmatch(seconds) else 0, UTC),
        opaque=_id(status, "biz_opaque_callback_data"),
        error_code=code if type(code) is int else None,
        error_text=_text(_object(error, "error_data"), "details", 300) or _text(error, "title", 300),
    )


def _written(message: dict[str, object]) -> _Read:
    body = _object(message, "text").get("body")
    return _Read("text", clean(body)) if isinstance(body, str) else _unreadable(message)


def _interactive(message: dict[str, object]) -> _Read:
    interactive = _object(message, "interactive")
    kind = _text(interactive, "type")
    if kind not in ("button_reply", "list_reply"):
        return _unreadable(message)
    chosen = _object(interactive, kind)
    return _option(_id(chosen, "id"), _text(chosen, "title"), message)


def _button(message: dict[str, object]) -> _Read:
    """A button of a template."""
    button = _object(message, "button")
    return _option(_id(button, "payload"), _text(button, "text"), message)


def _option(option_id: str, title: str, message: dict[str, object]) -> _Read:
    if option_id:
        return _Read("option", title or option_id, option_id)
    return _Read("text", title) if title else _unreadable(message)


def _media(kind: MediaKind, name: str) -> Callable[[dict[str, object]], _Read]:
    def read(message: dict[str, object]) -> _Read:
        held = _object(message, _text(message, "type"))
        caption = _text(held, "caption")
        media_id = _id(held, "id")
        this = "voice" if kind == "audio" and held.get("voice") is True else kind
        shown = "voice note" if this == "voice" else name
        if not _MEDIA_ID.fullmatch(media_id):  # Meta could not fetch it: the words that came with it are still words
            return _Read("text", caption) if caption else _Read("unreadable", f"[{shown} that could not be received]")
        filename = file_name(_text(held, "filename"))
        placeholder = f"[{shown}: {filename}]" if filename else f"[{shown}]"
        media = Media(media_id, mime_type(_text(held, "mime_type")), filename, this)
        return _Read("media", caption or placeholder, media=media)

    return read


def _place(message: dict[str, object]) -> _Read:
    place = _object(message, "location")
    words = [one_line(_text(place, key), 500) for key in ("name", "address")]
    latitude, longitude = _degrees(place, "latitude", 90), _degrees(place, "longitude", 180)
    if latitude is not None and longitude is not None:
        words.append(f"{latitude:.6g}, {longitude:.6g}")
    shown = " · ".join(filter(None, words))
    return _Read("place", f"[place: {shown}]" if shown else "[place]")


def _cards(message: dict[str, object]) -> _Read:
    cards = _list(message, "contacts")
    if not cards:
        return _unreadable(message)
    shown = "\n".join(f"[contact: {_card(card)}]" for card in cards[:_CARDS])
    return _Read("contact", shown + (f"\n[{len(cards) - _CARDS} more contacts]" if len(cards) > _CARDS else ""))


def _card(card: dict[str, object]) -> str:
    name = _object(card, "name")
    words = [_text(name, "formatted_name") or _text(name, "first_name") or _text(_object(card, "org"), "company")]
    words += [_text(phone, "phone") or _text(phone, "wa_id") for phone in _list(card, "phones")[:_PHONES_A_CARD]]
    words += [_text(email, "email") for email in _list(card, "emails")[:1]]
    return ", ".join(filter(None, (one_line(word, 120) for word in words))) or "without a name"


def _order(message: dict[str, object]) -> _Read:
    order = _object(message, "order")
    return _Read("text", _text(order, "text") or f"[order of {len(_list(order, 'product_items'))} products]")


def _reaction(message: dict[str, object]) -> _Read:
    reaction = _object(message, "reaction")
    return _Read("silent", _text(reaction, "emoji", 64), about=_wamid(reaction, "message_id"))


def _edit(message: dict[str, object]) -> _Read:
    """The new text or caption, of the message it was."""
    edit = _object(message, "edit")
    after = _object(edit, "message")
    held = _object(after, _text(after, "type"))
    return _Read("silent", _text(held, "body") or _text(held, "caption"), about=_wamid(edit, "original_message_id"))


def _revoke(message: dict[str, object]) -> _Read:
    return _Read("silent", about=_wamid(_object(message, "revoke"), "original_message_id"))


def _system(message: dict[str, object]) -> _Read:
    return _Read("silent", one_line(_text(_object(message, "system"), "body"), 500))


def _welcome(message: dict[str, object]) -> _Read:
    return _Read("text")


def _unreadable(message: dict[str, object]) -> _Read:
    codes = [error.get("code") for error in _list(message, "errors")]
    if 131052 in codes:  # over 100 MB, or lost on Meta's side
        return _Read("unreadable", "[file that could not be received]")
    return _Read("unreadable", "[message of a kind that can't be shown]")


_READERS: dict[str, Callable[[dict[str, object]], _Read]] = {
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


def _load(payload: str) -> dict[str, object]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _object(value: dict[str, object], key: str) -> dict[str, object]:
    held = value.get(key)
    return held if isinstance(held, dict) else {}


def _list(value: dict[str, object], key: str) -> list[dict[str, object]]:
    held = value.get(key)
    return [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []


def _text(value: dict[str, object], key: str, cap: int = TEXT_CAP) -> str:
    """The text behind a key, "" when there is none. Ids and times may also have come as numbers."""
    held = value.get(key)
    if type(held) is int:
        return str(held)
    return clean(held, cap) if isinstance(held, str) else ""


def _id(value: dict[str, object], key: str) -> str:
    """An id is whole or it is not there: a part of it would be another id."""
    held = _text(value, key)
    return held if len(held) <= _ID_CAP else ""


def _wamid(value: dict[str, object], key: str) -> str:
    held = value.get(key)
    return plain_id(held) if isinstance(held, str) else ""


def _degrees(place: dict[str, object], key: str, most: int) -> float | None:
    held = place.get(key)
    if isinstance(held, bool) or not isinstance(held, (int, float)):
        return None
    return float(held) if abs(held) <= most else None  # false for NaN too
