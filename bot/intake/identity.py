"""Settles who an item is from, in the intake's transaction and on aliases that were read before. No I/O.

Invariants
- A customer is found by an alias, or made. An alias that is missing is attached to whom the item is from, and none is
  ever taken from one customer for another.
- Customers are never merged. Where phone and user id lead to two, the phone's is meant.
- A status makes nobody, and an item that came before settles nothing again.

A number that a customer gives. Who shows us no phone can be asked for it, and answers with a card that Meta marks
`contact_request`. That mark says which button was tapped. Meta promises nothing of what is on the card, which is made
on the customer's phone, and a phone can be made to lie: it could name the number of somebody who has never written to
us, so as to get what they write and what is sent to them. So a number is believed only

- of a customer whom we have asked (the outbox has the request, and it went out), who has no number yet,
- from one card with one number in it, which names no other user id than the sender's,
- and when nobody else has that number, or gave it.

And it is believed only until somebody writes. It is an alias of its own kind, which finds the customer
when a message comes from that number without a user id, or a status of what was answered to it, and for nothing else:
what an agent sends to the number does not go to whom it was given by, and the answer goes to where the customer last
wrote from, as always. Meta, who knows from which number a message comes, confirms it by naming it beside the customer's
user id: then it is a phone like any other. Where Meta names it beside another user id, it is taken away, its owner is a
customer of their own, and an alert says so. What is not believed changes nothing, and agents read the card on the
ticket all the same.

What a forger could still get is what the owner writes without a user id, before Meta has named the two together. Meta
names the user id with every message since 2026, and an agent must have asked the forger first.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from bot.ids import IdMaker
from bot.phones import list_phone_variants
from bot.whatsapp.webhook.items import AddressChange, Item, ItemKind, WhatsAppUser
from storage.alerts import Alert
from storage.customers import NOBODY, Directory, make_bsuid_alias, make_given_alias, make_phone_alias
from storage.statuses import AlertSeverity

WRITING_KINDS = (ItemKind.MESSAGE, ItemKind.ECHO, ItemKind.HANDOVER)  # what may make a customer
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Identity:
    """Settles the items of one transaction, in memory. Of the customers who give a number: `asked` whom we have asked
    for it, `numbered` who has one. `alerts`: what an operator is to be told."""

    directory: Directory
    ids: IdMaker
    now: datetime
    asked: Collection[int] = ()
    numbered: Collection[int] = ()
    alerts: list[Alert] = field(default_factory=list)

    def settle(self, item: Item) -> int | None:
        """Settles whose the item is, and notes in the directory what it says of them; None: it names nobody."""
        if item.address_change:
            return self._rename(item, item.address_change)
        directory, sender = self.directory, item.customer
        aliases = _list_aliases(sender)
        found = directory.find(_list_all_aliases(sender))
        if item.kind is ItemKind.STATUS:
            if found is None and sender and sender.phone:
                found = directory.find(_list_given_aliases(sender.phone))
            return NOBODY if found is None else found
        if item.kind is ItemKind.MESSAGE and sender and sender.phone:
            giver = directory.find(_list_given_aliases(sender.phone))
            if found is None and giver is not None and not sender.bsuid:
                return giver
            if giver is not None:
                self._withdraw_given_aliases(sender.phone, giver, found)
        if found is None and item.kind in WRITING_KINDS and sender and aliases:
            found = directory.add(self.ids.next(), sender.name, aliases)
        elif found is not None:
            others = {directory.known[alias] for alias in aliases if alias in directory.known} - {found}
            if others:
                log.warning("two_customers_share_a_message", customer_id=found, others=sorted(others))
            directory.attach(found, aliases)
        if found is not None and item.given_phone:
            self._believe_number(found, item.given_phone)
        return found

    def _believe_number(self, customer_id: int, phone: str) -> None:
        """Attaches a number that the customer gives, where the rules at the top allow it."""
        directory = self.directory
        has = customer_id in self.numbered or directory.has(customer_id, make_phone_alias(""), make_given_alias(""))
        if customer_id not in self.asked or has:
            return
        whose = directory.find([*map(make_phone_alias, list_phone_variants(phone)), *_list_given_aliases(phone)])
        if whose is None:
            directory.attach(customer_id, [make_given_alias(phone)])
        elif whose != customer_id:
            given = _show_last_digits(phone)
            self._alert(customer_id, f"A customer gave as theirs the number {given}, which is another customer's.")

    def _withdraw_given_aliases(self, phone: str, giver: int, writer: int | None) -> None:
        """Meta says who writes from a number that was given: its giver, whose phone it is from now on, or another."""
        for alias in _list_given_aliases(phone):
            self.directory.detach(alias)
        if writer != giver:
            given = _show_last_digits(phone)
            self._alert(giver, f"Somebody else writes from the number {given}, which a customer gave as theirs.")

    def _alert(self, giver: int, what: str) -> None:
        log.warning("number_not_theirs", customer_id=giver)
        message = f"{what} It is not taken for theirs; the card that they sent is on their ticket."
        self.alerts.append(Alert(f"number:{giver}", AlertSeverity.INFO, message, self.now))

    def _rename(self, item: Item, renamed: AddressChange) -> int | None:
        """Settles an item by which Meta says that a customer's number or user id was replaced."""
        directory = self.directory
        old = _list_aliases(WhatsAppUser(renamed.old_phone, renamed.old_bsuid)) + _list_aliases(item.customer)
        new = _list_aliases(WhatsAppUser(renamed.new_phone, renamed.new_bsuid))
        found = directory.find(old)
        if found is None:
            found = directory.find(new)
        if found is None:
            return directory.add(self.ids.next(), "", new) if item.kind is ItemKind.MESSAGE and new else None
        if renamed.new_phone and renamed.old_phone:
            for alias in (make_phone_alias(renamed.old_phone), *_list_given_aliases(renamed.old_phone)):
                directory.detach(alias)
        if directory.find(new) not in (None, found):
            log.warning("new_number_belongs_to_another_customer", customer_id=found)
        directory.attach(found, new)
        return found


