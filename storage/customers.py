"""Who is who: customers and their aliases.

Invariants: an alias belongs to one customer and is found by its exact bytes; customers are never merged; a status never
makes a customer. All of it happens inside the intake's transaction, item by item, and nowhere else but where an agent
first writes to a number. Two processes that meet the same stranger at once clash on the alias: the loser runs again and
finds the winner's customer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import OutboxStatus

NOBODY = 0  # the customer of an item whose sender we don't know: no row has this id


def phone_alias(phone: str) -> str:
    """The alias of a phone: digits, without `+`."""
    return f"p:{phone}"


def bsuid_alias(bsuid: str) -> str:
    """The alias of a business-scoped user id."""
    return f"b:{bsuid}"


def given_alias(phone: str) -> str:
    """The alias of a phone that its customer gave us, until Meta confirms it."""
    return f"g:{phone}"


@dataclass(slots=True)
class Directory:
    """The aliases that one transaction needs: read once, changed in memory, written once."""

    known: dict[str, int]
    now: datetime
    body: str
    customers: list[tuple[int, str]] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def find(self, aliases: Iterable[str]) -> int | None:
        """The customer of the first alias that is known."""
        return next((self.known[alias] for alias in aliases if alias in self.known), None)

    def has(self, customer_id: int, *kinds: str) -> bool:
        """Whether one of the customer's aliases that are known begins so."""
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
        """A new customer with these aliases."""
        self.customers.append((customer_id, name[:200]))
        self.attach(customer_id, aliases)
        return customer_id


async def read_directory(tx: Tx, aliases: Iterable[str], now: datetime, body: str) -> Directory:
    """`aliases` as they are now; `body` is the conversation of a customer who is new."""
    wanted = sorted(set(aliases))
    known: dict[str, int] = {}
    for start in range(0, len(wanted), 1000):
        part = wanted[start : start + 1000]
        known |= dict(
            await tx.fetch(f"SELECT alias, customer_id FROM alias WHERE alias IN ({placeholders(len(part))})", part)
        )
    return Directory(known, now, body)


async def write_directory(tx: Tx, directory: Directory) -> None:
    """Writes what changed; raises IntegrityError when another process was first."""
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


async def with_number(tx: Tx, customer_ids: Sequence[int]) -> set[int]:
    """Those of these customers of whom we have a number, also if it is only given."""
    if not customer_ids:
        return set()
    rows = await tx.fetch(
        "SELECT customer_id FROM alias WHERE (alias LIKE ? OR alias LIKE ?) "
        f"AND customer_id IN ({placeholders(len(customer_ids))})",
        [phone_alias("%"), given_alias("%"), *customer_ids],
    )
    return {row[0] for row in rows}


async def asked_for_number(tx: Tx, customer_ids: Sequence[int]) -> set[int]:
    """Those of these customers to whom a request for their number went out."""
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
            [to_millis(at), reason[:300], customer_id],
        )


async def mark_reachable(tx: Tx, customer_ids: Iterable[int]) -> None:
    """These have written, or a message has reached them. Of most there was nothing noted, and nothing is locked."""
    ids = sorted(customer_ids)
    noted = f"id IN ({placeholders(len(ids))}) AND unreachable_at IS NOT NULL"
    if ids and await tx.fetch(f"SELECT id FROM customer WHERE {noted}", ids):
        await tx.execute(f"UPDATE customer SET unreachable_at = NULL, unreachable_reason = '' WHERE {noted}", ids)
