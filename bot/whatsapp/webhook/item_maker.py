"""Makes the items of one webhook body: each with its key, its time, whom it is about, or why it is ignored.

Invariants
- Nothing raises, whatever is in a message, a status or a handover.
- An item's time is Meta's, and the time of arrival where Meta's is absent or can't be.

Sources: Meta, webhooks/overview, business-scoped-user-ids and standby.
"""

import hashlib
import re
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from bot.whatsapp.addresses import read_id_text, read_phone_digits
from bot.whatsapp.json_access import get_object, get_text
from bot.whatsapp.sanitize import clean, encode_payload
from bot.whatsapp.webhook import item_keys
from bot.whatsapp.webhook.contacts import Contacts, read_address_change, read_given_phone
from bot.whatsapp.webhook.item_keys import make_body_key, make_item_key
from bot.whatsapp.webhook.items import AddressChange, IgnoredReason, Item, ItemKind

_STATUSES = ("sent", "delivered", "read", "played", "failed")
_KEPT_OF_A_STATUS = ("id", "status", "timestamp", "biz_opaque_callback_data", "errors")  # the rest is prices
_NO_DIGITS = re.compile(r"[^0-9]")
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


class Change(NamedTuple):
    """What the messages, statuses and echoes of one `change` in a webhook have in common."""

    number: str  # the phone_number_id that it is for
    ignored: IgnoredReason | None  # why none of them is for us
    contacts: Contacts
    our_phone: str  # the same number in digits, "" where it is not said
    is_standby: bool  # Meta's own agent leads the chat
    context: object  # what Meta's agent says of the chat that it hands over


