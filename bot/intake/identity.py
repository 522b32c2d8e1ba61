"""Settles who an item is from, in the intake's transaction and on aliases that were read before. No I/O.

Invariants
- The user id says who writes; a phone does where there is no user id, or one that nobody has yet.
- A phone that comes with another user id than its customer has, and without a notice of Meta's, has changed hands: who
  writes is another customer, the phone is theirs from now on, and they see and hear nothing of the first.
- Two customers become one only where a notice of Meta's proves it (`renames.py`).
- A status makes nobody, and an item that came before settles nothing again.

A customer of whom we know no user id yet is taken for whoever first writes from their phone under one: that is how
user ids came to customers who had none.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from bot.ids import IdMaker
from bot.intake.aliases import list_bsuid_aliases, list_given_aliases, list_phone_aliases
from bot.intake.outcome import Cause, Outcome
from bot.intake.phone_numbers import PhoneNumbers
from bot.intake.renames import Renames
from bot.whatsapp.webhook.items import Item, ItemKind, WhatsAppUser
from storage.customers import BSUID, NOBODY, make_bsuid_alias, make_former_alias
from storage.directory import Directory

WRITING_KINDS = (ItemKind.MESSAGE, ItemKind.ECHO, ItemKind.HANDOVER)  # what may make a customer


@dataclass(slots=True)
class Identity:
    """Settles the items of one transaction, in memory. `asked`: the customers, of those who give a number, whom we have
    asked for it."""

    directory: Directory
    ids: IdMaker
    now: datetime
    asked: Collection[int] = ()
    outcome: Outcome = field(init=False)
    _numbers: PhoneNumbers = field(init=False)
    _renames: Renames = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.now)
        self._numbers = PhoneNumbers(self.directory, self.outcome, self.asked)
        self._renames = Renames(self.directory, self._numbers, self.outcome, self.ids)

    def settle(self, item_id: int, item: Item) -> int | None:
        """Settles whose the item is, and notes what it says of them; None: it names nobody."""
        cause, sender = Cause(item_id, item.meta_at), item.customer
        if item.address_change:
            return self._renames.rename(item, item.address_change, cause)
        if item.kind is ItemKind.STATUS:
            return self._find_recipient(sender)
        if sender is None:
            return None
        writer = self._find_writer(item, sender, cause)
        if item.given_phone:
            self._numbers.believe(writer, item.given_phone, item.meta_at)
        self.outcome.note_name(writer, item)
        return writer

    def _find_recipient(self, recipient: WhatsAppUser | None) -> int:
        """Finds whom a message of ours went to."""
        if recipient is None:
            return NOBODY
        found = self._find(recipient)
        if found is None and not recipient.bsuid:
            found = self.directory.find(list_given_aliases(recipient.phone))
        return NOBODY if found is None else found

    def _find_writer(self, item: Item, sender: WhatsAppUser, cause: Cause) -> int:
        """Finds who writes, or makes them; attaches what is new of them."""
        found = self._find(sender)
        if item.kind is ItemKind.MESSAGE and sender.phone:
            giver = self.directory.find(list_given_aliases(sender.phone))
            if found is None and giver is not None and not sender.bsuid:
                return giver
            self._numbers.withdraw(sender.phone, found)
        if found is None:
            found = self.directory.add(self.ids.next(), sender.name, [], cause.at)
        if sender.bsuid and not self._attach_bsuid(found, sender.bsuid, cause.at):
            return found
        if sender.phone:
            self._numbers.take(found, sender.phone, cause)
        return found

    def _find(self, user: WhatsAppUser) -> int | None:
        """Finds who has the user id, else the phone; not who has the phone under another user id."""
        found = self.directory.find(list_bsuid_aliases(user.bsuid))
        if found is not None:
            return found
        found = self.directory.find(list_phone_aliases(user.phone))
        is_known_otherwise = found is not None and user.bsuid and self.directory.list_aliases(found, BSUID)
        return None if is_known_otherwise else found

    def _attach_bsuid(self, customer_id: int, bsuid: str, at: datetime) -> bool:
        """Attaches the user id; returns False when it is one that the customer had before: then nothing that stands
        beside it holds any more either.

        A user id that Meta still uses long after we took it for replaced is theirs again, where they have no other.
        """
        directory, alias, former = self.directory, make_bsuid_alias(bsuid), make_former_alias(bsuid)
        if known := directory.known.get(former):
            if known.named_at is None or known.named_at >= at or directory.list_aliases(customer_id, BSUID):
                return False
            directory.detach(former)
        directory.attach(customer_id, [alias], at)
        return True
