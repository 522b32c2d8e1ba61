"""Says which customer somebody is: customers (table `customer`) and their aliases (table `alias`).

An alias is a phone or a business-scoped user id. Aliases change inside the intake's transaction, item by item, and
where an agent first writes to a number.

Invariants
- An alias belongs to one customer, and is found by its exact bytes.
- A status never makes a customer.
- Of two processes that meet the same stranger at once, one gets an IntegrityError: it runs again, and finds the
  customer whom the other has made.
- Who reads aliases with `lock`, so as to write down whose something is, keeps them from changing until that is written:
  what is written for a customer is seen by whoever joins them with another (`customer_join.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from storage.directory import MAX_NAME_LENGTH, Directory, KnownAlias
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx, placeholders

NOBODY = 0  # the customer of an item whose sender we don't know; no row has this id
MAX_REASON_LENGTH = 300  # characters
MAX_ALIASES_PER_STATEMENT = 1000
# Of MySQL: SQLite has locked everything. A scan of the index, which it would prefer in a small table, waits for rows of
# customers whom nobody asked for; the second name is the one that the first migration gave.
LOCKING = (" LOCK IN SHARE MODE", " FORCE INDEX (PRIMARY)", " FORCE INDEX (idx_alias_custome_799d3c)")
ALIAS_COLUMNS = ("alias", "customer_id", "named_at", "is_first")
PHONE, BSUID, GIVEN, FORMER = "p:", "b:", "g:", "o:"  # how the kinds of alias begin


def make_phone_alias(phone: str) -> str:
    """Returns the alias of a phone, whose digits come without `+`."""
    return f"{PHONE}{phone}"


def make_bsuid_alias(bsuid: str) -> str:
    """Returns the alias of a business-scoped user id."""
    return f"{BSUID}{bsuid}"


def make_given_alias(phone: str) -> str:
    """Returns the alias of a phone that its customer gave us, which counts until Meta confirms it."""
    return f"{GIVEN}{phone}"


def make_former_alias(bsuid: str) -> str:
    """Returns the alias of a user id that Meta has replaced by another: it still finds its customer."""
    return f"{FORMER}{bsuid}"


async def read_directory(tx: Tx, aliases: Iterable[str], now: datetime, body: str, *, lock: bool = False) -> Directory:
    """Reads `aliases` as they are now, and all others of whoever has them. `body`: the lane state that a new customer
    gets, as JSON; `lock`: nobody changes them before the end of this transaction."""
    wanted = sorted(set(aliases))
    locking, by_alias, by_customer = LOCKING if lock and tx.dialect != "sqlite" else ("", "", "")
    columns = ", ".join(f"other.{column}" for column in ALIAS_COLUMNS)
    known: dict[str, KnownAlias] = {}
    for start in range(0, len(wanted), MAX_ALIASES_PER_STATEMENT):
        part = wanted[start : start + MAX_ALIASES_PER_STATEMENT]
        rows = await tx.fetch(
            f"SELECT {columns} FROM alias AS named{by_alias} JOIN alias AS other{by_customer} "
            "ON other.customer_id = named.customer_id "
            f"WHERE named.alias IN ({placeholders(len(part))}){locking}",
            part,
        )
        known |= dict(map(_from_row, rows))
    return Directory(known, now, body)


def _from_row(row: Row) -> tuple[str, KnownAlias]:
    """Makes an alias of the values of ALIAS_COLUMNS."""
    alias, customer_id, named_at, is_first = row
    return alias, KnownAlias(customer_id, None if named_at is None else from_millis(named_at), bool(is_first))


async def write_directory(tx: Tx, directory: Directory) -> None:
    """Writes what changed in the directory; raises IntegrityError when another process was first."""
    at = to_millis(directory.now)
    if directory.removed:
        await tx.execute(
            f"DELETE FROM alias WHERE alias IN ({placeholders(len(directory.removed))})", sorted(directory.removed)
        )
    if directory.customers:
        await tx.insert("customer", ("id", "name", "created_at"), [(*customer, at) for customer in directory.customers])
        rows = [
            (customer_id, 0, directory.bodies.get(customer_id, directory.body))
            for customer_id, _ in directory.customers
        ]
        await tx.insert("conversation", ("customer_id", "version", "body"), rows)
    if directory.aliases:
        aliases = [
            (alias, known.customer_id, None if known.named_at is None else to_millis(known.named_at), known.is_first)
            for alias, known in sorted(directory.aliases.items())
        ]
        await tx.insert("alias", ALIAS_COLUMNS, aliases)


async def find_owners(tx: Tx, aliases: Iterable[str]) -> dict[str, int]:
    """Finds whose these aliases are; what is nobody's is left out."""
    wanted = sorted(set(aliases))
    owners: dict[str, int] = {}
    for start in range(0, len(wanted), MAX_ALIASES_PER_STATEMENT):
        part = wanted[start : start + MAX_ALIASES_PER_STATEMENT]
        owners |= dict(
            await tx.fetch(f"SELECT alias, customer_id FROM alias WHERE alias IN ({placeholders(len(part))})", part)
        )
    return owners


async def list_aliases(tx: Tx, customer_id: int) -> list[str]:
    """Lists all aliases of a customer."""
    return [row[0] for row in await tx.fetch("SELECT alias FROM alias WHERE customer_id = ?", [customer_id])]


async def load_names(tx: Tx, customer_ids: Iterable[int]) -> dict[int, str]:
    """Loads the names that customers gave themselves, "" where they gave none."""
    ids = sorted(customer_ids)
    if not ids:
        return {}
    return dict(await tx.fetch(f"SELECT id, name FROM customer WHERE id IN ({placeholders(len(ids))})", ids))


async def rename(tx: Tx, names: Mapping[int, str]) -> None:
    """Notes what customers call themselves now."""
    for customer_id, name in sorted(names.items()):
        await tx.execute("UPDATE customer SET name = ? WHERE id = ?", [name[:MAX_NAME_LENGTH], customer_id])


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
