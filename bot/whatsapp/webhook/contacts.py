"""Who a message is from, and who became someone else.

Invariant: a phone number and a business-scoped user id are never mixed up, wherever Meta put them, and a contact is
paired with a message by its ids, never by its place in the list. The number is kept in the form in which the message
came: that is the form that can be answered (Brazilian and Mexican numbers have two).
"""

from functools import cached_property
from typing import NamedTuple

from bot.phones import list_phone_variants, read_phone
from bot.whatsapp.addresses import Addresses, read_addresses, read_phone_digits
from bot.whatsapp.sanitize import clean_line
from bot.whatsapp.webhook.items import AddressChange, WhatsAppUser

_NUMBER_CHANGES = ("user_changed_number", "customer_changed_number")
_CHANGES = (*_NUMBER_CHANGES, "user_changed_user_id")


class Contact(NamedTuple):
    """What Meta's `contacts` say of one person, clean and capped: the name is written by its owner."""

    phone: str
    bsuid: str
    name: str
    username: str


class Contacts:
    """The contacts of one change, to look up there who its messages are from and its statuses for."""

    def __init__(self, value: dict[str, object]) -> None:
        self._value = value
        self._known = list(map(_contact, _dicts(value.get("contacts"))))
        self._by_id: dict[str, Contact] = {}
        for contact in self._known:
            for contact_id in (contact.phone, contact.bsuid):
                if contact_id:
                    self._by_id[contact_id] = contact
        self._found: dict[Addresses, tuple[WhatsAppUser | None, Contact | None]] = {}

    def find(self, phone: object, bsuid: object) -> tuple[WhatsAppUser | None, Contact | None]:
        """Whoever has these ids, with what their contact adds to them, and that contact."""
        ids = read_addresses(phone, bsuid)
        if ids not in self._found:
            self._found[ids] = self._find(*ids)
        return self._found[ids]

    def _find(self, phone: str, bsuid: str) -> tuple[WhatsAppUser | None, Contact | None]:
        contact = self._by_id.get(bsuid) or self._by_id.get(phone)
        if contact is None and len(self._known) == 1 and self._alone:
            only = self._known[0]
            contact = None if bsuid and only.bsuid else only  # two ids that differ are two people
        if contact is None:
            return (WhatsAppUser(phone, bsuid) if phone or bsuid else None), None
        sender = WhatsAppUser(phone or contact.phone, bsuid or contact.bsuid, contact.name, contact.username)
        return (sender if sender.address else None), contact

    @cached_property
    def _alone(self) -> bool:
        """True when the whole change is one person's: their only contact is theirs in whatever form its number is."""
        people: set[Addresses] = set()
        for one in _dicts(self._value.get("messages")):
            people.add(read_addresses(one.get("from"), one.get("from_user_id")))
        for one in _dicts(self._value.get("statuses")):
            people.add(read_addresses(one.get("recipient_id"), one.get("recipient_user_id")))
        for one in _dicts(self._value.get("message_echoes")):
            people.add(read_addresses(one.get("to"), one.get("to_user_id")))
        return len(people) == 1


def _contact(contact: dict[str, object]) -> Contact:
    phone, bsuid = read_addresses(contact.get("wa_id"), contact.get("user_id"))
    profile = contact.get("profile")
    if not isinstance(profile, dict):
        return Contact(phone, bsuid, "", "")
    name, username = profile.get("name"), profile.get("username")
    name = clean_line(name, 128) if isinstance(name, str) else ""
    username = clean_line(username, 64) if isinstance(username, str) else ""
    return Contact(phone, bsuid, name, username)


def _dicts(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def read_given_phone(message: dict[str, object], sender: WhatsAppUser) -> str:
    """The number on the one card by which somebody who shows us none answers our request for it; "" where the card
    says more than one thing. Whether it is believed is settled in bot/intake/identity.py."""
    cards = message.get("contacts")
    card = cards[0] if isinstance(cards, list) and len(cards) == 1 else None
    if sender.phone or not isinstance(card, dict) or card.get("origin") != "contact_request":
        return ""
    phones = card.get("phones")
    entry = phones[0] if isinstance(phones, list) and len(phones) == 1 else None
    if not isinstance(entry, dict):
        return ""
    if any(owner not in (None, "", sender.bsuid) for owner in (card.get("user_id"), entry.get("user_id"))):
        return ""
    written = entry.get("phone")
    known, typed = read_phone_digits(entry.get("wa_id")), read_phone(written) if isinstance(written, str) else None
    if known and typed and typed not in list_phone_variants(known) and known not in list_phone_variants(typed):
        return ""
    return known or typed or ""


def read_address_change(message: dict[str, object]) -> AddressChange | None:
    """The change a `system` message tells of. Its sender is the one they were."""
    system = message.get("system")
    if message.get("type") != "system" or not isinstance(system, dict) or system.get("type") not in _CHANGES:
        return None
    old_phone, old_bsuid = read_addresses(message.get("from"), message.get("from_user_id"))
    new_phone, new_bsuid = read_addresses(system.get("wa_id") or system.get("new_wa_id"), system.get("user_id"))
    return _changed(old_phone, new_phone, old_bsuid, new_bsuid)


def read_user_id_update(update: dict[str, object]) -> AddressChange | None:
    """The change an entry of the field `user_id_update` tells of: the id is another, the number stays."""
    ids = update.get("user_id")
    if not isinstance(ids, dict):
        return None
    phone, old_bsuid = read_addresses(update.get("wa_id"), ids.get("previous"))
    _, new_bsuid = read_addresses(None, ids.get("current"))
    return _changed(phone, "", old_bsuid, new_bsuid)


def _changed(old_phone: str, new_phone: str, old_bsuid: str, new_bsuid: str) -> AddressChange | None:
    new_phone = "" if new_phone == old_phone else new_phone
    new_bsuid = "" if new_bsuid == old_bsuid else new_bsuid
    if not (old_phone or old_bsuid) or not (new_phone or new_bsuid):
        return None
    return AddressChange(old_phone, new_phone, old_bsuid, new_bsuid)
