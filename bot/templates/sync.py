"""Keeps our copy of the business account's templates up to date with Meta's list, and switches refused ones off.

Invariants
- Of all processes one lists at a time: hourly, and soon after something about a template turned out to be otherwise.
- Only a complete listing says that a template is gone at Meta.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.templates import health, refusals
from bot.templates.choice import convert_to_template
from bot.templates.health import TemplateKey
from bot.templates.listing import TemplateListing, list_templates
from bot.templates.refusals import CODES_ABOUT_TEMPLATES, TemplateRefusal
from bot.whatsapp.graph.client import GraphClient
from storage import alerts, meta_snapshots, templates
from storage.alerts import Alert
from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Clash, Database, DatabaseDown, Tx
from storage.statuses import AlertSeverity, Why

# How long ago the last listing must have been, whoever made it, for this process to list again:
INTERVAL = timedelta(hours=1)
INTERVAL_ON_REQUEST = timedelta(minutes=1)  # also for processes that start together, or again and again
INTERVAL_AFTER_PROBLEM = timedelta(minutes=5)
INTERVAL_BY_HAND = timedelta(seconds=10)  # an admin asked for it
CHECK_SECONDS = 60.0
MAX_SHOWN_UNREADABLE = 3  # of the templates that can't be read, by name
SYNC_ALERT = "templates:sync"
TEXT_CHANGED_PREFIX = "template-text:"  # of the alerts that a template's text was changed at Meta
NO_ACCOUNT = "WHATSAPP_BUSINESS_ACCOUNT_ID is not set: without it Meta can't be asked for the templates."
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncState:
    """When the last complete listing was and how many templates it had; `problem`: why the copy may be out of date;
    `unreadable`: some of those that were listed and can't be read, by name."""

    listed_at: datetime | None
    count: int
    problem: str
    unreadable: tuple[str, ...] = ()


