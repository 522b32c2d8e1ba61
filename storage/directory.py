"""Holds the aliases that one transaction needs in memory: read once, changed item by item, written once. Pure.

`customers.py` reads and writes it, and knows the kinds of alias.

Invariants
- An alias has one owner at any time.
- Of whoever has an alias in here, all aliases are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

MAX_NAME_LENGTH = 200  # characters


class NewCustomer(NamedTuple):
    """A customer whom this transaction makes."""

    customer_id: int
    name: str


@dataclass(frozen=True, slots=True)
class KnownAlias:
    """Whose an alias is. `named_at`: when Meta named it as theirs, by its clock, None where that is not known;
    `is_first`: their customer was made under it, so nothing of theirs is older."""

    customer_id: int
    named_at: datetime | None = None
    is_first: bool = False

    def is_newer_than(self, at: datetime) -> bool:
        """Whether it became theirs after `at`, so that what was said then is out of date."""
        return self.named_at is not None and self.named_at > at


@dataclass(slots=True)
class Directory:
    """The aliases that one transaction needs: read once, changed in memory, written once. `known`: each alias as it is
    by now, with all others of its customer; `body`: the lane state of a customer who is new, as JSON, but for those in
    `bodies`."""

    known: dict[str, KnownAlias]
    now: datetime
    body: str
    customers: list[NewCustomer] = field(default_factory=list)
    aliases: dict[str, KnownAlias] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    bodies: dict[int, str] = field(default_factory=dict)
    _new: set[int] = field(default_factory=set)  # the ids of `customers`
    _lists: dict[int, dict[str, None]] = field(default_factory=dict)  # customer -> their aliases

    def __post_init__(self) -> None:
        for alias, known in self.known.items():
            self._lists.setdefault(known.customer_id, {})[alias] = None

    def find(self, aliases: Iterable[str]) -> int | None:
        """Finds the customer of the first alias that is known."""
        return next((self.known[alias].customer_id for alias in aliases if alias in self.known), None)

    def list_aliases(self, customer_id: int, *kinds: str) -> list[str]:
        """Lists the customer's aliases that begin as one of `kinds`."""
        return [alias for alias in self._lists.get(customer_id, ()) if alias.startswith(kinds)]

    def attach(self, customer_id: int, aliases: Iterable[str], at: datetime | None = None) -> None:
        """Gives the customer those aliases that nobody has, as named `at`."""
        for alias in aliases:
            if alias not in self.known:
                is_first = self.is_new(customer_id) and not self._lists.get(customer_id)
                self._put(alias, KnownAlias(customer_id, at, is_first))

    def rename(self, alias: str, new: str, at: datetime) -> None:
        """Keeps an alias under another name, as named `at`, unless that name is somebody's. Who was made under it still
        was."""
        known = self.known[alias]
        self.detach(alias)
        if new not in self.known:
            self._put(new, replace(known, named_at=at))

    def detach(self, alias: str) -> None:
        """Takes an alias away: a number that was given up may come back as somebody else's."""
        if known := self.known.pop(alias, None):
            del self._lists[known.customer_id][alias]
            if self.aliases.pop(alias, None) is None:
                self.removed.append(alias)

    def hand_over(self, customer_id: int, other_id: int) -> None:
        """Gives the customer all that is the other's, who is not new here, or forgets that other where they are."""
        for alias in self.list_aliases(other_id, ""):
            known = self.known[alias]
            self.detach(alias)
            self._put(alias, replace(known, customer_id=customer_id, is_first=False))
        self.customers = [new for new in self.customers if new.customer_id != other_id]
        self._new.discard(other_id)

    def add(self, customer_id: int, name: str, aliases: Sequence[str], at: datetime | None = None) -> int:
        """Adds a new customer with those of these aliases that nobody has; returns the id."""
        self.customers.append(NewCustomer(customer_id, name[:MAX_NAME_LENGTH]))
        self._new.add(customer_id)
        self.attach(customer_id, aliases, at)
        return customer_id

    def is_new(self, customer_id: int) -> bool:
        """Whether this transaction makes the customer."""
        return customer_id in self._new

    def _put(self, alias: str, known: KnownAlias) -> None:
        self.known[alias] = self.aliases[alias] = known
        self._lists.setdefault(known.customer_id, {})[alias] = None
