"""Says whose an address is, and to which of their addresses a customer is written.

Invariants
- Nothing is sent to an address that is no longer the customer's: a number that has changed hands is somebody else's.
- Another address is chosen only where the one that they last wrote from is not theirs any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.phones import list_phone_variants
from bot.whatsapp.addresses import read_phone_digits
from storage import customers
from storage.customers import BSUID, FORMER, PHONE, make_bsuid_alias, make_given_alias, make_phone_alias
from storage.sql.database import Tx

# A user id is one person's for good. One that Meta has replaced is still nobody else's, so it is better than none.
PREFERRED = (BSUID, PHONE, FORMER)


@dataclass(frozen=True, slots=True)
class StartedSend:
    """A queued row of this customer's is about to be sent to this address."""

    outbox_id: int
    customer_id: int
    address: str


def list_address_aliases(address: str) -> list[str]:
    """Lists the aliases that say whose the address is, those that Meta named before those that a customer gave."""
    if not read_phone_digits(address):
        return [make_bsuid_alias(address)] if address else []
    forms = list_phone_variants(address)
    return [*map(make_phone_alias, forms), *map(make_given_alias, forms)]


def is_theirs(address: str, customer_id: int, owners: Mapping[str, int]) -> bool:
    """Whether the address is this customer's. `owners`: whose each of its aliases is, as far as it is somebody's."""
    return next((owners[alias] for alias in list_address_aliases(address) if alias in owners), None) == customer_id


def choose_address(aliases: Iterable[str]) -> str:
    """Chooses to which of a customer's aliases they are written; "" when there is none."""
    known = sorted(aliases)
    found = (alias.removeprefix(kind) for kind in PREFERRED for alias in known if alias.startswith(kind))
    return next(found, "")


async def find_address(tx: Tx, customer_id: int) -> str:
    """Finds an address of the customer's; "" when there is none."""
    return choose_address(await customers.list_aliases(tx, customer_id))


async def find_lost(tx: Tx, sends: Sequence[StartedSend]) -> set[int]:
    """Finds the rows that are about to go to an address that is no longer their customer's, and not the best that is
    left of them either."""
    aliases = [alias for send in sends for alias in list_address_aliases(send.address)]
    owners = await customers.find_owners(tx, aliases)
    lost = [send for send in sends if not is_theirs(send.address, send.customer_id, owners)]
    return {send.outbox_id for send in lost if send.address != await find_address(tx, send.customer_id)}
