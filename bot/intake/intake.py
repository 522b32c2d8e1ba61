"""Takes in signed webhooks: what a body holds is durable when this returns, and nothing else has happened yet.

Invariants
- Every item of a body is in the journal, each once, before the webhook is answered. A body that can't be read is an
  item too.
- Whose an item is, is settled in the same transaction; an item that came before settles nothing again.
- Webhooks that arrive while a commit is under way share the next one. One that names customers whose rows another
  session holds waits by itself.
- A lost ring costs a second, until the sweep, and never an item.
"""

import asyncio
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.account.updates import record_updates
from bot.clock import Clock
from bot.group_commit import GroupCommit
from bot.ids import IdMaker
from bot.intake.aliases import list_lookup_aliases
from bot.intake.identity import WRITING_KINDS, Identity
from bot.intake.outcome_writer import write_outcome
from bot.lane_ring import ring_soon
from bot.lane_state import LaneState
from bot.metrics import Metrics
from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.items import IgnoredReason, Item, ItemKind
from bot.whatsapp.webhook.parse import parse_webhook
from storage import customers, journal, outbox_reads
from storage.customers import make_bsuid_alias
from storage.journal import KeyHolder, NewItem
from storage.redis.lanes import FRESH_SECONDS, Lanes
from storage.sql.columns import to_millis
from storage.sql.database import Clash, Database, Tx
from storage.sql.held_rows import HeldFor
from storage.sql.lock_waits import LockWait
from storage.statuses import Fate

MAX_ITEMS_PER_COMMIT = 1000  # the commit has a deadline; a longer webhook goes alone
HELD_SECONDS = 5.0  # that a webhook is tried again while rows of those whom it names are locked: Meta waits for longer
EMPTY_STATE = LaneState().to_json()
REHEARSAL = (
    b'{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":'
    b'{"messaging_product":"whatsapp","metadata":{"phone_number_id":"%b"},"messages":[{"id":"wamid.rehearsal.%d",'
    b'"from_user_id":"XX.rehearsal%d","timestamp":"%d","type":"text","text":{"body":"rehearsal"}}]}}]}]}'
)
log = structlog.get_logger(__name__)

