"""Takes in signed webhooks: what a body holds is durable when this returns, and nothing else has happened yet.

Invariants
- Every item of a body is in the journal, each once, before the webhook is answered. A body that can't be read is an
  item too.
- Whose an item is, is settled in the same transaction; an item that came before settles nothing again.
- Webhooks that arrive while a commit is under way share the next one.
- A lost ring costs a second, until the sweep, and never an item.
"""

import asyncio
from collections import Counter
from collections.abc import Container, Sequence
from datetime import datetime

import structlog

from bot.account.updates import record_updates
from bot.clock import Clock
from bot.group_commit import GroupCommit
from bot.ids import IdMaker
from bot.intake.identity import WRITING_KINDS, Identity, list_lookup_aliases
from bot.lane_ring import ring_soon
from bot.lane_state import LaneState
from bot.metrics import Metrics
from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.items import IgnoredReason, Item, ItemKind
from bot.whatsapp.webhook.parse import parse_webhook
from storage import alerts, customers, journal
from storage.customers import make_bsuid_alias
from storage.journal import KeyHolder, NewItem
from storage.redis.lanes import Lanes
from storage.sql.columns import to_millis
from storage.sql.database import Clash, Database, Tx
from storage.statuses import Fate

MAX_ITEMS_PER_COMMIT = 1000  # the commit has a deadline; a longer webhook goes alone
EMPTY_STATE = LaneState().to_json()
REHEARSAL = (
    b'{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":'
    b'{"messaging_product":"whatsapp","metadata":{"phone_number_id":"%b"},"messages":[{"id":"wamid.rehearsal.%d",'
    b'"from_user_id":"XX.rehearsal%d","timestamp":"%d","type":"text","text":{"body":"rehearsal"}}]}}]}]}'
)
log = structlog.get_logger(__name__)

Arrival = tuple[datetime, Sequence[Item]]  # when a body arrived, and what it holds
Entry = tuple[int, datetime, Item]  # its id in the journal, when it arrived, and the item


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
        self._group: GroupCommit[Arrival, None] = GroupCommit(self._store, MAX_ITEMS_PER_COMMIT)
        self._rings: set[asyncio.Task[None]] = set()

    async def receive(self, body: bytes) -> Sequence[Item]:
        """Journals every item of `body`. Raises DatabaseDown when it can't, and then Meta keeps the webhook for us."""
        received_at = self._clock()
        items = parse_webhook(body, phone_number_id=self._phone_number_id, received_at=received_at)
        await self._group.submit((received_at, items), len(items))
        return items

    async def rehearse(self, tx: Tx) -> None:
        """Writes what a new customer's message would, in a transaction that the caller takes back."""
        now, unique = self._clock(), self._ids.next()
        body = REHEARSAL % (self._phone_number_id.encode(), unique, unique, to_millis(now) // 1000)
        items = parse_webhook(body, phone_number_id=self._phone_number_id, received_at=now)
        await self._write(tx, [(self._ids.next(), now, item) for item in items], set(), set())

    async def _store(self, arrivals: Sequence[Arrival]) -> Sequence[None]:
        entries = [(self._ids.next(), received_at, item) for received_at, items in arrivals for item in items]
        rung: set[int] = set()
        changed: set[int] = set()

        async def work(tx: Tx) -> int:
            rung.clear()
            changed.clear()
            return await self._write(tx, entries, rung, changed)

        duplicates = await self._database.run(work, clash=Clash.RUN_AGAIN)
        if duplicates:
            log.info("duplicates", count=duplicates)
        for item_id in sorted(changed):
            log.warning("came_again_changed", item_id=item_id, kept="what came first")
        for reason, count in Counter(item.ignored for _, _, item in entries if item.ignored).items():
            log.info("ignored", reason=reason, count=count)
            self._metrics.count_items(Fate.IGNORED, count)
        self._ring(rung)
        return [None] * len(arrivals)

    async def _write(self, tx: Tx, entries: Sequence[Entry], rung: set[int], changed: set[int]) -> int:
        """Writes the items and whose they are; returns how many came before.

        Adds to `rung` the customers for whom something waits now, and to `changed` the items that came again with
        another content.
        """
        holders = await journal.find_holders(tx, [item.key for _, _, item in entries])
        first = dict(holders)
        for item_id, _, item in entries:
            first.setdefault(item.key, KeyHolder(item_id, item.payload))
        fresh = {item_id for item_id, _, item in entries if first[item.key].item_id == item_id}
        identity = await self._read_identity(tx, entries, fresh)
        rows = [
            _make_journal_row(item_id, received_at, item, identity if item_id in fresh else None)
            for item_id, received_at, item in entries
        ]
        await customers.write_directory(tx, identity.directory)
        changed.update(
            first[item.key].item_id
            for _, _, item in entries
            if item.kind is ItemKind.MESSAGE and first[item.key].payload not in ("", item.payload)  # "": emptied by now
        )
        rung.update(row.customer_id for row in rows if row.customer_id is not None and not row.reason)
        repeated = await journal.store(tx, rows, holders)
        for alert in sorted(identity.alerts, key=lambda alert: alert.subject):
            await alerts.raise_alert(tx, alert)
        account_items = [item for item_id, _, item in entries if item_id in fresh and item.kind is ItemKind.ACCOUNT]
        await record_updates(
            tx, [(item.meta_at, update) for item in account_items for update in read_account_updates(item.payload)]
        )
        return repeated

    async def _read_identity(self, tx: Tx, entries: Sequence[Entry], fresh: Container[int]) -> Identity:
        """Reads what is known of those who are named in items that did not come before."""
        wanted = {alias for item_id, _, item in entries if item_id in fresh for alias in list_lookup_aliases(item)}
        directory = await customers.read_directory(tx, wanted, self._clock(), EMPTY_STATE)
        # hardly any webhook has a number that its customer gives
        given = [make_bsuid_alias(item.customer.bsuid) for _, _, item in entries if item.given_phone and item.customer]
        givers = sorted({directory.known[alias] for alias in given if alias in directory.known})
        return Identity(
            directory=directory,
            ids=self._ids,
            now=self._clock(),
            asked=await customers.find_asked_for_number(tx, givers),
            numbered=await customers.find_with_number(tx, givers),
        )

    def _ring(self, customer_ids: set[int]) -> None:
        """Tells the workers, without making anybody wait for it."""
        if customer_ids:
            task = asyncio.create_task(ring_soon(self._lanes, dict.fromkeys(customer_ids, 0.0)))
            self._rings.add(task)
            task.add_done_callback(self._rings.discard)


def _make_journal_row(item_id: int, received_at: datetime, item: Item, identity: Identity | None) -> NewItem:
    """Without an identity the item came before: it is only counted, and says nothing about who is who any more."""
    reason = item.ignored or ""
    done = item.kind is ItemKind.ACCOUNT and not reason
    customer_id = None if reason or done or identity is None else identity.settle(item)
    if customer_id is None and not reason and not done:
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
        done=done,
    )
