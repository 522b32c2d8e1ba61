"""Runs the transaction of one round: the fence, then everything that its turns and its statuses write.

Invariants
- First the lane states are locked, but for those that another session holds: their lanes drop out, the others go on.
- Then comes the fence. Behind it, what the turns rest on is checked again: the version, and that nothing older waits.
- An item is closed in the transaction that writes its effects, and only if it was still pending.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.delivery.ticket_events import is_event, make_delivery_event
from bot.lane_state import LaneState
from bot.service_window import close_window, is_window_open
from bot.templates.refusals import record_reported_refusals
from bot.worker.effects import LaneTurns
from bot.worker.round_input import RoundInput
from bot.worker.statuses import MatchedStatuses
from storage import alerts, customers, event_log, fence, files, held, journal, outbox, turn_writes
from storage.alerts import Alert
from storage.event_log import TicketEvent
from storage.fence import LaneStateUpdate
from storage.outbox import LockedRow, Way
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import NO_REASON, AlertSeverity, Fate, OutboxStatus, Why
from storage.turn_writes import TicketMessage


class LanesMoved(Exception):
    """The turns of these lanes rest on something that has changed; no lanes: it can't be told of which."""

    def __init__(self, customer_ids: Iterable[int] = ()) -> None:
        super().__init__()
        self.customer_ids = set(customer_ids)


class LanesHeld(Exception):
    """Another session holds the lane states of these customers, or they are no more."""

    def __init__(self, customer_ids: Iterable[int]) -> None:
        super().__init__()
        self.customer_ids = set(customer_ids)