Arrival = tuple[datetime, Sequence[Item]]  # when a body arrived, and what it holds
Entry = tuple[int, datetime, Item]  # its id in the journal, when it arrived, and the item


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction has written. `duplicates`: how many items came before, and `changed` which of them came again
    with another content; `delays`: the customers for whom something waits now, and in how many seconds their lanes are
    due, as `Lanes.ring` takes it; `moved`: those of whose lane state Redis has an old copy."""

    duplicates: int
    changed: set[int]
    delays: dict[int, float]
    moved: set[int]


class Intake:
    """Takes in webhook bodies whose signature is good, for one process."""

    def __init__(
        self, *, database: Database, lanes: Lanes, ids: IdMaker, clock: Clock, phone_number_id: str, metrics: Metrics
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._ids = ids
        self._clock = clock
        self._phone_number_id = phone_number_id
        self._metrics = metrics
        self._group: GroupCommit[Arrival, None] = GroupCommit(
            self._store,
            MAX_ITEMS_PER_COMMIT,
            read_keys=_list_aliases,
            held=database.held[HeldFor.WEBHOOKS],
            patience_seconds=HELD_SECONDS,
        )
        self._rings: set[asyncio.Task[None]] = set()

    async def receive(self, body: bytes) -> Sequence[Item]:
        """Journals every item of `body`. Raises DatabaseDown when it can't, RowsHeld when that is for the sake of those
        whom the body names, and then Meta keeps the webhook for us."""
        received_at = self._clock()
        items = parse_webhook(body, phone_number_id=self._phone_number_id, received_at=received_at)
        await self._group.submit((received_at, items), len(items))
        return items

    async def rehearse(self, tx: Tx) -> None:
        """Writes what a new customer's message would, in a transaction that the caller takes back."""
        now, unique = self._clock(), self._ids.next()
        body = REHEARSAL % (self._phone_number_id.encode(), unique, unique, to_millis(now) // 1000)
        items = parse_webhook(body, phone_number_id=self._phone_number_id, received_at=now)
        await self._write(tx, [(self._ids.next(), now, item) for item in items])

    async def _store(self, arrivals: Sequence[Arrival], lock_wait: LockWait) -> Sequence[None]:
        entries = [(self._ids.next(), received_at, item) for received_at, items in arrivals for item in items]
        written = await self._database.run(
            lambda tx: self._write(tx, entries), clash=Clash.RUN_AGAIN, lock_wait=lock_wait
        )
        if written.duplicates:
            log.info("duplicates", count=written.duplicates)
        for item_id in sorted(written.changed):
            log.warning("came_again_changed", item_id=item_id, kept="what came first")
        for reason, count in Counter(item.ignored for _, _, item in entries if item.ignored).items():
            log.info("ignored", reason=reason, count=count)
            self._metrics.count_items(Fate.IGNORED, count)
        self._ring(written)
        return [None] * len(arrivals)

    async def _write(self, tx: Tx, entries: Sequence[Entry]) -> Written:
        """Writes the items and whose they are."""
        holders = await journal.find_holders(tx, [item.key for _, _, item in entries])
        first = dict(holders)
        for item_id, _, item in entries:
            first.setdefault(item.key, KeyHolder(item_id, item.payload))
        fresh = {item_id for item_id, _, item in entries if first[item.key].item_id == item_id}
        identity = await self._read_identity(tx, entries, fresh)
        settled = [
            identity.settle(item_id, item) if item_id in fresh and _is_of_a_customer(item) else None
            for item_id, _, item in entries
        ]
        rows = [
            _make_journal_row(entry, None if customer_id is None else identity.outcome.resolve(customer_id))
            for entry, customer_id in zip(entries, settled, strict=True)
        ]
        moved = await write_outcome(tx, identity.directory, identity.outcome, self._ids)
        changed = {
            first[item.key].item_id
            for _, _, item in entries
            if item.kind is ItemKind.MESSAGE and first[item.key].payload not in ("", item.payload)  # "": emptied by now
        }
        duplicates = await journal.store(tx, rows, holders)
        account_items = [item for item_id, _, item in entries if item_id in fresh and item.kind is ItemKind.ACCOUNT]
        await record_updates(
            tx, [(item.meta_at, update) for item in account_items for update in read_account_updates(item.payload)]
        )
        return Written(duplicates, changed, _choose_delays(rows), moved)

    async def _read_identity(self, tx: Tx, entries: Sequence[Entry], fresh: Container[int]) -> Identity:
        """Reads what is known of those who are named in items that did not come before, and keeps it from changing."""
        wanted = {alias for item_id, _, item in entries if item_id in fresh for alias in list_lookup_aliases(item)}
        directory = await customers.read_directory(tx, wanted, self._clock(), EMPTY_STATE, lock=True)
        # hardly any webhook has a number that its customer gives
        given = [make_bsuid_alias(item.customer.bsuid) for _, _, item in entries if item.given_phone and item.customer]
        givers = sorted({directory.known[alias].customer_id for alias in given if alias in directory.known})
        asked = await outbox_reads.find_asked_for_number(tx, givers)
        return Identity(directory=directory, ids=self._ids, now=self._clock(), asked=asked)

    def _ring(self, written: Written) -> None:
        """Tells the workers, without making anybody wait for it."""
        if written.delays or written.moved:
            task = asyncio.create_task(ring_soon(self._lanes, written.delays, forget=written.moved))
            self._rings.add(task)
            task.add_done_callback(self._rings.discard)


def _list_aliases(arrival: Arrival) -> set[str]:
    """Lists under which aliases those whom a body names may be known: whose rows they are that are locked."""
    return {alias for item in arrival[1] if _is_of_a_customer(item) for alias in list_lookup_aliases(item)}


def _is_of_a_customer(item: Item) -> bool:
    return not item.ignored and item.kind is not ItemKind.ACCOUNT


def _choose_delays(rows: Sequence[NewItem]) -> dict[int, float]:
    """Returns the customers of whom something waits, and in how many seconds their lanes are due: at once. Nobody waits
    for what becomes of a status, and there are three to a message, so they take no place among the fresh lanes."""
    delays: dict[int, float] = {}
    for row in rows:
        if row.customer_id is not None and not row.reason:
            delay = -FRESH_SECONDS if row.kind == ItemKind.STATUS else 0.0
            delays[row.customer_id] = max(delay, delays.get(row.customer_id, delay))
    return delays


def _make_journal_row(entry: Entry, customer_id: int | None) -> NewItem:
    """Without a customer the item is nobody's, or it came before and is only counted."""
    item_id, received_at, item = entry
    reason = item.ignored or ""
    if customer_id is None and _is_of_a_customer(item):
        reason = IgnoredReason.NO_SENDER
    address = ""
    if item.address_change:
        address = item.address_change.address
    elif item.kind in WRITING_KINDS and item.customer:
        address = item.customer.address
    return NewItem(
        item_id=item_id,
        key=item.key,
        kind=item.kind,
        customer_id=customer_id,
        address=address,
        meta_at=item.meta_at,
        received_at=received_at,
        payload=item.payload,
        reason=reason,
        done=item.kind is ItemKind.ACCOUNT and not reason,
    )
