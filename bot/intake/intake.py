"""The intake: what a signed webhook holds is durable when this returns, and nothing else has happened yet.

Invariants: every item of a body is in the journal, each once, before the webhook is answered; whose it is was settled
in the same transaction, and what came before settles nothing again; a body that can't be read is an item too. Webhooks
that arrive while a commit is under way share the next one. A lost ring costs a second (the sweep), never an item.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import structlog

from bot.account.updates import record_updates
from bot.clock import Clock
from bot.group_commit import GroupCommit
from bot.ids import IdMaker
from bot.intake.identity import WRITES, Identity, aliases_of
from bot.lane_ring import ring_soon
from bot.lane_state import LaneState
from bot.metrics import Metrics
from bot.whatsapp.webhook.account_updates import read_account_updates
from bot.whatsapp.webhook.items import IgnoredReason, Item, ItemKind
from bot.whatsapp.webhook.parse import parse_webhook
from storage import alerts, customers, journal
from storage.customers import Directory, bsuid_alias
from storage.journal import KeyHolder, NewItem
from storage.redis.lanes import Lanes
from storage.sql.database import Clash, Database, Tx
from storage.statuses import Fate

MOST_ITEMS = 1000  # in one commit, which has a deadline; a longer webhook goes alone
log = structlog.get_logger(__name__)

Arrival = tuple[datetime, Sequence[Item]]


class Intake:
    """Takes webhook bodies, already authenticated."""

    def __init__(
        self, database: Database, lanes: Lanes, ids: IdMaker, clock: Clock, phone_number_id: str, metrics: Metrics
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._ids = ids
        self._clock = clock
        self._phone_number_id = phone_number_id
        self._metrics = metrics
        self._group: GroupCommit[Arrival, None] = GroupCommit(self._store, MOST_ITEMS)
        self._rings: set[asyncio.Task[None]] = set()

    async def receive(self, body: bytes) -> Sequence[Item]:
        """Journals every item of `body`; raises DatabaseDown when it can't, and then Meta keeps the webhook for us."""
        received_at = self._clock()
        items = parse_webhook(body, phone_number_id=self._phone_number_id, received_at=received_at)
        await self._group.submit((received_at, items), len(items))
        return items

    async def _store(self, arrivals: Sequence[Arrival]) -> Sequence[None]:
        made = [(self._ids.next(), received_at, item) for received_at, items in arrivals for item in items]
        empty = LaneState().to_json()
        rung: set[int] = set()
        differing: set[int] = set()

        async def work(tx: Tx) -> int:
            holders = await journal.find_holders(tx, [item.key for _, _, item in made])
            first = dict(holders)
            for item_id, _, item in made:
                first.setdefault(item.key, KeyHolder(item_id, item.payload))
            fresh = {item_id for item_id, _, item in made if first[item.key].item_id == item_id}
            wanted = {alias for item_id, _, item in made if item_id in fresh for alias in aliases_of(item)}
            directory = await customers.read_directory(tx, wanted, self._clock(), empty)
            given = [bsuid_alias(item.customer.bsuid) for _, _, item in made if item.given_phone and item.customer]
            identity = await self._identity(tx, directory, given)
            new = [
                self._journalled(item_id, received_at, item, identity if item_id in fresh else None)
                for item_id, received_at, item in made
            ]
            await customers.write_directory(tx, directory)
            differing.clear()
            differing.update(
                first[item.key].item_id
                for _, _, item in made
                if item.kind is ItemKind.MESSAGE
                and first[item.key].payload not in ("", item.payload)  # "": emptied by now
            )
            rung.clear()
            rung.update(item.customer_id for item in new if item.customer_id is not None and not item.reason)
            repeated = await journal.store(tx, new, holders)
            told = [item for item_id, _, item in made if item_id in fresh and item.kind is ItemKind.ACCOUNT]
            for alert in sorted(identity.alerts, key=lambda alert: alert.subject):
                await alerts.raise_alert(tx, alert)
            await record_updates(
                tx, [(item.meta_at, one) for item in told for one in read_account_updates(item.payload)]
            )
            return repeated

        duplicates = await self._database.run(work, clash=Clash.RUN_AGAIN)
        if duplicates:
            log.info("duplicates", count=duplicates)
        for item_id in sorted(differing):
            log.warning("came_again_changed", item_id=item_id, kept="what came first")
        for reason, count in Counter(item.ignored for _, _, item in made if item.ignored).items():
            log.info("ignored", reason=reason, count=count)
            self._metrics.count_items(Fate.IGNORED, count)
        self._ring(rung)
        return [None] * len(arrivals)

    async def _identity(self, tx: Tx, directory: Directory, given: Sequence[str]) -> Identity:
        """`given`: aliases of those who give a number. Hardly any webhook has one."""
        givers = sorted({directory.known[alias] for alias in given if alias in directory.known})
        asked = await customers.asked_for_number(tx, givers)
        return Identity(directory, self._ids, self._clock(), asked, await customers.with_number(tx, givers))

    def _journalled(self, item_id: int, received_at: datetime, item: Item, identity: Identity | None) -> NewItem:
        """Without an identity the item came before: it is only counted, and says nothing about who is who any more."""
        reason = item.ignored or ""
        done = item.kind is ItemKind.ACCOUNT and not reason
        customer_id = None if reason or done or identity is None else identity.customer_of(item)
        if customer_id is None and not reason and not done:
            reason = IgnoredReason.NO_SENDER
        address = ""
        if item.address_change:
            renamed = item.address_change
            address = renamed.new_phone or renamed.old_phone or renamed.new_bsuid  # a phone, where there is one
        elif item.kind in WRITES and item.customer:
            address = item.customer.address
        return NewItem(
            item_id, item.key, item.kind, customer_id, address, item.meta_at, received_at, item.payload, reason, done
        )

    def _ring(self, customer_ids: set[int]) -> None:
        """Tells the workers, without making anybody wait for it."""
        if customer_ids:
            task = asyncio.create_task(ring_soon(self._lanes, dict.fromkeys(customer_ids, 0.0)))
            self._rings.add(task)
            task.add_done_callback(self._rings.discard)
