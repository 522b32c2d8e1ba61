"""The round: every lane that is due, in one transaction.

Invariants: what a lane's turns rest on (its version, and that nothing older waits) is checked again after the locks are
held; a lane for which it no longer holds drops out and is taken again from SQL, and the others commit; an item is
closed in the transaction that writes its effects, and only if it was still pending. A round that fails has changed
nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bot.clock import Clock
from bot.lane_state import LaneState
from bot.metrics import Metrics
from bot.phases import log_phase
from bot.service_window import without_window
from bot.templates.sync import TemplateSync
from bot.worker import parking, statuses
from bot.worker.effects import Failure, LaneTurns
from bot.worker.round_transaction import Dropped, Loaded, Plan
from bot.worker.turns import Read, Turns
from flows import Ticket
from storage import fence, journal, outbox_reads, turn_writes
from storage.journal import PendingItem
from storage.outbox import OutboxRow
from storage.redis.lanes import ClaimedLane
from storage.sql.database import Database
from storage.statuses import Fate, OutboxStatus
from storage.ticket_numbers import TicketNumbers
from storage.turn_writes import KnownMessage

MOST_ITEMS = 100  # of a lane in one round, and as many statuses
MOST_IN_ROUND = 1000  # of each in all lanes: the loop stands still for their turns, and their commit has a deadline
MOST_ROWS = 100  # of a lane, loaded to be delivered
TRIES = 3
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Played:
    """A lane after its round: what it has to deliver, and when to look at it again (None: only when rung)."""

    customer_id: int
    state: LaneState
    version: int
    rows: list[OutboxRow] = field(default_factory=list)
    again_seconds: float | None = None
    moved: bool = False
    forced: bool = False
    failure: Failure | None = None
    more: bool = False  # rows that go out after these
    heard_wamid: str = ""  # the last message of theirs, to be marked as read
    files: bool = False  # there are new files to fetch


class Rounds:
    """Plays rounds against one database."""

    def __init__(
        self,
        database: Database,
        turns: Turns,
        numbers: TicketNumbers,
        templates: TemplateSync,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._turns = turns
        self._numbers = numbers
        self._templates = templates
        self._clock = clock
        self._metrics = metrics

    async def play(self, lanes: Sequence[ClaimedLane], most_items: int = MOST_ITEMS) -> list[Played]:
        """What waits in `lanes`, the oldest of each. When it raises, nothing was changed."""
        most_items = max(1, min(most_items, MOST_IN_ROUND // max(1, len(lanes))))
        with log_phase("claimed", len(lanes)):
            known = {lane.customer_id: (lane.version, lane.body) for lane in lanes if lane.version is not None}
            waiting = [lane.customer_id for lane in lanes]
            played: list[Played] = []
            for attempt in range(TRIES):
                plan = await self._plan(waiting, {} if attempt else known, most_items)
                dropped = await self._commit(plan)
                played += [
                    self._played(plan, customer_id, bool(attempt))
                    for customer_id in waiting
                    if customer_id not in dropped
                ]
                waiting = sorted(dropped)
                if not waiting:
                    break
            return played + [Played(customer_id, LaneState(), 0, again_seconds=0.1) for customer_id in waiting]

    async def _plan(
        self, customer_ids: Sequence[int], known: Mapping[int, tuple[int | None, str | None]], most_items: int
    ) -> Plan:
        loaded = await self._load(customer_ids, known, most_items)
        now = self._clock()
        await self._numbers.top_up(1 + sum(len(items) for items in loaded.messages.values()))
        events = self._turns.read(item for items in loaded.messages.values() for item in items)
        abouts, come = await self._known(list(loaded.messages), events.values())
        lanes = {}
        for customer_id, items in loaded.messages.items():
            version, body = loaded.versions[customer_id]
            tickets = [Ticket(*row) for row in loaded.tickets.get(customer_id, ())]
            about = abouts.get(customer_id, {})
            state = LaneState.from_json(body)
            parked = parking.park(items, events, come | about.keys(), now, most_items)
            plays = [item for item in items if item.item_id not in parked]
            name = loaded.names.get(customer_id, "")
            lane = self._turns.play(customer_id, version, state, plays, events, tickets, about, now, name)
            lane.parked = parked
            lanes[customer_id] = lane
        # no fence will check these copies from Redis, and they say where to send and until when
        unchecked = [lane for lane in loaded.rows if lane in known and not (lane in lanes and lanes[lane].done)]
        reported = statuses.read(loaded.statuses)
        rows: list[outbox_reads.SentRow] = []
        if reported or unchecked:
            async with self._database.reading() as tx:
                rows = await outbox_reads.find_sent(tx, "id", statuses.row_ids(reported))
                rows += await outbox_reads.find_sent(tx, "wamid", statuses.unnamed(reported, rows))
                loaded.versions |= await fence.load(tx, unchecked)
        matched = statuses.match(reported, rows, now)
        for customer_id, sent_at in matched.closed_windows.items():
            if customer_id in lanes:
                lanes[customer_id].state = without_window(lanes[customer_id].state, sent_at)
        return Plan(now, loaded, lanes, matched)

    async def _known(
        self, customer_ids: Sequence[int], events: Iterable[Read]
    ) -> tuple[Mapping[int, Mapping[str, KnownMessage]], set[str]]:
        """What the messages are that these events quote, edit or delete; and of the latter, which have come at all. A
        tap quotes the question it answers."""
        read = [event for event in events if not isinstance(event, Exception)]
        quoted = {event.quoted_wamid for event in read if event.kind != "option"} - {""}
        if not quoted:
            return {}, set()
        about = sorted({event.quoted_wamid for event in read if parking.is_about(event)})
        async with self._database.reading() as tx:
            come = await journal.find_handled_messages(tx, self._turns.phone_number_id, about)
            ours = await outbox_reads.find_sent(tx, "wamid", about)
            known = await turn_writes.find_known_messages(tx, customer_ids, sorted(quoted))
        return known, come | {row.wamid for row in ours if row.wamid}

    async def _load(
        self, customer_ids: Sequence[int], known: Mapping[int, tuple[int | None, str | None]], most_items: int
    ) -> Loaded:
        async with self._database.reading() as tx:
            items = await journal.load_pending(tx, customer_ids, most_items)
            missing = [customer_id for customer_id in customer_ids if customer_id not in known]
            versions = {customer_id: (int(v or 0), b or "") for customer_id, (v, b) in known.items()}
            loaded = Loaded(versions | dict(await fence.load(tx, missing)))
            for item in items:
                if item.kind == "status":
                    loaded.statuses.append(item)
                elif item.customer_id in loaded.versions:
                    loaded.messages.setdefault(item.customer_id, []).append(item)
            loaded.full = {lane for lane, found in loaded.messages.items() if len(found) >= most_items}
            loaded.crowded = _crowded(loaded.statuses, most_items)
            loaded.tickets = await turn_writes.open_tickets(tx, sorted(loaded.messages))
            handed_over = {item.customer_id for item in items if item.kind == "handover"}
            loaded.names = await turn_writes.load_names(tx, sorted(handed_over))
            for row in await outbox_reads.load_open_rows(tx, customer_ids, MOST_ROWS):
                loaded.rows.setdefault(row.customer_id, []).append(row)
        return loaded

    async def _commit(self, plan: Plan) -> set[int]:
        """Writes the plan; returns the lanes that dropped out of it."""
        dropped: set[int] = set()
        while plan.writes():
            try:
                with log_phase("transaction", len(plan.lanes)):
                    await self._database.run(plan.write)
                self._count(plan)
                if plan.matched.template_refusals:
                    self._templates.request_sync()
                break
            except Dropped as gone:
                lost = gone.customer_ids or await self._moved(plan)
                log.info("lanes_dropped", count=len(lost), of=len(plan.lanes))
                for customer_id in lost:
                    plan.lanes.pop(customer_id, None)
                dropped |= lost
        return dropped

    def _count(self, plan: Plan) -> None:
        self._metrics.count_items(
            Fate.DONE, sum(len(lane.done) for lane in plan.lanes.values()) + len(plan.matched.done)
        )
        self._metrics.count_items(Fate.IGNORED, sum(map(len, plan.matched.ignored.values())))

    async def _moved(self, plan: Plan) -> set[int]:
        async with self._database.reading() as tx:
            now = await fence.load(tx, plan.lanes)
        moved = {
            customer_id for customer_id, lane in plan.lanes.items() if now.get(customer_id, (None,))[0] != lane.version
        }
        return moved or set(plan.lanes)

    def _played(self, plan: Plan, customer_id: int, forced: bool) -> Played:
        loaded, lane = plan.loaded, plan.lanes.get(customer_id)
        version, body = loaded.versions.get(customer_id, (0, ""))
        more = customer_id in loaded.full or customer_id in loaded.crowded & plan.matched.settled
        again = _again(plan, lane, customer_id, more)
        rows = loaded.rows.get(customer_id, [])
        more = sum(row.status is not OutboxStatus.HELD for row in rows) >= MOST_ROWS
        if lane is None or not lane.done:
            state = LaneState.from_json(body) if body else LaneState()
            if customer_id in plan.matched.closed_windows:
                state = without_window(state, plan.matched.closed_windows[customer_id])
            rows = [row for row in rows if row.status is not OutboxStatus.HELD]
            failure = lane.failure if lane else None
            return Played(customer_id, state, version, rows, again, failure=failure, more=more)
        if plan.releases(customer_id):
            rows, again = [], 0.0  # what was held is read from SQL, where all of it is released, and goes out first
        else:
            rows = [row for row in rows if row.status is not OutboxStatus.HELD] + ([] if more else lane.rows)
        return Played(
            customer_id,
            lane.state,
            version + 1,
            rows,
            again,
            moved=True,
            forced=forced,
            failure=lane.failure,
            more=more,
            heard_wamid=lane.heard_wamid,
            files=bool(lane.files),
        )


def _again(plan: Plan, lane: LaneTurns | None, customer_id: int, more: bool) -> float | None:
    """When the lane is to be looked at again. What is parked may be about a message of this very round."""
    parked = list(lane.parked.values()) if lane else []
    if more or customer_id in plan.matched.rerouted or (parked and lane and lane.done):
        return 0.0
    waiting = plan.matched.waiting.get(customer_id)
    return min(parked if waiting is None else [*parked, waiting], default=None)


def _crowded(items: Sequence[PendingItem], most_items: int) -> set[int]:
    counts: dict[int, int] = {}
    for item in items:
        counts[item.customer_id] = counts.get(item.customer_id, 0) + 1
    return {customer_id for customer_id, count in counts.items() if count >= most_items}
