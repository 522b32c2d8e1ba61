"""Finds out who a message is from, and who changed their phone number or user id.

Invariants
- A phone number and a BSUID are never mixed up, wherever Meta put them (addresses.py).
- A contact is paired with a message by its addresses, never by its place in the list.
- The phone number is kept in the form in which the message came: that is the form that can be answered (Brazilian and
  Mexican numbers have two).

Source: Meta, business-scoped-user-ids.
"""

from functools import cached_property
from typing import NamedTuple

from bot.phones import list_phone_variants, read_phone
from bot.whatsapp.addresses import Addresses, read_addresses, read_id_text, read_phone_digits
from bot.whatsapp.json_access import get_objects
from bot.whatsapp.sanitize import clean_line
from bot.whatsapp.webhook.items import AddressChange, WhatsAppUser

_MAX_NAME_CHARACTERS, _MAX_USERNAME_CHARACTERS = 128, 64
_ADDRESS_CHANGES = ("user_changed_number", "customer_changed_number", "user_changed_user_id")  # types of `system`


class Contact(NamedTuple):
    """What Meta's `contacts` say of one person, clean and bounded: the name is written by its owner."""

    phone: str
    bsuid: str
    name: str
    username: str


class Person(NamedTuple):
    """Whom a message or a status is about: with what their contact adds, and that contact where there is one."""

    user: WhatsAppUser | None
    contact: Contact | None


class Contacts:
    """Looks up, in the contacts of one change, whom its messages, echoes and statuses are about."""

    def __init__(self, value: dict[str, object]) -> None:
        self._value = value
        self._known = list(map(_read_contact, get_objects(value, "contacts")))
        self._by_address: dict[str, Contact] = {}
        for contact in self._known:
            for address in (contact.phone, contact.bsuid):
                if address:
                    self._by_address[address] = contact
        self._found: dict[Addresses, Person] = {}

    def find(self, phone: object, bsuid: object) -> Person:
        """Returns who has these addresses, given as Meta's two fields, which may hold anything."""
        addresses = read_addresses(phone, bsuid)
        person = self._found.get(addresses)
        if person is None:
            person = self._found[addresses] = self._find(*addresses)
        return person

    def _find(self, phone: str, bsuid: str) -> Person:
        contact = self._by_address.get(bsuid) or self._by_address.get(phone)
        if contact is not None and bsuid and contact.bsuid not in ("", bsuid):
            contact = None  # two user ids that differ are two people, also where one had the other's phone
        if contact is None and len(self._known) == 1 and self._is_about_one_person:
            only = self._known[0]
            contact = None if bsuid and only.bsuid else only
        if contact is None:
            return Person(WhatsAppUser(phone, bsuid) if phone or bsuid else None, None)
        user = WhatsAppUser(
            phone=phone or contact.phone,
            bsuid=bsuid or contact.bsuid,
            name=contact.name,
            username=contact.username,
        )
        return Person(user if user.address else None, contact)

    @cached_property
    def _is_about_one_person(self) -> bool:
        """Whether the whole change is: then its only contact is theirs in whatever form the phone number is."""
        people: set[Addresses] = set()
        for one in get_objects(self._value, "messages"):
            people.add(read_addresses(one.get("from"), one.get("from_user_id")))
        for one in get_objects(self._value, "statuses"):
            people.add(read_addresses(one.get("recipient_id"), one.get("recipient_user_id")))
        for one in get_objects(self._value, "message_echoes"):
            people.add(read_addresses(one.get("to"), one.get("to_user_id")))
        return len(people) == 1


def _read_contact(contact: dict[str, object]) -> Contact:
    phone, bsuid = read_addresses(contact.get("wa_id"), contact.get("user_id"))
    profile = contact.get("profile")
    if not isinstance(profile, dict):
        return Contact(phone=phone, bsuid=bsuid, name="", username="")
    name, username = profile.get("name"), profile.get("username")
    name = clean_line(name, _MAX_NAME_CHARACTERS) if isinstance(name, str) else ""
    username = clean_line(username, _MAX_USERNAME_CHARACTERS) if isinstance(username, str) else ""
    return Contact(phone=phone, bsuid=bsuid, name=name, username=username)


def read_given_phone(message: dict[str, object], sender: WhatsAppUser) -> str:
    """Returns the number by which somebody who shows us none answers our request for it, in digits.

    It stands on the one contact card of the message; "" where the card says more than one thing. Whether it is
    believed is settled in bot/intake/identity.py.
    """
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
    known, typed = read_phone_digits(entry.get("wa_id")), read_phone(read_id_text(entry.get("phone")))
    if known and typed and typed not in list_phone_variants(known) and known not in list_phone_variants(typed):
        return ""
    return known or typed or ""


def read_address_change(message: dict[str, object]) -> AddressChange | None:
    """Returns the change that a `system` message tells of, None when it tells of none.

    Since 2026-08-11 `previous_user_id` says whom it is about. What stands in `from` and `from_user_id` may be missing,
    or be the new phone and id already; in earlier notices it is whom they were.
    """
    system = message.get("system")
    if message.get("type") != "system" or not isinstance(system, dict) or system.get("type") not in _ADDRESS_CHANGES:
        return None
    sender = read_addresses(message.get("from"), message.get("from_user_id"))
    new = read_addresses(system.get("wa_id") or system.get("new_wa_id"), system.get("user_id"))
    previous = read_addresses(None, system.get("previous_user_id")).bsuid
    old_bsuid = previous or ("" if sender.bsuid == new.bsuid else sender.bsuid)
    if system["type"] == "user_changed_user_id" and new.phone in ("", sender.phone):
        return _make_change(Addresses(sender.phone, old_bsuid), Addresses("", new.bsuid), is_new_number=False)
    old_phone = "" if sender.phone == new.phone else sender.phone
    return _make_change(Addresses(old_phone, old_bsuid), new, is_new_number=True)


def read_user_id_update(update: dict[str, object]) -> AddressChange | None:
    """Returns the change that an entry of the field `user_id_update` tells of: the user id is another, the phone stays.

    None when it tells of none.
    """
    ids = update.get("user_id")
    if not isinstance(ids, dict):
        return None
    old = read_addresses(update.get("wa_id"), ids.get("previous"))
    return _make_change(old, read_addresses(None, ids.get("current")), is_new_number=False)


def _make_change(old: Addresses, new: Addresses, *, is_new_number: bool) -> AddressChange | None:
    new_bsuid = "" if new.bsuid == old.bsuid else new.bsuid
    if not any(old) or not (new.phone or new_bsuid):
        return None
    return AddressChange(
        old_phone=old.phone,
        new_phone=new.phone,
        old_bsuid=old.bsuid,
        new_bsuid=new_bsuid,
        is_new_number=is_new_number,
    )
