"""Plays rounds: what waits in many lanes is read, played, and written in one transaction.

Invariants
- What a lane's turns rest on (its version, and that nothing older waits) is checked again once the locks are held. A
  lane for which it no longer holds drops out and is played again from SQL; the others commit.
- An item is closed in the transaction that writes its effects, and only if it was still pending.
- A round that raises has changed nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from bot.clock import Clock
from bot.ids import IdMaker
from bot.lane_state import LaneState
from bot.metrics import Metrics
from bot.phases import log_phase
from bot.service_window import close_window
from bot.templates.sync import TemplateSync
from bot.worker import parking
from bot.worker.effects import Failure, LaneTurns
from bot.worker.round_input import MAX_ROWS_PER_LANE, RoundInput, find_quoted, read_input
from bot.worker.round_transaction import LanesMoved, RoundTransaction
from bot.worker.statuses import MatchedStatuses, list_row_ids, list_unfound_wamids, match_statuses, read_statuses
from bot.worker.turns import LaneInput, Turns
from flows import Ticket
from storage import fence, outbox_reads
from storage.fence import CustomerGone, StoredLaneState
from storage.outbox import OutboxRow
from storage.outbox_reads import SentRow
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Database
from storage.statuses import Fate, OutboxStatus
from storage.ticket_numbers import TicketNumbers

MAX_ITEMS_PER_LANE = 100  # in one round, and as many statuses
MAX_ITEMS_PER_ROUND = 1000  # and as many statuses: turns block the event loop, and the commit has a deadline
MAX_TRIES = 3  # of a lane whose turns rest on something that keeps changing
MOVED_AGAIN_SECONDS = 0.1
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PlayedLane:
    """A lane after its round: what it has to deliver, and when to look at it again (None: only when rung).

    `moved`: its state has a new version; `forced`: Redis has a wrong one.
    """

    customer_id: int
    state: LaneState
    version: int
    rows: list[OutboxRow] = field(default_factory=list)
    again_seconds: float | None = None
    moved: bool = False
    forced: bool = False
    failure: Failure | None = None
    has_more_rows: bool = False  # than `rows`
    heard_wamid: str = ""  # the customer's last message, to be marked as read
    has_files: bool = False  # new ones, to be fetched


class Rounds:
    """Plays the rounds of one process."""

    def __init__(
        self,
        *,
        database: Database,
        turns: Turns,
        ids: IdMaker,
        numbers: TicketNumbers,
        templates: TemplateSync,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._turns = turns
        self._ids = ids
        self._numbers = numbers
        self._templates = templates
        self._clock = clock
        self._metrics = metrics

    async def play(self, lanes: Sequence[ClaimedLane], max_items: int = MAX_ITEMS_PER_LANE) -> list[PlayedLane]:
        """Plays what waits in `lanes`, the oldest items of each. When it raises, nothing was changed."""
        max_items = max(1, min(max_items, MAX_ITEMS_PER_ROUND // max(1, len(lanes))))
        with log_phase("claimed", len(lanes)):
            copies = {
                lane.customer_id: StoredLaneState(lane.version, lane.body or "")
                for lane in lanes
                if lane.version is not None
            }
            waiting = [lane.customer_id for lane in lanes]
            played: list[PlayedLane] = []
            for attempt in range(MAX_TRIES):
                prepared = await self._prepare(waiting, {} if attempt else copies, max_items)
                moved = await self._commit(prepared)
                played += [
                    _make_played_lane(prepared, customer_id, forced=bool(attempt))
                    for customer_id in waiting
                    if customer_id not in moved
                ]
                waiting = sorted(moved)
                if not waiting:
                    break
            late = [PlayedLane(one, LaneState(), 0, again_seconds=MOVED_AGAIN_SECONDS) for one in waiting]
            return played + late

    async def _prepare(
        self, customer_ids: Sequence[int], copies: Mapping[int, StoredLaneState], max_items: int
    ) -> RoundTransaction:
        """Reads what waits, plays the turns and matches the statuses; writes nothing. `copies`: those from Redis."""
        async with self._database.reading() as tx:
            loaded = await read_input(tx, customer_ids, copies, max_items)
        now = self._clock()
        await self._numbers.top_up(1 + sum(len(items) for items in loaded.messages.values()))
        lanes = await self._play_turns(loaded, now, max_items)
        # no fence will check these copies from Redis, and they say where to send and until when
        unchecked = [lane for lane in loaded.rows if lane in copies and not (lane in lanes and lanes[lane].done)]
        matched = await self._match_statuses(loaded, unchecked, now)
        for customer_id, sent_at in matched.closed_windows.items():
            if customer_id in lanes:
                lanes[customer_id].state = close_window(lanes[customer_id].state, sent_at)
        return RoundTransaction(now=now, loaded=loaded, lanes=lanes, matched=matched, make_id=self._ids.next)

    async def _play_turns(self, loaded: RoundInput, now: datetime, max_items: int) -> dict[int, LaneTurns]:
        events = self._turns.read_events(item for items in loaded.messages.values() for item in items)
        phone_number_id = self._turns.phone_number_id
        quoted = await find_quoted(self._database, list(loaded.messages), events.values(), phone_number_id)
        lanes = {}
        for customer_id, items in loaded.messages.items():
            version, body = loaded.versions[customer_id]
            known = quoted.on_tickets.get(customer_id, {})
            parked = parking.park(items, events, quoted.come | known.keys(), now, max_items)
            lane = LaneInput(
                customer_id=customer_id,
                version=version,
                state=LaneState.from_json(body),
                items=[item for item in items if item.item_id not in parked],
                events=events,
                tickets=[Ticket(row.ticket_id, row.status, row.title) for row in loaded.tickets.get(customer_id, ())],
                messages=known,
                name=loaded.names.get(customer_id, ""),
            )
            lanes[customer_id] = self._turns.play(lane, now)
            lanes[customer_id].parked = parked
        return lanes

    async def _match_statuses(self, loaded: RoundInput, unchecked: Sequence[int], now: datetime) -> MatchedStatuses:
        """Matches the statuses with their rows; in the same go, reads the states of the `unchecked` lanes anew."""
        statuses = read_statuses(loaded.statuses)
        rows: list[SentRow] = []
        if statuses or unchecked:
            async with self._database.reading() as tx:
                rows = await outbox_reads.find_sent(tx, list_row_ids(statuses))
                rows += await outbox_reads.find_sent_as(tx, list_unfound_wamids(statuses, rows))
                loaded.versions |= await fence.load_lane_states(tx, unchecked)
        return match_statuses(statuses, rows, now)

    async def _commit(self, prepared: RoundTransaction) -> set[int]:
        """Commits the round without the lanes whose turns have gone stale; returns those."""
        stale: set[int] = set()
        while not prepared.is_empty:
            try:
                with log_phase("transaction", len(prepared.lanes)):
                    await self._database.run(prepared.write)
                self._count(prepared)
                if prepared.matched.template_refusals:
                    self._templates.request_sync()
                break
            except LanesMoved as moved:
                lost = moved.customer_ids or await self._find_moved(prepared)
                log.info("lanes_dropped", count=len(lost), of=len(prepared.lanes))
                prepared.drop(lost)
                stale |= lost
            except CustomerGone:  # one of them has become another: read anew
                return stale | prepared.loaded.versions.keys()
        return stale

    def _count(self, committed: RoundTransaction) -> None:
        matched = committed.matched
        done = sum(len(lane.done) for lane in committed.lanes.values()) + len(matched.done)
        self._metrics.count_items(Fate.DONE, done)
        self._metrics.count_items(Fate.IGNORED, sum(map(len, matched.ignored.values())))

    async def _find_moved(self, prepared: RoundTransaction) -> set[int]:
        """Returns the lanes whose version has moved on; all of them, when none has by now."""
        async with self._database.reading() as tx:
            now = await fence.load_lane_states(tx, prepared.lanes)
        moved = {
            customer_id
            for customer_id, lane in prepared.lanes.items()
            if now.get(customer_id, (None,))[0] != lane.version
        }
        return moved or set(prepared.lanes)


def _make_played_lane(committed: RoundTransaction, customer_id: int, *, forced: bool) -> PlayedLane:
    loaded, lane = committed.loaded, committed.lanes.get(customer_id)
    version, body = loaded.versions.get(customer_id, (0, ""))
    again = _choose_again_seconds(committed, lane, customer_id)
    rows = loaded.rows.get(customer_id, [])
    unheld = [row for row in rows if row.status is not OutboxStatus.HELD]
    has_more_rows = len(unheld) >= MAX_ROWS_PER_LANE
    if lane is None or not lane.done:
        state = LaneState.from_json(body) if body else LaneState()
        if customer_id in committed.matched.closed_windows:
            state = close_window(state, committed.matched.closed_windows[customer_id])
        failure = lane.failure if lane else None
        return PlayedLane(
            customer_id=customer_id,
            state=state,
            version=version,
            rows=unheld,
            again_seconds=again,
            failure=failure,
            has_more_rows=has_more_rows,
        )
    if committed.may_release_held(customer_id):
        rows, again = [], 0.0  # what was held is read from SQL, where all of it is released, and goes out first
    else:
        rows = unheld if has_more_rows else unheld + [row for row in lane.rows if row.status is OutboxStatus.QUEUED]
    return PlayedLane(
        customer_id=customer_id,
        state=lane.state,
        version=version + 1,
        rows=rows,
        again_seconds=again,
        moved=True,
        forced=forced,
        failure=lane.failure,
        has_more_rows=has_more_rows,
        heard_wamid=lane.heard_wamid,
        has_files=bool(lane.files),
    )


def _choose_again_seconds(committed: RoundTransaction, lane: LaneTurns | None, customer_id: int) -> float | None:
    """When the lane is to be looked at again. What is parked may be about a message of this very round."""
    loaded, matched = committed.loaded, committed.matched
    parked = list(lane.parked.values()) if lane else []
    wanted = [0.0] if customer_id in matched.rerouted or (parked and lane and lane.done) else []
    if rest_since := loaded.find_rest_since(customer_id, is_settled=customer_id in matched.settled):
        wanted.append(min(0.0, (rest_since - committed.now).total_seconds()))  # its place in the line, not behind it
    wanted += [matched.waiting[customer_id]] if customer_id in matched.waiting else []
    return min(wanted + parked, default=None)
