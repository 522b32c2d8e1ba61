"""Our templates: listed from Meta now and then, and told apart by what Meta says of those that were sent.

Invariants: one process lists at a time, hourly and when something about a template turns out to be otherwise; only a
whole listing says that a template is gone.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.templates import health, refusals
from bot.templates.choice import carried
from bot.templates.listing import Listing, list_templates
from bot.templates.refusals import ABOUT_TEMPLATES
from bot.whatsapp.graph.client import GraphClient
from storage import alerts, meta_snapshots, templates
from storage.alerts import Alert
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Clash, Database, DatabaseDown, Tx
from storage.statuses import AlertSeverity, Why

HOURLY = timedelta(hours=1)
AT_START = timedelta(minutes=1)  # processes that start together, or again and again
AFTER_TROUBLE = timedelta(minutes=5)
ON_DEMAND = timedelta(seconds=10)
LOOK_SECONDS = 60.0
SYNC_ALERT = "templates:sync"
CHANGED_TEXT = "template-text:"
NO_ACCOUNT = "WHATSAPP_BUSINESS_ACCOUNT_ID is not set: without it Meta can't be asked for the templates."
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Synced:
    """The last listing. `problem`: why it is not what Meta has now."""

    listed_at: datetime | None
    count: int
    problem: str


class Templates:
    """The templates of one business account."""

    def __init__(self, database: Database, graph: GraphClient, clock: Clock, waba_id: str) -> None:
        self._database = database
        self._graph = graph
        self._clock = clock
        self._waba_id = waba_id
        self._key = f"templates:{waba_id}"
        self._wanted = asyncio.Event()
        self._wished_at = clock()

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps the list fresh until `stop` is set. For one task in each process that sends."""
        self._wished_at = self._clock()
        while not stop.is_set():
            try:
                known = await self.synced()
                fresh = known.listed_at is not None and known.listed_at >= self._wished_at
                await self._listed(AFTER_TROUBLE if known.problem else HOURLY if fresh else AT_START)
            except DatabaseDown as error:
                log.warning("templates_not_synced", error=str(error))
            except Exception:  # the next look is in a minute
                log.exception("templates_failed")
            await self._next_look(stop)

    async def sync(self, every: timedelta = ON_DEMAND) -> Synced:
        """Lists the templates, unless that was done within `every`, here or by another process."""
        await self._listed(every)
        return await self.synced()

    async def _listed(self, every: timedelta) -> bool:
        asked_at = self._clock()
        if not self._waba_id or not await self._database.run(
            lambda tx: meta_snapshots.claim(tx, self._key, asked_at, every), clash=Clash.RUN_AGAIN
        ):
            return False
        listing = await list_templates(self._graph, self._waba_id, asked_at)
        if listing.problem:
            log.warning("templates_not_listed", problem=listing.problem)
        await self._database.run(lambda tx: self._take(tx, listing, asked_at), clash=Clash.RUN_AGAIN)
        return True

    async def synced(self) -> Synced:
        """How the last listing went."""
        async with self._database.reading() as tx:
            found = json.loads(await meta_snapshots.read(tx, self._key))
        at = found.get("listed_at")
        problem = found.get("problem", "") if self._waba_id else NO_ACCOUNT
        return Synced(None if at is None else from_millis(at), found.get("count", 0), problem)

    async def carried(self, message: Mapping[str, object]) -> dict[str, object] | Why:
        """The message as a template, for the outbox; or why no template carries it now."""
        async with self._database.reading() as tx:
            return await carried(tx, message)

    async def refused(self, name: str, language: str, code: int, reason: str) -> None:
        """Meta refused a message made of this template: switch it off where the code says so, tell, and look again."""
        if code not in ABOUT_TEMPLATES:
            return
        now = self._clock()
        try:
            await self._database.run(
                lambda tx: refusals.note(tx, name, language, code, reason, now), clash=Clash.RUN_AGAIN
            )
        except DatabaseDown as error:  # the next list or the next refusal tells the same
            log.warning("template_refusal_not_noted", template=name, code=code, error=str(error))
        self.look_again()

    def look_again(self) -> None:
        """Something about a template has turned out to be otherwise: Meta is asked for all of them again."""
        self._wished_at = self._clock()
        self._wanted.set()

    async def _take(self, tx: Tx, listing: Listing, at: datetime) -> None:
        """A listing that broke off brings what it brought; what is in use is looked at again."""
        used = {(row.template_name, row.template_language) for row in await templates.notices(tx)}
        before = {pair: await templates.find(tx, *pair) for pair in sorted(used)}
        await templates.take_list(tx, listing.templates, at, complete=listing.complete)
        for pair, old in before.items():
            await health.judge(tx, *pair, at)
            new = await templates.find(tx, *pair)
            changed = old is not None and new is not None and old.components != new.components
            if changed and await refusals.forget(tx, *pair, at):
                await health.release(tx, await templates.using(tx, *pair), at)
        known = json.loads(await meta_snapshots.read(tx, self._key))
        if listing.complete:
            known = {"listed_at": to_millis(at), "count": len(listing.templates)}
        await meta_snapshots.write(tx, self._key, json.dumps(known | {"problem": listing.problem}))
        if listing.refused:
            await alerts.raise_alert(tx, Alert(SYNC_ALERT, AlertSeverity.YELLOW, listing.problem, at))
        elif listing.complete:
            await alerts.clear(tx, SYNC_ALERT, at)
            for alert in await alerts.open_alerts(tx):
                if alert.subject.startswith(CHANGED_TEXT):  # which has been compared now
                    await alerts.clear(tx, alert.subject, at)

    async def _next_look(self, stop: asyncio.Event) -> None:
        """Returns after a while, when something about a template has turned out to be otherwise, or at the end."""
        waiting = [asyncio.create_task(event.wait()) for event in (stop, self._wanted)]
        try:
            await asyncio.wait(waiting, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        self._wanted.clear()
