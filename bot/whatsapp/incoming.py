"""One webhook body becomes items, before anything is stored.

Invariant: for any bytes there is at least one item and never an exception, and an item that can't be read costs nobody
else theirs. The answer to Meta is 200 once the items are durable, so whatever is lost here is lost for good: what is
not understood becomes an item too, ignored for a reason that can be counted and looked at.

Keys say what a redelivery has in common with the first delivery: the wamid for a message; wamid, status and time for a
status; for everything else the body itself and the place in it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property

from bot.whatsapp.cleaning import NEEDS_CLEANING, TEXT_CAP, clean, clean_json
from bot.whatsapp.items import Item, Kind, Reason, Renamed, Sender, Status
from bot.whatsapp.message import read_event, read_status
from bot.whatsapp.people import People, renamed_by_message, renamed_by_update

__all__ = ["Item", "Kind", "Reason", "Renamed", "Sender", "Status", "read_event", "read_status", "read_webhook"]

_STATUSES = ("sent", "delivered", "read", "played", "failed")
_STATUS_KEYS = ("id", "status", "timestamp", "biz_opaque_callback_data", "errors")  # the rest is prices
_PLAIN_KEY = re.compile(r"[!-~]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_LONGEST_INTEGER = 18
_PAYLOAD_CAP = 4 * TEXT_CAP  # a text at its cap with all that may stand around it
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _number(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < 1e300 else None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


# A number out of bounds is null, not the end of the 999 other messages in the body. NaN and Infinity are not JSON.
_decode = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_refuse_constant).decode


def read_webhook(body: bytes, *, phone_number_id: str, received_at: datetime) -> list[Item]:
    """Everything in the body, in its order. `phone_number_id` is ours: what is for another number is ignored."""
    reader = _Reader(body, phone_number_id, received_at)
    try:
        value = _decode(body.decode("utf-8"))
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        text = body[: 4 * TEXT_CAP].decode("utf-8", "replace")
        return [reader.ignored(Reason.NOT_JSON, "", clean(text))]
    return list(reader.body(value))


class _Reader:
    """What every item of one body needs: whose number it is for, when it came, and the body's own hash."""

    def __init__(self, body: bytes, phone_number_id: str, received_at: datetime) -> None:
        self._body = body
        self._phone_number_id = phone_number_id
        self._received_at = received_at
        self._received_second = int(received_at.timestamp())

    def body(self, value: object) -> Iterator[Item]:
        if not isinstance(value, dict) or value.get("object") != "whatsapp_business_account":
            yield self.ignored(Reason.NOT_WHATSAPP, "", value)
            return
        entries = value.get("entry")
        if not isinstance(entries, list) or not entries:
            yield self.ignored(Reason.MALFORMED if entries else Reason.EMPTY, "", value)
            return
        for at, entry in enumerate(entries):
            yield from self._entry(entry, f"entry.{at}")

    def _entry(self, entry: object, path: str) -> Iterator[Item]:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(changes, list) or not changes:
            malformed = not isinstance(entry, dict) or changes
            yield self.ignored(Reason.MALFORMED if malformed else Reason.EMPTY, path, entry)
            return
        for at, change in enumerate(changes):
            yield from self._change(change, f"{path}.changes.{at}")

    def _change(self, change: object, path: str) -> Iterator[Item]:
        if not isinstance(change, dict):
            yield self.ignored(Reason.MALFORMED, path, change)
            return
        field, value = change.get("field"), change.get("value")
        if field not in ("messages", "user_id_update"):
            yield self.ignored(Reason.UNKNOWN_FIELD, path, change)
        elif value is None:
            yield self.ignored(Reason.EMPTY, path, change)
        elif not isinstance(value, dict):
            yield self.ignored(Reason.MALFORMED, path, change)
        elif field == "messages":
            yield from self._messages_and_statuses(value, path, change)
        else:
            yield from self._updates(value, path, change)

    def _messages_and_statuses(self, value: dict[str, object], path: str, change: object) -> Iterator[Item]:
        messages, statuses = value.get("messages"), value.get("statuses")
        if not messages and not statuses:
            yield self.ignored(Reason.EMPTY, path, change)
            return
        number = _number_of(value)
        foreign = None if number == self._phone_number_id else Reason.FOREIGN_NUMBER if number else Reason.NO_NUMBER
        people = People(value)
        for name, held, read in (("messages", messages, self._message), ("statuses", statuses, self._status)):
            kind = Kind.MESSAGE if name == "messages" else Kind.STATUS
            if isinstance(held, list):
                for at, one in enumerate(held):
                    where = f"{path}.{name}.{at}"
                    if isinstance(one, dict):
                        yield read(one, number, foreign, people, where)
                    else:
                        yield self.ignored(Reason.MALFORMED, where, one, kind)
            elif held:
                yield self.ignored(Reason.MALFORMED, f"{path}.{name}", held, kind)

    def _message(
        self, message: dict[str, object], number: str, foreign: Reason | None, people: People, path: str
    ) -> Item:
        message_id = message.get("id")
        found = isinstance(message_id, str) and message_id
        key = self._key("m", number, message_id) if found and number else self._place(path)
        sender, contact = people.find(message.get("from"), message.get("from_user_id"))
        reason = foreign
        if reason is None:
            if not found:
                reason = Reason.NO_ID
            elif message.get("group_id"):
                reason = Reason.GROUP
            elif sender is None:
                reason = Reason.NO_SENDER
        payload = _payload({"message": message, "contact": contact and contact._asdict()})
        meta_at = self._meta_at(message.get("timestamp"))
        if reason is not None:
            return Item(key, Kind.MESSAGE, meta_at, payload, None, reason)
        renamed = renamed_by_message(message) if message.get("type") == "system" else None
        return Item(key, Kind.MESSAGE, meta_at, payload, sender, None, renamed)

    def _status(
        self, status: dict[str, object], number: str, foreign: Reason | None, people: People, path: str
    ) -> Item:
        message_id, name, timestamp = status.get("id"), status.get("status"), status.get("timestamp")
        found = isinstance(message_id, str) and message_id
        key = self._key("s", number, message_id, name, timestamp) if found and number else self._place(path)
        sender, _ = people.find(status.get("recipient_id"), status.get("recipient_user_id"))
        reason = foreign
        if reason is None:
            if not found:
                reason = Reason.NO_ID
            elif status.get("recipient_type") == "group":
                reason = Reason.GROUP
            elif name not in _STATUSES:
                reason = Reason.UNKNOWN_STATUS
            elif sender is None:
                reason = Reason.NO_SENDER
        payload = _payload({key: status[key] for key in _STATUS_KEYS if key in status})
        return Item(key, Kind.STATUS, self._meta_at(timestamp), payload, None if reason else sender, reason)

    def _updates(self, value: dict[str, object], path: str, change: object) -> Iterator[Item]:
        """User ids are a business's, not a number's: an update without a number is for us."""
        updates = value.get("user_id_update")
        number = _number_of(value)
        if number and number != self._phone_number_id:
            yield self.ignored(Reason.FOREIGN_NUMBER, path, change)
            return
        if not isinstance(updates, list) or not updates:
            yield self.ignored(Reason.MALFORMED if updates else Reason.EMPTY, path, change)
            return
        for at, update in enumerate(updates):
            where = f"{path}.user_id_update.{at}"
            renamed = renamed_by_update(update) if isinstance(update, dict) else None
            if renamed is None:
                yield self.ignored(Reason.MALFORMED, where, update)
            else:
                meta_at = self._meta_at(update.get("timestamp"))
                yield Item(self._place(where), Kind.OTHER, meta_at, _payload(update), None, None, renamed)

    def ignored(self, reason: Reason, path: str, value: object, kind: Kind = Kind.OTHER) -> Item:
        return Item(self._place(path), kind, self._received_at, _payload(value), None, reason)

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


def _payload(value: object) -> str:
    """JSON text that any database takes. Most needs no cleaning: one look at the text is quicker than at its parts."""
    try:
        text = _encode(value)
        if len(text) <= TEXT_CAP and text.count("{") + text.count("[") < 64 and not NEEDS_CLEANING.search(text):
            return text
    except RecursionError:
        pass
    text = _encode(clean_json(value))
    return text if len(text) <= _PAYLOAD_CAP else _encode(clean(text))
