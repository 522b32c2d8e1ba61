"""Plays rounds: what waits in many lanes is read, played, and written in one transaction.

Invariants
- What a lane's turns rest on (its version, and that nothing older waits) is checked again once the locks are held. A
  lane for which it no longer holds drops out and is played again from SQL; the others commit.
- An item is closed in the transaction that writes its effects, and only if it was still pending.
- A lane whose state another session has locked drops out too, for as long as that lasts; nobody waits for it.
- A round that raises has changed nothing.
"""

from collections.abc import Mapping, Sequence
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
from bot.worker.effects import LaneTurns
from bot.worker.played_lane import PlayedLane, make_played_lane
from bot.worker.round_input import RoundInput, find_quoted, read_input
from bot.worker.round_transaction import LanesHeld, LanesMoved, RoundTransaction
from bot.worker.statuses import MatchedStatuses, list_row_ids, list_unfound_wamids, match_statuses, read_statuses
from bot.worker.turns import LaneInput, Turns
from flows import Ticket
from storage import fence, outbox_reads
from storage.fence import CustomerGone, StoredLaneState
from storage.outbox_reads import SentRow
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Database, RowsHeld
from storage.sql.held_rows import HeldFor
from storage.sql.lock_waits import LockWait
from storage.statuses import Fate
from storage.ticket_numbers import TicketNumbers

MAX_ITEMS_PER_LANE = 100  # in one round, and as many statuses
MAX_ITEMS_PER_ROUND = 1000  # and as many statuses: turns block the event loop, and the commit has a deadline
MAX_TRIES = 3  # of a lane whose turns rest on something that keeps changing
MOVED_AGAIN_SECONDS = 0.1
log = structlog.get_logger(__name__)


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
        self._held = database.held[HeldFor.LANES]
        self._turns = turns
        self._ids = ids
        self._numbers = numbers
        self._templates = templates
        self._clock = clock
        self._metrics = metrics

    async def play(
        self,
        lanes: Sequence[ClaimedLane],
        max_items: int = MAX_ITEMS_PER_LANE,
        lock_wait: LockWait = LockWait.USUAL,
    ) -> list[PlayedLane]:
        """Plays what waits in `lanes`, the oldest items of each. When it raises, nothing was changed. Raises RowsHeld
        when another session holds rows of one of them; a lane whose own lane state it holds is left for later."""
        max_items = max(1, min(max_items, MAX_ITEMS_PER_ROUND // max(1, len(lanes))))
        with log_phase("claimed", len(lanes)):
            copies = {
                lane.customer_id: StoredLaneState(lane.version, lane.body or "")
                for lane in lanes
                if lane.version is not None
            }
            waiting = [lane.customer_id for lane in lanes]
            played: list[PlayedLane] = []
            held: set[int] = set()
            for attempt in range(MAX_TRIES):
                prepared = await self._prepare(waiting, {} if attempt else copies, max_items)
                moved = await self._commit(prepared, lock_wait)
                held |= prepared.held
                left_out = moved | held
                committed = [customer_id for customer_id in waiting if customer_id not in left_out]
                played += [make_played_lane(prepared, one, forced=bool(attempt)) for one in committed]
                self._held.clear(committed)
                waiting = sorted(moved)
                if not waiting:
                    break
            late = [PlayedLane(one, LaneState(), 0, again_seconds=MOVED_AGAIN_SECONDS) for one in waiting]
            waits = [PlayedLane(one, LaneState(), 0, again_seconds=self._held.note((one,))) for one in sorted(held)]
            return played + late + waits

    async def _prepare(
        self, customer_ids: Sequence[int], copies: Mapping[int, StoredLaneState], max_items: int
    ) -> RoundTransaction:
        """Reads what waits, plays the turns and matches the statuses; writes nothing. `copies`: those from Redis."""
        async with self._database.reading() as tx:
            loaded = await read_input(tx, customer_ids, copies, max_items)
        now = self._clock()
        try:
            await self._numbers.top_up(1 + sum(len(items) for items in loaded.messages.values()))
        except RowsHeld:
            loaded.postpone(self._numbers.available - 1)
            log.warning("ticket_numbers_held", available=self._numbers.available, postponed=len(loaded.postponed))
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

    async def _commit(self, prepared: RoundTransaction, lock_wait: LockWait = LockWait.USUAL) -> set[int]:
        """Commits the round without the lanes whose turns have gone stale, and returns those, and without those whose
        state another session has locked: `prepared.held`."""
        stale: set[int] = set()
        while not prepared.is_empty:
            try:
                with log_phase("transaction", len(prepared.lanes)):
                    await self._database.run(prepared.write, lock_wait=lock_wait)
                self._count(prepared)
                if prepared.matched.template_refusals:
                    self._templates.request_sync()
                break
            except LanesMoved as moved:
                lost = moved.customer_ids or await self._find_moved(prepared)
                log.info("lanes_dropped", count=len(lost), of=len(prepared.lanes))
                prepared.drop(lost)
                stale |= lost
            except LanesHeld as found:
                async with self._database.reading() as tx:
                    there = await fence.load_lane_states(tx, found.customer_ids)
                if found.customer_ids - there.keys():  # one of them has become another: read anew
                    return (stale | prepared.loaded.versions.keys()) - prepared.held
                prepared.leave_held(found.customer_ids)
            except CustomerGone:  # one of them has become another: read anew
                return (stale | prepared.loaded.versions.keys()) - prepared.held
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