@dataclass(slots=True)
class RoundTransaction:
    """What the transaction writes: the turns of each lane, and what the statuses change. `held`: the lanes that it
    leaves out because another session has locked their state."""

    now: datetime
    loaded: RoundInput
    lanes: dict[int, LaneTurns]
    matched: MatchedStatuses
    make_id: Callable[[], int]
    held: set[int] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        matched = self.matched
        return not (any(lane.done for lane in self.lanes.values()) or matched.done or matched.ignored)

    def drop(self, customer_ids: Iterable[int]) -> None:
        """Leaves the turns of these lanes out."""
        for customer_id in customer_ids:
            self.lanes.pop(customer_id, None)

    def leave_held(self, customer_ids: Set[int]) -> None:
        """Leaves these lanes out, and their statuses, since another session holds their state."""
        self.drop(customer_ids)
        self.matched.drop(customer_ids)
        self.held |= customer_ids

    async def write(self, tx: Tx) -> None:
        """Writes all of it, the fence first. Raises LanesMoved, LanesHeld or CustomerGone, and then it is to be rolled
        back."""
        lanes = [lane for lane in self.lanes.values() if lane.done]
        wanted = {*(lane.customer_id for lane in lanes), *self.matched.closed_windows, *self.matched.rerouted}
        if held := wanted - await fence.lock_free(tx, wanted):
            raise LanesHeld(held)
        events = [event for lane in lanes for event in lane.events]
        if lanes:
            await self._raise_fence(tx, lanes)
            events += await self._write_turns(tx, lanes)
        events += await self._move_rows(tx)
        await self._write_statuses(tx)
        await event_log.write(tx, events)

    async def _raise_fence(self, tx: Tx, lanes: Sequence[LaneTurns]) -> None:
        """Raises the versions that the turns were played on, and looks for older items that came meanwhile."""
        moves = [LaneStateUpdate(lane.customer_id, lane.version, lane.state.to_json()) for lane in lanes]
        if not await fence.raise_versions(tx, moves):
            raise LanesMoved
        overtaken = set()
        for customer_id, meta_at, item_id in await journal.list_waiting(tx, [lane.customer_id for lane in lanes]):
            lane = self.lanes[customer_id]
            if item_id in lane.done or item_id in lane.parked:
                continue
            if lane.last and (meta_at, item_id) < (to_millis(lane.last[0]), lane.last[1]):
                overtaken.add(customer_id)
        if overtaken:
            raise LanesMoved(overtaken)

    async def _write_turns(self, tx: Tx, lanes: Sequence[LaneTurns]) -> list[TicketEvent]:
        """Writes what the turns cause; returns the events that are no turn's own."""
        effects = {item_id: text for lane in lanes for item_id, text in lane.done.items()}
        if await journal.close(tx, list(effects), Fate.DONE, self.now, effects=effects) != len(effects):
            raise LanesMoved({lane.customer_id for lane in lanes})
        await journal.mark_late(tx, [item_id for lane in lanes for item_id in lane.late])
        await turn_writes.insert_tickets(tx, [ticket for lane in lanes for ticket in lane.tickets])
        await turn_writes.insert_replies(tx, [reply for lane in lanes for reply in lane.replies])
        await self._write_messages(tx, lanes)
        overtaken = []
        if customer_ids := [lane.customer_id for lane in lanes if self.may_release_held(lane.customer_id)]:
            overtaken = await held.release(tx, customer_ids, self.now)
        await outbox.insert(tx, [row for lane in lanes for row in lane.rows])
        return [event for row in overtaken for event in self._make_events(row, OutboxStatus.FAILED)]

    async def _write_messages(self, tx: Tx, lanes: Sequence[LaneTurns]) -> None:
        """Writes which messages became part of a ticket or were taken back, and the files. Most rounds have none."""
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

    async def _move_rows(self, tx: Tx) -> list[TicketEvent]:
        """Moves the rows that statuses are about; returns the events of that, one a row at most."""
        matched = self.matched
        states = await self._lock_states(tx)
        rows = await outbox.lock(
            tx, [*matched.reroutes, *(row for wamids in matched.advances.values() for row in wamids)]
        )
        events: list[TicketEvent] = []
        for status, wamids in matched.advances.items():
            if status is not OutboxStatus.FAILED:
                moved = await outbox.advance(tx, status, wamids, rows, self.now)
                events += [event for row in moved for event in self._make_events(row, status)]
                continue
            for row_id, wamid in wamids.items():
                why = matched.failures[row_id]
                moved = await outbox.advance(tx, status, {row_id: wamid}, rows, self.now, why)
                events += [event for row in moved for event in self._make_events(row, status, why)]
        return events + await self._reroute(tx, rows, states)

    async def _reroute(
        self, tx: Tx, rows: Mapping[int, LockedRow], states: Mapping[int, LaneState]
    ) -> list[TicketEvent]:
        """Has rows go out another way; returns the events of that."""
        events: list[TicketEvent] = []
        for row_id, reroute in sorted(self.matched.reroutes.items()):
            row, move = rows.get(row_id), reroute.move
            is_open = is_window_open(states[reroute.customer_id].last_inbound_at, self.now)
            is_held = move.status is OutboxStatus.HELD and not (move.unless_open and is_open)
            way: Way = OutboxStatus.HELD if is_held else OutboxStatus.QUEUED
            wait = timedelta(seconds=move.due_seconds or 0.0)
            if row and await outbox.take_another_way(
                tx, row, reroute.attempts, way, reroute.wamid, self.now, move.why, wait
            ):
                events += self._make_events(row, way, move.why)
        return events

    def _make_events(self, row: LockedRow, became: OutboxStatus, why: Why = NO_REASON) -> list[TicketEvent]:
        """Makes the event of a row's move, where it is one. A round is written once, whatever becomes of its commit,
        so an id that is made within the transaction can't be the second of its event."""
        if not is_event(row, became, why):
            return []
        return [make_delivery_event(self.make_id(), row, row.status, became, self.now, why)]

    async def _write_statuses(self, tx: Tx) -> None:
        """Closes the statuses, and writes what they mean beyond their rows."""
        matched = self.matched
        heard = {lane.customer_id for lane in self.lanes.values() if lane.done and lane.heard}
        await customers.mark_reachable(tx, heard | matched.reached)
        await customers.mark_unreachable(tx, matched.unreachable, self.now)
        await journal.close(tx, matched.done, Fate.DONE, self.now)
        for reason, item_ids in matched.ignored.items():
            await journal.close(tx, item_ids, Fate.IGNORED, self.now, reason=reason)
        if matched.template_refusals:
            await record_reported_refusals(tx, matched.template_refusals)
        for code, why in sorted(matched.alerts.items()):
            message = f"Meta took a message, and refused it afterwards for what others would meet too. {why}"
            await alerts.raise_alert(tx, Alert(f"sending:{code}", AlertSeverity.RED, message, self.now))

    async def _lock_states(self, tx: Tx) -> dict[int, LaneState]:
        """Returns the states of the lanes whose window was closed or whose rows are rerouted, closing those windows.

        It raises their fences, so whoever writes meanwhile is heard after this. Where a turn is written too, that is
        done, and its state is right already.
        """
        closed = self.matched.closed_windows
        states = {}
        for customer_id in sorted(closed.keys() | self.matched.rerouted):
            lane = self.lanes.get(customer_id)
            if lane is not None and lane.done:
                states[customer_id] = lane.state
                continue
            _, body = await fence.raise_version(tx, customer_id)
            states[customer_id] = LaneState.from_json(body)
            if customer_id in closed:
                states[customer_id] = close_window(states[customer_id], closed[customer_id])
                await fence.write_body(tx, customer_id, states[customer_id].to_json())
        return states

    def may_release_held(self, customer_id: int) -> bool:
        """Whether the customer wrote, and something was held for them until they would."""
        lane = self.lanes.get(customer_id)
        rows = self.loaded.rows.get(customer_id, ())
        return lane is not None and lane.heard and any(row.status is OutboxStatus.HELD for row in rows)
