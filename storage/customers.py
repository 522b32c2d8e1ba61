"""Says which customer somebody is: customers (table `customer`) and their aliases (table `alias`).

An alias is a phone or a business-scoped user id. Aliases change inside the intake's transaction, item by item, and
where an agent first writes to a number.

Invariants
- An alias belongs to one customer, and is found by its exact bytes.
- Customers are never merged.
- A status never makes a customer.
- Of two processes that meet the same stranger at once, one gets an IntegrityError: it runs again, and finds the
  customer whom the other has made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import OutboxStatus

NOBODY = 0  # the customer of an item whose sender we don't know; no row has this id
MAX_NAME_LENGTH = 200  # characters
MAX_REASON_LENGTH = 300  # characters
MAX_ALIASES_PER_STATEMENT = 1000


def make_phone_alias(phone: str) -> str:
    """Returns the alias of a phone, whose digits come without `+`."""
    return f"p:{phone}"


def make_bsuid_alias(bsuid: str) -> str:
    """Returns the alias of a business-scoped user id."""
    return f"b:{bsuid}"


def make_given_alias(phone: str) -> str:
    """Returns the alias of a phone that its customer gave us, which counts until Meta confirms it."""
    return f"g:{phone}"


class NewCustomer(NamedTuple):
    """A customer whom this transaction makes."""

    customer_id: int
    name: str


@dataclass(slots=True)
class Directory:
    """The aliases that one transaction needs: read once, changed in memory, written once. `known`: the customer of each
    alias, as it is by now; `body`: the lane state of a customer who is new, as JSON."""

    known: dict[str, int]
    now: datetime
    body: str
    customers: list[NewCustomer] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def find(self, aliases: Iterable[str]) -> int | None:
        """Finds the customer of the first alias that is known."""
        return next((self.known[alias] for alias in aliases if alias in self.known), None)

    def has(self, customer_id: int, *kinds: str) -> bool:
        """Returns whether one of the customer's aliases that are known begins as one of `kinds`."""
        return any(owner == customer_id and alias.startswith(kinds) for alias, owner in self.known.items())

    def attach(self, customer_id: int, aliases: Iterable[str]) -> None:
        """Gives the customer those aliases that nobody has."""
        for alias in aliases:
            if alias not in self.known:
                self.known[alias] = self.aliases[alias] = customer_id

    def detach(self, alias: str) -> None:
        """Takes an alias away: a number that was given up may come back as somebody else's."""
        if alias in self.known:
            del self.known[alias]
            if self.aliases.pop(alias, None) is None:
                self.removed.append(alias)

    def add(self, customer_id: int, name: str, aliases: Sequence[str]) -> int:
        """Adds a new customer with these aliases; returns the id."""
        self.customers.append(NewCustomer(customer_id, name[:MAX_NAME_LENGTH]))
        self.attach(customer_id, aliases)
        return customer_id


async def read_directory(tx: Tx, aliases: Iterable[str], now: datetime, body: str) -> Directory:
    """Reads `aliases` as they are now. `body`: the lane state that a new customer gets, as JSON."""
    wanted = sorted(set(aliases))
    known: dict[str, int] = {}
    for start in range(0, len(wanted), MAX_ALIASES_PER_STATEMENT):
        part = wanted[start : start + MAX_ALIASES_PER_STATEMENT]
        known |= dict(
            await tx.fetch(f"SELECT alias, customer_id FROM alias WHERE alias IN ({placeholders(len(part))})", part)
        )
    return Directory(known, now, body)


async def write_directory(tx: Tx, directory: Directory) -> None:
    """Writes what changed in the directory; raises IntegrityError when another process was first."""
    at = to_millis(directory.now)
    if directory.removed:
        await tx.execute(
            f"DELETE FROM alias WHERE alias IN ({placeholders(len(directory.removed))})", directory.removed
        )
    if directory.customers:
        await tx.insert("customer", ("id", "name", "created_at"), [(*customer, at) for customer in directory.customers])
        rows = [(customer_id, 0, directory.body) for customer_id, _ in directory.customers]
        await tx.insert("conversation", ("customer_id", "version", "body"), rows)
    if directory.aliases:
        await tx.insert("alias", ("alias", "customer_id"), sorted(directory.aliases.items()))


async def find_with_number(tx: Tx, customer_ids: Sequence[int]) -> set[int]:
    """Finds those of these customers of whom we have a number, also if they only gave it."""
    if not customer_ids:
        return set()
    rows = await tx.fetch(
        "SELECT customer_id FROM alias WHERE (alias LIKE ? OR alias LIKE ?) "
        f"AND customer_id IN ({placeholders(len(customer_ids))})",
        [make_phone_alias("%"), make_given_alias("%"), *customer_ids],
    )
    return {row[0] for row in rows}


async def find_asked_for_number(tx: Tx, customer_ids: Sequence[int]) -> set[int]:
    """Finds those of these customers to whom a request for their number went out."""
    if not customer_ids:
        return set()
    rows = await tx.fetch(
        "SELECT customer_id FROM outbox WHERE payload LIKE ? AND wamid IS NOT NULL AND status <> ? "
        f"AND customer_id IN ({placeholders(len(customer_ids))})",
        ['%"type":"contact_request"%', OutboxStatus.FAILED, *customer_ids],
    )
    return {row[0] for row in rows}


async def mark_unreachable(tx: Tx, reasons: Mapping[int, str], at: datetime) -> None:
    """Notes why nothing gets through to these customers. It holds until they write again, or something arrives."""
    for customer_id, reason in sorted(reasons.items()):
        await tx.execute(
            "UPDATE customer SET unreachable_at = ?, unreachable_reason = ? WHERE id = ?",
            [to_millis(at), reason[:MAX_REASON_LENGTH], customer_id],
        )


async def mark_reachable(tx: Tx, customer_ids: Iterable[int]) -> None:
    """Takes such a note back: these have written, or a message has reached them. Most have none, and then nothing is
    locked."""
    ids = sorted(customer_ids)
    noted = f"id IN ({placeholders(len(ids))}) AND unreachable_at IS NOT NULL"
    if ids and await tx.fetch(f"SELECT id FROM customer WHERE {noted}", ids):
        await tx.execute(f"UPDATE customer SET unreachable_at = NULL, unreachable_reason = '' WHERE {noted}", ids)