def list_lookup_aliases(item: Item) -> list[str]:
    """Returns the aliases that must have been looked up before `item` is settled."""
    given = (
        [*_list_given_aliases(item.given_phone), *map(make_phone_alias, list_phone_variants(item.given_phone))]
        if item.given_phone
        else []
    )
    if item.customer and item.customer.phone and item.kind in (ItemKind.MESSAGE, ItemKind.STATUS):
        given += _list_given_aliases(item.customer.phone)
    if not item.address_change:
        return [*_list_all_aliases(item.customer), *given]
    renamed = item.address_change
    return [
        *_list_all_aliases(item.customer),
        *given,
        *_list_aliases(WhatsAppUser(renamed.old_phone, renamed.old_bsuid)),
        *_list_given_aliases(renamed.old_phone),
        *_list_aliases(WhatsAppUser(renamed.new_phone, renamed.new_bsuid)),
    ]


def _list_aliases(sender: WhatsAppUser | None) -> list[str]:
    """The aliases as Meta names them, the phone first: where the two lead to two customers, the phone's is meant."""
    if sender is None:
        return []
    phone = [make_phone_alias(sender.phone)] if sender.phone else []
    return [*phone, make_bsuid_alias(sender.bsuid)] if sender.bsuid else phone


def _list_all_aliases(sender: WhatsAppUser | None) -> list[str]:
    """All aliases under which the customer may be known: also by the other form of a Brazilian, Mexican or
    Argentinian number, since Meta uses both."""
    if sender is None or not sender.phone:
        return _list_aliases(sender)
    return [*map(make_phone_alias, list_phone_variants(sender.phone)), *_list_aliases(WhatsAppUser(bsuid=sender.bsuid))]


def _list_given_aliases(phone: str) -> list[str]:
    return [make_given_alias(form) for form in list_phone_variants(phone)]


def _show_last_digits(phone: str) -> str:
    """Enough of the number for somebody who sees the ticket."""
    return f"…{phone[-4:]}"