class ItemMaker:
    """Makes the items of one body. A `path` is the place in the body, such as "entry.0.changes.1.messages.2"."""

    def __init__(self, body: bytes, phone_number_id: str, received_at: datetime) -> None:
        self._body = body
        self._phone_number_id = phone_number_id
        self._received_at = received_at
        self._received_second = int(received_at.timestamp())

    def check_number(self, number: str) -> IgnoredReason | None:
        """Returns why what is for this phone_number_id is not for us; None where it is ours."""
        if number == self._phone_number_id:
            return None
        return IgnoredReason.FOREIGN_NUMBER if number else IgnoredReason.NO_NUMBER

    def make_message(
        self, message: dict[str, object], change: Change, path: str, *, kind: ItemKind, first: bool
    ) -> Item:
        """Makes the item of a customer's message or of an echo. `first`: nothing in its list is before it."""
        wamid = read_id_text(message.get("id"))
        key = make_item_key(item_keys.MESSAGE, change.number, wamid) if wamid and change.number else self._key_at(path)
        phone_key, bsuid_key = ("from", "from_user_id") if kind is ItemKind.MESSAGE else ("to", "to_user_id")
        customer, contact = change.contacts.find(message.get(phone_key), message.get(bsuid_key))
        changed = read_address_change(message) if kind is ItemKind.MESSAGE else None
        reason = change.ignored
        if reason is None:
            if not wamid:
                reason = IgnoredReason.NO_ID
            elif message.get("group_id"):
                reason = IgnoredReason.GROUP
            elif customer and customer.phone and customer.phone == change.our_phone:
                reason = IgnoredReason.OWN_NUMBER
            elif customer is None and changed is None:
                reason = IgnoredReason.NO_SENDER
        content: dict[str, object] = {"message": message, "contact": contact and contact._asdict()}
        if change.is_standby:
            content["standby"] = True
        if change.context and kind is ItemKind.MESSAGE and first:
            content["conversation_context"] = change.context
        payload, meta_at = encode_payload(content), self._read_time(message.get("timestamp"))
        if reason is not None:
            return Item(key=key, kind=kind, meta_at=meta_at, payload=payload, customer=None, ignored=reason)
        may_give = kind is ItemKind.MESSAGE and not change.is_standby and message.get("type") == "contacts"
        given = read_given_phone(message, customer) if may_give and customer else ""
        return Item(
            key=key,
            kind=kind,
            meta_at=meta_at,
            payload=payload,
            customer=customer,
            ignored=None,
            address_change=changed,
            given_phone=given,
        )

    def make_status(self, status: dict[str, object], change: Change, path: str) -> Item:
        """Makes the item of what became of a message of ours. One that names no recipient is found by its wamid."""
        wamid, name, timestamp = read_id_text(status.get("id")), status.get("status"), status.get("timestamp")
        key = make_item_key(item_keys.STATUS, change.number, wamid, name, timestamp)
        key = key if wamid and change.number else self._key_at(path)
        customer, _ = change.contacts.find(status.get("recipient_id"), status.get("recipient_user_id"))
        reason = change.ignored
        if reason is None:
            if not wamid:
                reason = IgnoredReason.NO_ID
            elif status.get("recipient_type") == "group":
                reason = IgnoredReason.GROUP
            elif name not in _STATUSES:
                reason = IgnoredReason.UNKNOWN_STATUS
        content = {key: status[key] for key in _KEPT_OF_A_STATUS if key in status}
        payload = encode_payload(content | {"standby": True} if change.is_standby else content)
        return Item(
            key=key,
            kind=ItemKind.STATUS,
            meta_at=self._read_time(timestamp),
            payload=payload,
            customer=None if reason else customer,
            ignored=reason,
        )

    def make_handover(self, value: dict[str, object], path: str) -> Item:
        """Makes the item of a handover, which has no id: the customer, its type and its time say which one it is."""
        recipient, whose = get_object(value, "recipient"), get_object(value, "sender")
        number = get_text(recipient, "phone_number_id") or read_phone_number_id(value)
        customer, contact = Contacts(value).find(whose.get("phone_number") or whose.get("wa_id"), whose.get("user_id"))
        timestamp = get_text(value, "timestamp")
        reason = None
        if self.check_number(number) is IgnoredReason.FOREIGN_NUMBER:
            reason = IgnoredReason.FOREIGN_NUMBER
        elif customer is None:
            reason = IgnoredReason.NO_SENDER
        key = self._key_at(path)
        if customer and timestamp:
            key = make_item_key(item_keys.HANDOVER, number, customer.address, get_text(value, "type"), timestamp)
        return Item(
            key=key,
            kind=ItemKind.HANDOVER,
            meta_at=self._read_time(timestamp),
            payload=encode_payload({"handover": value, "contact": contact and contact._asdict()}),
            customer=None if reason else customer,
            ignored=reason,
        )

    def make_user_id_update(self, update: dict[str, object], address_change: AddressChange, path: str) -> Item:
        """Makes the item of a changed user id, which is not a message of anybody's."""
        return Item(
            key=self._key_at(path),
            kind=ItemKind.OTHER,
            meta_at=self._read_time(update.get("timestamp")),
            payload=encode_payload(update),
            customer=None,
            ignored=None,
            address_change=address_change,
        )

    def make_account_update(self, update: object, path: str, *, timestamp: object = None) -> Item:
        """Makes the item of an update about our account, number or templates, which has no customer."""
        return Item(
            key=self._key_at(path),
            kind=ItemKind.ACCOUNT,
            meta_at=self._read_time(timestamp),
            payload=encode_payload(update),
            customer=None,
            ignored=None,
        )

    def make_ignored(self, reason: IgnoredReason, path: str, value: object, *, kind: ItemKind = ItemKind.OTHER) -> Item:
        """Makes the item of what can't be used, with all that there is of it."""
        return Item(
            key=self._key_at(path),
            kind=kind,
            meta_at=self._received_at,
            payload=encode_payload(value),
            customer=None,
            ignored=reason,
        )

    @cached_property
    def _body_hash(self) -> str:
        return hashlib.sha256(self._body).hexdigest()

    def _key_at(self, path: str) -> str:
        return make_body_key(self._body_hash, path)

    def _read_time(self, timestamp: object) -> datetime:
        """Reads unix seconds; what is absent, no number, not positive or yet to come is the time of arrival."""
        if isinstance(timestamp, str) and _UNIX_SECONDS.fullmatch(timestamp):
            timestamp = int(timestamp)
        if type(timestamp) is not int or not 0 < timestamp <= self._received_second:
            return self._received_at
        return datetime.fromtimestamp(timestamp, UTC)


def read_phone_number_id(value: dict[str, object]) -> str:
    """Returns the phone_number_id that a change is for, "" when it does not say."""
    return clean(read_id_text(get_object(value, "metadata").get("phone_number_id")))


def read_our_phone(value: dict[str, object]) -> str:
    """Returns our number in digits as a change names it, "" when it does not. People read it, so it may be spaced."""
    shown = read_id_text(get_object(value, "metadata").get("display_phone_number"))
    return read_phone_digits(_NO_DIGITS.sub("", shown))
