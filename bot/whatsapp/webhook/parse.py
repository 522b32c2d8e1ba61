"""One webhook body becomes items, before anything is stored.

Invariant: for any bytes there is at least one item and never an exception, and an item that can't be read costs nobody
else theirs. The answer to Meta is 200 once the items are durable, so whatever is lost here is lost for good: what is
not understood becomes an item too, ignored for a reason that can be counted and looked at.

Keys say what a redelivery has in common with the first delivery: the wamid for a message or an echo; wamid, status and
time for a status; customer, type and time for a handover; for everything else the body itself and the place in it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from bot.whatsapp.json_access import get_object, get_text
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean, encode_payload
from bot.whatsapp.webhook import fields
from bot.whatsapp.webhook.contacts import Contacts, read_address_change, read_given_phone, read_user_id_update
from bot.whatsapp.webhook.decoding import decode_json
from bot.whatsapp.webhook.items import IgnoredReason, Item, ItemKind

_STATUSES = ("sent", "delivered", "read", "played", "failed")
_STATUS_KEYS = ("id", "status", "timestamp", "biz_opaque_callback_data", "errors")  # the rest is prices
_PLAIN_KEY = re.compile(r"[!-~]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_KINDS = {"messages": ItemKind.MESSAGE, "statuses": ItemKind.STATUS, "message_echoes": ItemKind.ECHO}
_KNOWN = frozenset((*fields.CHATS, fields.HANDOVERS, fields.USER_IDS, *fields.ACCOUNT, *fields.NOT_USED))


def parse_webhook(body: bytes, *, phone_number_id: str, received_at: datetime) -> list[Item]:
    """Everything in the body, in its order. `phone_number_id` is ours: what is for another number is ignored."""
    reader = _Reader(body, phone_number_id, received_at)
    try:
        value = decode_json(body)
    except (ValueError, RecursionError):
        text = body[: 4 * MAX_TEXT_CHARACTERS].decode("utf-8", "replace")
        return [reader.ignored(IgnoredReason.NOT_JSON, "", clean(text))]
    return list(reader.body(value))


class _Change(NamedTuple):
    """What the messages, statuses and echoes of one change have in common."""

    number: str
    foreign: IgnoredReason | None  # why none of them is for us
    people: Contacts
    standby: bool
    context: object  # what Meta's agent says of the chat that it hands over


class _Reader:
    """What every item of one body needs: whose number it is for, when it came, and the body's own hash."""

    def __init__(self, body: bytes, phone_number_id: str, received_at: datetime) -> None:
        self._body = body
        self._phone_number_id = phone_number_id
        self._received_at = received_at
        self._received_second = int(received_at.timestamp())

    def body(self, value: object) -> Iterator[Item]:
        if not isinstance(value, dict) or value.get("object") != "whatsapp_business_account":
            yield self.ignored(IgnoredReason.NOT_WHATSAPP, "", value)
            return
        entries = value.get("entry")
        if not isinstance(entries, list) or not entries:
            yield self.ignored(IgnoredReason.MALFORMED if entries else IgnoredReason.EMPTY, "", value)
            return
        for at, entry in enumerate(entries):
            yield from self._entry(entry, f"entry.{at}")

    def _entry(self, entry: object, path: str) -> Iterator[Item]:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(changes, list) or not changes:
            malformed = not isinstance(entry, dict) or changes
            yield self.ignored(IgnoredReason.MALFORMED if malformed else IgnoredReason.EMPTY, path, entry)
            return
        for at, change in enumerate(changes):
            yield from self._change(change, entry.get("id"), entry.get("time"), f"{path}.changes.{at}")

    def _change(self, change: object, waba_id: object, time: object, path: str) -> Iterator[Item]:
        if not isinstance(change, dict):
            yield self.ignored(IgnoredReason.MALFORMED, path, change)
            return
        field, value = change.get("field"), change.get("value")
        if not isinstance(field, str) or field not in _KNOWN:
            yield self.ignored(IgnoredReason.UNKNOWN_FIELD, path, change)
        elif field in fields.NOT_USED:
            yield self.ignored(IgnoredReason.NOT_USED, path, change)
        elif not isinstance(value, dict):
            yield self.ignored(IgnoredReason.EMPTY if value is None else IgnoredReason.MALFORMED, path, change)
        elif field in fields.CHATS:
            yield from self._chats(field, value, path, change)
        elif field == fields.HANDOVERS:
            yield self._handover(value, path, change)
        elif field == fields.USER_IDS:
            yield from self._updates(value, path, change)
        else:
            news = {"waba_id": waba_id, "field": field, "value": value}
            yield Item(self._place(path), ItemKind.ACCOUNT, self._meta_at(time), encode_payload(news), None, None)

    def _chats(self, field: str, outer: dict[str, object], path: str, change: object) -> Iterator[Item]:
        """What customers, Meta and people of ours wrote, and what became of our messages."""
        inner = outer.get("standby") if field == "standby" else None
        value = outer | inner if isinstance(inner, dict) else outer
        number = _number_of(value)
        foreign = (
            None
            if number == self._phone_number_id
            else IgnoredReason.FOREIGN_NUMBER
            if number
            else IgnoredReason.NO_NUMBER
        )
        names = [name for name in fields.CHATS[field] if value.get(name)]
        if not names and value.get("errors") and foreign is not IgnoredReason.FOREIGN_NUMBER:
            yield Item(self._place(path), ItemKind.ACCOUNT, self._received_at, encode_payload(change), None, None)
        elif not names:
            yield self.ignored(IgnoredReason.EMPTY, path, change)
        change_of = _Change(number, foreign, Contacts(value), field == "standby", value.get("conversation_context"))
        for name in names:
            held, kind = value[name], _KINDS[name]
            where = f"{path}.standby.{name}" if inner else f"{path}.{name}"
            if not isinstance(held, list):
                yield self.ignored(IgnoredReason.MALFORMED, where, held, kind)
                continue
            for at, one in enumerate(held):
                place = f"{where}.{at}"
                if not isinstance(one, dict):
                    yield self.ignored(IgnoredReason.MALFORMED, place, one, kind)
                elif kind is ItemKind.STATUS:
                    yield self._status(one, change_of, place)
                else:
                    yield self._message(one, kind, change_of, place, first=at == 0)

    def _message(self, message: dict[str, object], kind: ItemKind, change: _Change, path: str, *, first: bool) -> Item:
        """A message of a customer's, or an echo of one to them."""
        message_id = message.get("id")
        found = isinstance(message_id, str) and message_id
        key = self._key("m", change.number, message_id) if found and change.number else self._place(path)
        names = ("from", "from_user_id") if kind is ItemKind.MESSAGE else ("to", "to_user_id")
        sender, contact = change.people.find(*map(message.get, names))
        reason = change.foreign
        if reason is None:
            if not found:
                reason = IgnoredReason.NO_ID
            elif message.get("group_id"):
                reason = IgnoredReason.GROUP
            elif sender is None:
                reason = IgnoredReason.NO_SENDER
        held: dict[str, object] = {"message": message, "contact": contact and contact._asdict()}
        if change.standby:
            held["standby"] = True
        if change.context and kind is ItemKind.MESSAGE and first:
            held["conversation_context"] = change.context
        payload, meta_at = encode_payload(held), self._meta_at(message.get("timestamp"))
        if reason is not None:
            return Item(key, kind, meta_at, payload, None, reason)
        renamed = read_address_change(message) if message.get("type") == "system" else None
        asked = kind is ItemKind.MESSAGE and not change.standby and message.get("type") == "contacts"
        given = read_given_phone(message, sender) if asked and sender else ""
        return Item(key, kind, meta_at, payload, sender, None, renamed, given)

    def _status(self, status: dict[str, object], change: _Change, path: str) -> Item:
        message_id, name, timestamp = status.get("id"), status.get("status"), status.get("timestamp")
        found = isinstance(message_id, str) and message_id
        key = self._key("s", change.number, message_id, name, timestamp)
        key = key if found and change.number else self._place(path)
        sender, _ = change.people.find(status.get("recipient_id"), status.get("recipient_user_id"))
        reason = change.foreign
        if reason is None:
            if not found:
                reason = IgnoredReason.NO_ID
            elif status.get("recipient_type") == "group":
                reason = IgnoredReason.GROUP
            elif name not in _STATUSES:
                reason = IgnoredReason.UNKNOWN_STATUS
            elif sender is None:
                reason = IgnoredReason.NO_SENDER
        held = {key: status[key] for key in _STATUS_KEYS if key in status}
        payload = encode_payload(held | {"standby": True} if change.standby else held)
        return Item(key, ItemKind.STATUS, self._meta_at(timestamp), payload, None if reason else sender, reason)

    def _handover(self, value: dict[str, object], path: str, change: object) -> Item:
        """It has no id: the customer, its type and its time say which it is, in whatever body it comes again."""
        recipient, whom = get_object(value, "recipient"), get_object(value, "sender")
        number = get_text(recipient, "phone_number_id") or _number_of(value)
        sender, contact = Contacts(value).find(whom.get("phone_number") or whom.get("wa_id"), whom.get("user_id"))
        timestamp = get_text(value, "timestamp")
        reason = None
        if number and number != self._phone_number_id:
            reason = IgnoredReason.FOREIGN_NUMBER
        elif sender is None:
            reason = IgnoredReason.NO_SENDER
        key = self._place(path)
        if sender and timestamp:
            key = self._key("h", number, sender.address, get_text(value, "type"), timestamp)
        held = {"handover": value, "contact": contact and contact._asdict()}
        payload, meta_at = encode_payload(held), self._meta_at(timestamp)
        return Item(key, ItemKind.HANDOVER, meta_at, payload, None if reason else sender, reason)

    def _updates(self, value: dict[str, object], path: str, change: object) -> Iterator[Item]:
        """User ids are a business's, not a number's: an update without a number is for us."""
        updates = value.get("user_id_update")
        number = _number_of(value)
        if number and number != self._phone_number_id:
            yield self.ignored(IgnoredReason.FOREIGN_NUMBER, path, change)
            return
        if not isinstance(updates, list) or not updates:
            yield self.ignored(IgnoredReason.MALFORMED if updates else IgnoredReason.EMPTY, path, change)
            return
        for at, update in enumerate(updates):
            where = f"{path}.user_id_update.{at}"
            renamed = read_user_id_update(update) if isinstance(update, dict) else None
            if renamed is None:
                yield self.ignored(IgnoredReason.MALFORMED, where, update)
            else:
                meta_at = self._meta_at(update.get("timestamp"))
                yield Item(self._place(where), ItemKind.OTHER, meta_at, encode_payload(update), None, None, renamed)

    def ignored(self, reason: IgnoredReason, path: str, value: object, kind: ItemKind = ItemKind.OTHER) -> Item:
        return Item(self._place(path), kind, self._received_at, encode_payload(value), None, reason)

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self._body).hexdigest()

    def _place(self, path: str) -> str:
        return f"b:{self._digest}:{path}"

    @staticmethod
    def _key(letter: str, *parts: object) -> str:
        texts = [str(part) if isinstance(part, (str, int)) else "" for part in parts]
        key = ":".join((letter, *texts))
        if _PLAIN_KEY.fullmatch(key) and key.count(":") == len(parts):
            return key
        # "~" is in no phone_number_id, so a hash never looks like a plain key.
        exact = json.dumps(texts)
        return f"{letter}:~{hashlib.sha256(exact.encode()).hexdigest()}"

    def _meta_at(self, timestamp: object) -> datetime:
        """Meta's time for it; the time of arrival when that is absent, no number, not positive or yet to come."""
        if isinstance(timestamp, str) and _SECONDS.fullmatch(timestamp):
            timestamp = int(timestamp)
        if type(timestamp) is not int or not 0 < timestamp <= self._received_second:
            return self._received_at
        return datetime.fromtimestamp(timestamp, UTC)


def _number_of(value: dict[str, object]) -> str:
    metadata = value.get("metadata")
    number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
    return clean(str(number)) if isinstance(number, (str, int)) and number else ""
