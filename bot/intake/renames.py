"""Settles a notice of Meta's that a customer's number or user id was replaced by another. No I/O.

Invariants
- The customer is the one of the former user id that the notice names, else of the user id that it was sent under, else
  of the old phone, unless that has gone to another user id by now. The new phone and user id become theirs.
- A notice proves that two customers are one person where the other one was made under the new user id, so that nothing
  of theirs is older: the first message under it came before the notice. Without user ids, one who was made under the
  new phone after the change is proof as well. Those two are joined.
- A customer who is older than that, and only happened to have the new phone, is somebody else: the phone goes to whom
  Meta names, and they keep everything else.
- A notice that comes late undoes nothing that is newer.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.ids import IdMaker
from bot.intake.aliases import list_bsuid_aliases, list_phone_aliases
from bot.intake.outcome import AgentNote, AuditEntry, Cause, CustomerJoin, Outcome
from bot.intake.phone_numbers import PhoneNumbers
from bot.whatsapp.webhook.items import AddressChange, Item, ItemKind
from storage.customers import BSUID, FORMER, make_bsuid_alias, make_former_alias
from storage.directory import Directory
from storage.statuses import AuditAction

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Renames:
    """Settles notices, in memory."""

    directory: Directory
    numbers: PhoneNumbers
    outcome: Outcome
    ids: IdMaker

    def rename(self, item: Item, change: AddressChange, cause: Cause) -> int | None:
        """Settles whose the notice is, and gives them what is new; None: it is about nobody whom we know."""
        directory = self.directory
        found = self._find_former(item, change)
        by_id = directory.find(list_bsuid_aliases(change.new_bsuid))
        proven = [other for other in (by_id, self._find_by_phone(change)) if self._is_proven(other, change, cause.at)]
        if found is None:
            found = by_id if by_id is not None else next(iter(proven), None)
        if found is None:
            if item.kind is not ItemKind.MESSAGE or not change.address:
                return None
            found = directory.add(self.ids.next(), "", [], cause.at)
        for other in proven:
            if other is not None and (other := self.outcome.resolve(other)) != found:
                found = self._join(found, other)
        self._replace_bsuid(found, change, cause)
        if change.is_new_number or not change.old_phone:
            self.numbers.give_up(found, cause.at, keep=change.new_phone)
        if change.new_phone:
            self.numbers.withdraw(change.new_phone, found)
            self.numbers.take(found, change.new_phone, cause, is_announced=True)
        return found

    def _find_former(self, item: Item, change: AddressChange) -> int | None:
        directory, sent_under = self.directory, item.customer.bsuid if item.customer else ""
        named = [bsuid for bsuid in (change.old_bsuid, sent_under) if bsuid and bsuid != change.new_bsuid]
        found = directory.find(alias for bsuid in named for alias in list_bsuid_aliases(bsuid))
        if found is None and change.old_phone:
            found = directory.find(list_phone_aliases(change.old_phone))
            if found is not None and named and directory.list_aliases(found, BSUID):
                return None
        return found

    def _find_by_phone(self, change: AddressChange) -> int | None:
        return self.directory.find(list_phone_aliases(change.new_phone))

    def _is_proven(self, other: int | None, change: AddressChange, at: datetime) -> bool:
        """Whether this customer was made under what the notice says is new, and so is whom it is about."""
        directory = self.directory
        if other is None:
            return False
        ids = [alias for alias in list_bsuid_aliases(change.new_bsuid) if alias in directory.known]
        if any(directory.known[alias].customer_id == other and directory.known[alias].is_first for alias in ids):
            return True
        if directory.list_aliases(other, BSUID, FORMER):
            return False
        phones = [directory.known[alias] for alias in list_phone_aliases(change.new_phone) if alias in directory.known]
        return any(known.customer_id == other and known.is_first and known.is_newer_than(at) for known in phones)

    def _join(self, one: int, other: int) -> int:
        """Makes one customer of the two: the older one, who has the longer story. Returns whom."""
        directory = self.directory
        kept, joined = sorted((one, other), key=lambda customer_id: (directory.is_new(customer_id), customer_id))
        log.warning("customers_joined", customer_id=kept, joined_id=joined)
        self.outcome.note_join(CustomerJoin(kept, joined, is_stored=not directory.is_new(joined)))
        directory.hand_over(kept, joined)
        return kept

    def _replace_bsuid(self, customer_id: int, change: AddressChange, cause: Cause) -> None:
        """Gives the customer the new user id, unless what replaced that is known, too. Those from before still find
        them. A new number has a new user id also where the notice does not say which."""
        directory, at = self.directory, cause.at
        alias = make_bsuid_alias(change.new_bsuid) if change.new_bsuid else ""
        if not alias and not change.is_new_number:
            return
        if change.old_bsuid and make_bsuid_alias(change.old_bsuid) not in directory.known:
            directory.attach(customer_id, [make_former_alias(change.old_bsuid)], at)
        retired = directory.known.get(make_former_alias(change.new_bsuid)) if alias else None
        if retired is not None and retired.customer_id != customer_id:
            return
        is_replaced = retired is not None and (retired.named_at is None or retired.named_at >= at)
        if retired is not None and not is_replaced:
            directory.detach(make_former_alias(change.new_bsuid))  # it has come back
        earlier = [known for known in directory.list_aliases(customer_id, BSUID) if known != alias]
        if alias and not is_replaced:
            is_late = any(directory.known[known].is_newer_than(at) for known in earlier)
            self._take_bsuid(customer_id, change.new_bsuid, cause, is_late=is_late)
        for known in earlier:
            named_at = directory.known[known].named_at
            if named_at is None or named_at < at or (named_at == at and not is_replaced):
                directory.rename(known, make_former_alias(known.removeprefix(BSUID)), at)

    def _take_bsuid(self, customer_id: int, bsuid: str, cause: Cause, *, is_late: bool) -> None:
        directory, alias = self.directory, make_bsuid_alias(bsuid)
        known = directory.known.get(alias)
        if known is not None and known.customer_id != customer_id:
            directory.detach(alias)
            self.outcome.notes.append(
                AgentNote(known.customer_id, "[what they wrote last may be another customer's, says Meta]", cause)
            )
            self.outcome.audit.append(
                AuditEntry(AuditAction.CUSTOMER_USER_ID_MOVED, customer_id, f"it was customer {known.customer_id}'s")
            )
        new = make_former_alias(bsuid) if is_late else alias
        directory.attach(customer_id, [new], cause.at)
