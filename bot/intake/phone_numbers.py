"""Settles whose a phone number is: Meta's word, which gives and takes, and a customer's own, which counts for less.

Invariants
- A number is that of whom Meta named it for last, by its own clock. A straggler from before takes nothing back.
- Who had it before keeps everything else. Agents read on the tickets of both that it moved.
- A WhatsApp account has one number: whom Meta names with another has given up the one from before.

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
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.intake.aliases import list_given_aliases, list_phone_aliases
from bot.intake.outcome import AgentNote, AuditEntry, Cause, Outcome
from storage.customers import GIVEN, PHONE, make_given_alias
from storage.directory import Directory
from storage.statuses import AuditAction

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PhoneNumbers:
    """Settles whose numbers are, in memory. `asked`: the customers whom we have asked for theirs."""

    directory: Directory
    outcome: Outcome
    asked: Collection[int] = ()

    def take(self, customer_id: int, phone: str, cause: Cause, *, is_announced: bool = False) -> None:
        """Gives the customer the phone that Meta names as theirs, unless something newer is known by now.
        `is_announced`: agents read of it elsewhere."""
        directory, forms = self.directory, list_phone_aliases(phone)
        others = {alias: directory.known[alias] for alias in forms if alias in directory.known}
        others = {alias: known for alias, known in others.items() if known.customer_id != customer_id}
        former = [alias for alias in directory.list_aliases(customer_id, PHONE) if alias not in forms]
        if any(directory.known[alias].is_newer_than(cause.at) for alias in (*others, *former)):
            return
        for alias in (*others, *former):
            directory.detach(alias)
        directory.attach(customer_id, forms[:1], cause.at)
        for earlier_id in sorted({known.customer_id for known in others.values()}):
            self._note_move(earlier_id, customer_id, phone, cause)
        if former and not is_announced:
            self.outcome.notes.append(AgentNote(customer_id, f"[they now write from +{phone}]", cause))

    def give_up(self, customer_id: int, at: datetime, keep: str = "") -> None:
        """Takes from the customer all numbers that were theirs before `at`, but for `keep`."""
        kept = (*list_phone_aliases(keep), *list_given_aliases(keep))
        for alias in self.directory.list_aliases(customer_id, PHONE, GIVEN):
            if alias not in kept and not self.directory.known[alias].is_newer_than(at):
                self.directory.detach(alias)

    def believe(self, customer_id: int, phone: str, at: datetime) -> None:
        """Attaches a number that the customer gives, where the rules at the top allow it."""
        directory = self.directory
        if customer_id not in self.asked or directory.list_aliases(customer_id, PHONE, GIVEN):
            return
        whose = directory.find([*list_phone_aliases(phone), *list_given_aliases(phone)])
        if whose is None:
            directory.attach(customer_id, [make_given_alias(phone)], at)
        elif whose != customer_id:
            given = show_last_digits(phone)
            self._refuse(customer_id, f"A customer gave as theirs the number {given}, which is another customer's.")

    def withdraw(self, phone: str, owner: int | None) -> None:
        """Takes the number from whoever gave it: Meta says whose it is, its giver's or another's."""
        giver = self.directory.find(list_given_aliases(phone))
        for alias in list_given_aliases(phone):
            self.directory.detach(alias)
        if giver is not None and giver != owner:
            given = show_last_digits(phone)
            self._refuse(giver, f"Somebody else writes from the number {given}, which a customer gave as theirs.")

    def _refuse(self, giver: int, what: str) -> None:
        log.warning("number_not_theirs", customer_id=giver)
        self.outcome.alert_of_number(
            giver, f"{what} It is not taken for theirs; the card that they sent is on their ticket."
        )

    def _note_move(self, earlier_id: int, customer_id: int, phone: str, cause: Cause) -> None:
        log.warning("number_moved", customer_id=customer_id, earlier_id=earlier_id)
        shown, outcome = show_last_digits(phone), self.outcome
        outcome.notes += (
            AgentNote(earlier_id, f"[+{phone} now belongs to another customer, so nothing more is sent there]", cause),
            AgentNote(customer_id, f"[+{phone} belonged to another customer before]", cause),
        )
        outcome.audit.append(
            AuditEntry(AuditAction.CUSTOMER_NUMBER_MOVED, customer_id, f"{shown} was customer {earlier_id}'s")
        )
        outcome.alert_of_number(
            earlier_id,
            f"The number {shown} went over from one customer to another. Nothing more is sent there for the one who "
            "had it before; a note is on the tickets of both.",
        )


def show_last_digits(phone: str) -> str:
    """Enough of the number for somebody who sees the ticket."""
    return f"…{phone[-4:]}"
