"""Delivery: a lane's rows go out one after the other, each at most once as far as anybody can know.

Invariants: a later row never overtakes an earlier one of its customer; a row whose outcome is in doubt is not sent
again before a status has had doubt_seconds to settle it, and then once (more often only while it is our own processes
that die), and an agent's words only by a person; a back-off is never slept on, the lane is given back until then; the
window is judged at the moment of sending, by Meta's timestamps.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from bot.clock import Clock
from bot.marks import Marks, Taken
from bot.metrics import Metrics
from bot.phases import phase
from bot.place import Place
from bot.whatsapp.client import Accepted, GraphClient, NotSent, Outcome, Refused, Unknown
from bot.whatsapp.errors import Action
from bot.whatsapp.outgoing import Unsendable, build
from bot.window import window_open
from storage.database import DatabaseDown
from storage.lanes import Lanes
from storage.outbox import Move, OutboxRow
from storage.redis_client import RedisDown

WINDOW_CLOSED = "window_closed"
SENDER_DIED = "the sender died"
MOST_RESENDS_AFTER_DEATHS = 3
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
MOST_TRIES = 6
CLOCK_SLACK = timedelta(seconds=5)
OWNER_CHECK_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.2
OUTCOMES = {Accepted: "accepted", Refused: "refused", NotSent: "not_sent", Unknown: "unknown"}
NEVER = datetime(2200, 1, 1, tzinfo=UTC)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rest:
    """The lane has nothing to send for so long; None: nothing at all."""

    again_seconds: float | None


class Delivery:
    """Sends for one process."""

    def __init__(
        self, marks: Marks, graph: GraphClient, lanes: Lanes, clock: Clock, doubt_seconds: float, metrics: Metrics
    ) -> None:
        self._marks = marks
        self._graph = graph
        self._lanes = lanes
        self._clock = clock
        self._metrics = metrics
        self._under_way: set[int] = set()
        self._doubt = timedelta(seconds=doubt_seconds)

    async def deliver(self, place: Place, rows: Sequence[OutboxRow]) -> Rest:
        """Sends what may go out now, in order; says when to come back for the rest."""
        for row in rows:
            rest = await self._attend(place, row)
            if rest is not None:
                return rest
        return Rest(None)

    async def _attend(self, place: Place, row: OutboxRow) -> Rest | None:
        """Does what one row needs; a Rest means that the rows behind it have to wait."""
        now = self._clock()
        if row.status == "sending":
            return await self._in_doubt(row) if await self._abandoned(row) else Rest(OWNER_CHECK_SECONDS)
        if row.status == "unknown":
            if row.due_at == NEVER:
                return None  # a person decides about it; the lane goes on
            if _clock_went_back(row, now):
                await self._marks.settle(_from(row, "unknown", reason=row.reason, due_at=now + self._doubt))
                return Rest(self._doubt.total_seconds())
            if row.due_at > now:
                return Rest((row.due_at - now).total_seconds())
            return await self._resolve(place, row)
        if row.due_at > now and not _clock_went_back(row, now):
            return Rest((row.due_at - now).total_seconds())
        return await self._send(place, row)

    async def _abandoned(self, row: OutboxRow) -> bool:
        """Whether nobody is sending this row any more."""
        if row.owner == self._lanes.owner:
            return row.outbox_id not in self._under_way
        try:
            alive = await self._lanes.alive_owners()
        except RedisDown:
            return False
        return alive is not None and row.owner not in alive

    async def _in_doubt(self, row: OutboxRow) -> Rest:
        due_at = (row.marked_at or self._clock()) + self._doubt
        await self._marks.settle(_from(row, "unknown", reason=SENDER_DIED, due_at=due_at))
        return Rest(max(0.0, (due_at - self._clock()).total_seconds()))

    async def _resolve(self, place: Place, row: OutboxRow) -> Rest | None:
        """The doubt has lasted long enough."""
        if row.origin == "agent":
            await self._marks.settle(_from(row, "unknown", reason="in doubt: send it again by hand", due_at=NEVER))
            return None
        if row.resent >= (MOST_RESENDS_AFTER_DEATHS if row.reason == SENDER_DIED else 1):
            await self._marks.settle(_from(row, "failed", reason="in doubt again after it was resent"))
            return None
        if not await self._marks.settle(_from(row, "queued", reason="in doubt", resent=1)):
            return Rest(LOOK_AGAIN_SECONDS)  # another process resolves it, or a status came after all
        log.warning("resent_in_doubt", outbox_id=row.outbox_id)
        return await self._send(place, replace(row, status="queued", resent=1))

    async def _send(self, place: Place, row: OutboxRow) -> Rest | None:
        if not window_open(place.last_inbound_at, self._clock()):
            await self._closed(row)
            return None
        try:
            body = build(json.loads(row.payload), to=place.address, opaque=str(row.outbox_id))
        except Unsendable as error:
            await self._marks.settle(_from(row, "failed", reason=str(error)))
            return None
        began = time.monotonic()
        try:
            marked_at = await self._marks.sending(row.outbox_id)
        except DatabaseDown:
            return Rest(1.0)
        if marked_at is None:
            return Rest(LOOK_AGAIN_SECONDS)  # somebody else has it, or a status has settled it
        row = replace(row, status="sending", attempts=row.attempts + 1)
        if time.monotonic() - began > self._doubt.total_seconds() / 2:
            await self._marks.settle(_from(row, "queued", reason="marked too slowly to be sent safely"))
            return Rest(0.0)
        self._under_way.add(row.outbox_id)
        try:
            with phase("sending", 1):
                outcome = await self._graph.send(body)
            return await self._settle(row, marked_at, outcome)
        finally:
            self._under_way.discard(row.outbox_id)

    async def _settle(self, row: OutboxRow, marked_at: datetime, outcome: Outcome) -> Rest | None:
        self._metrics.send(OUTCOMES[type(outcome)])
        match outcome:
            case Accepted(wamid=wamid):
                await self._marks.settle(Taken(row.outbox_id, wamid, marked_at))
                return None
            case Unknown(reason=reason):
                due_at = self._clock() + self._doubt
                log.warning("send_in_doubt", outbox_id=row.outbox_id, reason=reason)
                await self._marks.settle(_from(row, "unknown", reason=reason, due_at=due_at))
                return Rest(max(0.0, (due_at - self._clock()).total_seconds()))
            case NotSent(reason=reason):
                return await self._later(row, reason, _backoff(row))
            case Refused():
                return await self._refused(row, outcome)

    async def _refused(self, row: OutboxRow, refused: Refused) -> Rest | None:
        log.warning("send_refused", outbox_id=row.outbox_id, code=refused.code, action=refused.action)
        reason = f"{refused.code}: {refused.reason}"
        match refused.action:
            case Action.RETRY if row.attempts < MOST_TRIES:
                return await self._later(row, reason, max(refused.wait_seconds, _backoff(row)))
            case Action.RETRY_AFTER:
                return await self._later(row, reason, max(refused.wait_seconds, _backoff(row)))
            case Action.STOP:
                log.error("channel_stopped", code=refused.code, reason=refused.reason)
                return await self._later(row, reason, LONGEST_BACKOFF_SECONDS)
            case Action.TEMPLATE:
                await self._closed(row)
            case _:
                await self._marks.settle(_from(row, "failed", reason=reason))
        return None

    async def _closed(self, row: OutboxRow) -> None:
        """Without a window a prompt is worth nothing, since the next message gets its own; the rest waits for one."""
        await self._marks.settle(_from(row, "failed" if row.origin == "prompt" else "held", reason=WINDOW_CLOSED))

    async def _later(self, row: OutboxRow, reason: str, seconds: float) -> Rest:
        due_at = self._clock() + timedelta(seconds=seconds)
        await self._marks.settle(_from(row, "queued", reason=reason, due_at=due_at))
        return Rest(seconds)


def _from(row: OutboxRow, status: str, *, reason: str, due_at: datetime | None = None, resent: int = 0) -> Move:
    return Move(row.outbox_id, row.status, row.attempts, status, reason, due_at, resent)


def _clock_went_back(row: OutboxRow, now: datetime) -> bool:
    """Whether the row was last touched at a time that is yet to come: what it waits for may be an hour too far away."""
    return row.status_at is not None and row.status_at > now + CLOCK_SLACK


def _backoff(row: OutboxRow) -> float:
    """Seconds before the next try, doubling; spread by the row, so that a recovery is no stampede."""
    spread = 0.75 + row.outbox_id % 1000 / 2000
    return spread * min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(row.attempts, 10))
