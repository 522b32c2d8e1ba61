"""What one round's transaction writes, and the fence in front of it.

Invariants: the fence comes first, and what the turns rest on (the version, and that nothing older waits) is looked at
again behind it; an item is closed in the transaction that writes its effects, and only if it was still pending.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.lane_state import LaneState
from bot.service_window import window_open, without_window
from bot.templates.refusals import record_reported_refusals
from bot.worker import statuses
from bot.worker.effects import LaneTurns
from storage import alerts, customers, fence, files, held, journal, outbox, turn_writes
from storage.alerts import Alert
from storage.fence import Move
from storage.journal import PendingItem
from storage.outbox import OutboxRow, Way
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, Fate, OutboxStatus
from storage.turn_writes import TicketMessage


class Dropped(Exception):
    """These lanes' turns rest on something that is no longer so; all lanes when it can't be told."""

    def __init__(self, customer_ids: Iterable[int] = ()) -> None:
        super().__init__()
        self.customer_ids = set(customer_ids)


@dataclass(slots=True)
class Loaded:
    """What a round knows before its transaction."""

    versions: dict[int, tuple[int, str]]
    messages: dict[int, list[PendingItem]] = field(default_factory=dict)
    statuses: list[PendingItem] = field(default_factory=list)
    tickets: Mapping[int, list[tuple[int, str, str]]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)  # of those whom Meta's agent hands over
    rows: dict[int, list[OutboxRow]] = field(default_factory=dict)
    full: set[int] = field(default_factory=set)  # lanes that may have more messages than were loaded
    crowded: set[int] = field(default_factory=set)  # the same of statuses


@dataclass(slots=True)
class Plan:
    """What one transaction writes."""

    now: datetime
    loaded: Loaded
    lanes: dict[int, LaneTurns]
    matched: statuses.Matched

    def writes(self) -> bool:
        matched = self.matched
        return bool(any(lane.done for lane in self.lanes.values()) or matched.done or matched.ignored)

    async def write(self, tx: Tx) -> None:
        """The transaction of a round, the fence first."""
        lanes = [lane for lane in self.lanes.values() if lane.done]
        if lanes:
            await self._fence(tx, lanes)
            await self._write_turns(tx, lanes)
        await self._write_statuses(tx)

    async def _fence(self, tx: Tx, lanes: Sequence[LaneTurns]) -> None:
        moves = [Move(lane.customer_id, lane.version, lane.state.to_json()) for lane in lanes]
        if not await fence.raise_versions(tx, moves):
            raise Dropped
        overtaken = set()
        for customer_id, meta_at, item_id in await journal.list_waiting(tx, [lane.customer_id for lane in lanes]):
            lane = self.lanes[customer_id]
            if item_id in lane.done or item_id in lane.parked:
                continue
            if lane.last and (meta_at, item_id) < (to_millis(lane.last[0]), lane.last[1]):
                overtaken.add(customer_id)
        if overtaken:
            raise Dropped(overtaken)

    async def _write_turns(self, tx: Tx, lanes: Sequence[LaneTurns]) -> None:
        effects = {item_id: text for lane in lanes for item_id, text in lane.done.items()}
        if await journal.close(tx, list(effects), Fate.DONE, self.now, effects=effects) != len(effects):
            raise Dropped({lane.customer_id for lane in lanes})
        await journal.mark_late(tx, [item_id for lane in lanes for item_id in lane.late])
        await turn_writes.insert_tickets(tx, [ticket for lane in lanes for ticket in lane.tickets])
        await turn_writes.insert_replies(tx, [reply for lane in lanes for reply in lane.replies])
        await self._write_what_was_sent(tx, lanes)
        if customer_ids := [lane.customer_id for lane in lanes if self.releases(lane.customer_id)]:
            await held.release(tx, customer_ids, self.now)
        await outbox.insert(tx, [row for lane in lanes for row in lane.rows])

    async def _write_what_was_sent(self, tx: Tx, lanes: Sequence[LaneTurns]) -> None:
        """Files, what became part of a ticket, and what was taken back. Most rounds have none."""
        await turn_writes.insert_messages(
            tx,
            [TicketMessage(wamid, lane.customer_id, ticket_id) for lane in lanes for wamid, ticket_id in lane.messages],
        )
        for lane in lanes:
            await turn_writes.mark_changed(tx, lane.changed)
            if lane.files:
                await files.insert(tx, lane.files)
            for ticket_id, media_ids in lane.attached:
                await files.attach(tx, lane.customer_id, media_ids, ticket_id)

    async def _write_statuses(self, tx: Tx) -> None:
        matched = self.matched
        states = await self._states(tx)
        for status, wamids in matched.advances.items():
            if status is OutboxStatus.FAILED:
                for row_id, wamid in wamids.items():
                    await outbox.advance(tx, status, {row_id: wamid}, self.now, matched.failures[row_id])
            elif wamids:
                await outbox.advance(tx, status, wamids, self.now)
        for row_id, other in sorted(matched.other_ways.items()):
            free = window_open(states[other.customer_id].last_inbound_at, self.now)
            way: Way = OutboxStatus.QUEUED if free else other.way
            await outbox.take_another_way(tx, row_id, way, other.wamid, self.now, other.why, other.wait)
        heard = {lane.customer_id for lane in self.lanes.values() if lane.done and lane.heard}
        await customers.mark_reachable(tx, heard | matched.reached)
        await customers.mark_unreachable(tx, matched.unreachable, self.now)
        await journal.close(tx, matched.done, Fate.DONE, self.now)
        for reason, item_ids in matched.ignored.items():
            await journal.close(tx, item_ids, Fate.IGNORED, self.now, reason=reason)
        if matched.template_refusals:
            await record_reported_refusals(tx, matched.template_refusals)
        for code, why in sorted(matched.stopping.items()):
            message = f"Meta took a message, and refused it afterwards for what others would meet too. {why}"
            await alerts.raise_alert(tx, Alert(f"sending:{code}", AlertSeverity.RED, message, self.now))

    async def _states(self, tx: Tx) -> dict[int, LaneState]:
        """Of those whose window was closed or whose rows go another way, behind their fences: who writes meanwhile is
        heard after this. Where a turn is written too, its state says so already."""
        closed = self.matched.closed_windows
        states = {}
        for customer_id in sorted({*closed, *(other.customer_id for other in self.matched.other_ways.values())}):
            lane = self.lanes.get(customer_id)
            if lane is not None and lane.done:
                states[customer_id] = lane.state
                continue
            _, body = await fence.raise_version(tx, customer_id)
            states[customer_id] = LaneState.from_json(body)
            if customer_id in closed:
                states[customer_id] = without_window(states[customer_id], closed[customer_id])
                await fence.write_body(tx, customer_id, states[customer_id].to_json())
        return states

    def releases(self, customer_id: int) -> bool:
        """Whether they wrote, and something was held for them until they would."""
        lane = self.lanes.get(customer_id)
        rows = self.loaded.rows.get(customer_id, ())
        return lane is not None and lane.heard and any(row.status is OutboxStatus.HELD for row in rows)