class TemplateSync:
    """One process's access to the templates of one business account."""

    def __init__(self, *, database: Database, graph: GraphClient, clock: Clock, waba_id: str) -> None:
        self._database = database
        self._graph = graph
        self._clock = clock
        self._waba_id = waba_id
        self._snapshot_id = f"templates:{waba_id}"
        self._requested = asyncio.Event()
        self._requested_at = clock()

    async def run(self, stop: asyncio.Event) -> None:
        """Lists the templates whenever that is due, until `stop` is set. For one task in each process that sends."""
        self._requested_at = self._clock()
        while not stop.is_set():
            try:
                await self._list_if_due(self._choose_interval(await self.read_state()))
            except DatabaseDown as error:
                log.warning("templates_not_synced", error=str(error))
            except Exception:  # the next look is in a minute
                log.exception("templates_failed")
            await self._wait_for_next_look(stop)

    async def sync(self, interval: timedelta = INTERVAL_BY_HAND) -> SyncState:
        """Lists the templates, unless this process or another did so within `interval`; returns the state after it."""
        await self._list_if_due(interval)
        return await self.read_state()

    async def read_state(self) -> SyncState:
        """Reads how the last listing went."""
        async with self._database.reading() as tx:
            found = json.loads(await meta_snapshots.read(tx, self._snapshot_id))
        listed_at = found.get("listed_at")
        return SyncState(
            listed_at=None if listed_at is None else from_millis(listed_at),
            count=found.get("count", 0),
            problem=found.get("problem", "") if self._waba_id else NO_ACCOUNT,
            unreadable=tuple(found.get("unreadable", ())),
        )

    async def convert_to_template(self, message: Mapping[str, object]) -> dict[str, object] | Why:
        """Converts a message of the outbox, in a transaction of its own; see `choice.convert_to_template`."""
        async with self._database.reading() as tx:
            return await convert_to_template(tx, message)

    async def record_refusal(self, key: TemplateKey, code: int, reason: str) -> None:
        """Records that Meta refused a message made of this template, and has the templates listed again.

        Does nothing when the code is not about templates. Raises nothing.
        """
        if code not in CODES_ABOUT_TEMPLATES:
            return
        refusal = TemplateRefusal(key, code, reason, self._clock())
        try:
            await self._database.run(lambda tx: refusals.record_refusal(tx, refusal), clash=Clash.RUN_AGAIN)
        except DatabaseDown as error:  # the next listing or the next refusal says the same
            log.warning("template_refusal_not_noted", template=key.name, code=code, error=str(error))
        self.request_sync()

    def request_sync(self) -> None:
        """Has the templates listed soon, because something about one turned out to be otherwise."""
        self._requested_at = self._clock()
        self._requested.set()

    def _choose_interval(self, state: SyncState) -> timedelta:
        if state.problem:
            return INTERVAL_AFTER_PROBLEM
        is_fresh = state.listed_at is not None and state.listed_at >= self._requested_at
        return INTERVAL if is_fresh else INTERVAL_ON_REQUEST

    async def _list_if_due(self, interval: timedelta) -> None:
        asked_at = self._clock()
        if not self._waba_id or not await self._database.run(
            lambda tx: meta_snapshots.claim(tx, self._snapshot_id, asked_at, interval), clash=Clash.RUN_AGAIN
        ):
            return
        listing = await list_templates(self._graph, self._waba_id, asked_at)
        if listing.problem:
            log.warning("templates_not_listed", problem=listing.problem)
        await self._database.run(lambda tx: self._store(tx, listing, asked_at), clash=Clash.RUN_AGAIN)

    async def _store(self, tx: Tx, listing: TemplateListing, at: datetime) -> None:
        await self._store_templates(tx, listing, at)
        state = json.loads(await meta_snapshots.read(tx, self._snapshot_id))
        if listing.is_complete:
            labels = [entry.label for entry in listing.unreadable[:MAX_SHOWN_UNREADABLE]]
            state = {"listed_at": to_millis(at), "count": len(listing.templates), "unreadable": labels}
        await meta_snapshots.write(tx, self._snapshot_id, json.dumps(state | {"problem": listing.problem}))
        if listing.is_refused:
            await alerts.raise_alert(tx, Alert(SYNC_ALERT, AlertSeverity.YELLOW, listing.problem, at))
        elif listing.is_complete:
            await self._update_sync_alert(tx, state["unreadable"], at)
            for alert in await alerts.list_open(tx):
                if alert.subject.startswith(TEXT_CHANGED_PREFIX):  # which has been compared now
                    await alerts.clear(tx, alert.subject, at)

    async def _update_sync_alert(self, tx: Tx, unreadable: Sequence[str], at: datetime) -> None:
        if unreadable:
            message = (
                f"Meta lists templates that Tick can't read, and all others are up to date: {', '.join(unreadable)}."
            )
            await alerts.raise_alert(tx, Alert(SYNC_ALERT, AlertSeverity.INFO, message, at))
        else:
            await alerts.clear(tx, SYNC_ALERT, at)

    async def _store_templates(self, tx: Tx, listing: TemplateListing, at: datetime) -> None:
        """Stores what was listed, also when the listing broke off, and judges the templates that notices use."""
        used = {TemplateKey(row.template_name, row.template_language) for row in await templates.list_assignments(tx)}
        before = {key: await templates.find(tx, *key) for key in sorted(used)}
        await templates.store_listing(
            tx,
            listing.templates,
            at,
            complete=listing.tells_what_is_gone,
            unreadable={entry.template_id for entry in listing.unreadable},
        )
        for key, old in before.items():
            await health.update_alert(tx, key, at)
            new = await templates.find(tx, *key)
            has_changed = old is not None and new is not None and old.components != new.components
            if has_changed and await refusals.clear_refusal(tx, key, at):
                await health.release_held_notices(tx, await templates.list_assignments_of(tx, *key), at)

    async def _wait_for_next_look(self, stop: asyncio.Event) -> None:
        """Returns after CHECK_SECONDS, or at once when a listing is requested or `stop` is set."""
        waiting = [asyncio.create_task(event.wait()) for event in (stop, self._requested)]
        try:
            await asyncio.wait(waiting, timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        self._requested.clear()
