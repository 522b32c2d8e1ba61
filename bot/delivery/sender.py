"""One row's way out: the form it takes, whether it may go now, the request, and what Meta's answer makes of it.

Invariants: nothing is marked as being sent before everything is ready for its request; a row that can't go out now says
why and when it is looked at again, and that wait is never slept on; only a refusal that may pass counts as a refusal,
so neither an outage nor a stopped channel uses up a message's tries. What Meta's error codes mean is in one table, in
whatsapp/errors.py.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.clock import Clock
from bot.delivery.circuit_breaker import CircuitBreaker
from bot.delivery.outbox_writer import AcceptedSend, OutboxWriter
from bot.delivery.rate_limits import RateLimits
from bot.delivery.read_receipts import ReadReceipts
from bot.lane_state import LaneState
from bot.media.transfer import UploadFailed, Vault
from bot.metrics import Metrics
from bot.phases import phase
from bot.service_window import window_open
from bot.templates.sync import Templates
from bot.whatsapp.errors import Action, Scope, wait_of
from bot.whatsapp.graph.client import Accepted, GraphClient, NotSent, Outcome, Refused, Unknown
from bot.whatsapp.messages.build import Unsendable, build
from storage.outbox import Move, OutboxRow
from storage.sql.database import DatabaseDown
from storage.statuses import Origin, OutboxReason, OutboxStatus, Why

WINDOW_CLOSED = Why(OutboxReason.WINDOW_CLOSED)
MOMENTARY = ("reaction", "location_request", "contact_request")
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
MOST_REFUSALS = 5
LOOK_AGAIN_SECONDS = 0.2
SHORT_SECONDS = 1.0
OUTCOMES = {Accepted: "accepted", Refused: "refused", NotSent: "not_sent", Unknown: "unknown"}
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Deferred:
    """The rows behind have to wait: the lane has nothing to send for so many seconds."""

    seconds: float


class Sender:
    """Sends for one process. `under_way`: the rows whose requests have begun and not ended."""

    def __init__(
        self,
        *,
        writer: OutboxWriter,
        graph: GraphClient,
        breaker: CircuitBreaker,
        rate_limits: RateLimits,
        templates: Templates,
        vault: Vault,
        read_receipts: ReadReceipts,
        clock: Clock,
        metrics: Metrics,
        doubt_seconds: float,
    ) -> None:
        self._writer = writer
        self._graph = graph
        self._breaker = breaker
        self._rate_limits = rate_limits
        self._templates = templates
        self._vault = vault
        self._read_receipts = read_receipts
        self._clock = clock
        self._metrics = metrics
        self._doubt = timedelta(seconds=doubt_seconds)
        self._preparing: set[int] = set()
        self.under_way: set[int] = set()

    async def send(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """Sends a queued row if it may go out now; a Deferred means that the rows behind it have to wait."""
        if row.outbox_id in self._preparing:
            return Deferred(SHORT_SECONDS)  # an earlier look at this lane, given back meanwhile, is uploading its file
        self._preparing.add(row.outbox_id)
        try:
            return await self._prepared(state, row)
        finally:
            self._preparing.discard(row.outbox_id)

    async def _prepared(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        try:
            message = await self._form(state, row)
            if isinstance(message, Why):
                return await self._closed(row, message)
            message = await self._with_file(message)
            body = build(message, to=state.address, opaque=str(row.outbox_id))
        except DatabaseDown:
            return Deferred(1.0)
        except Unsendable as error:
            await self._writer.settle(move(row, OutboxStatus.FAILED, Why(OutboxReason.UNSENDABLE, str(error))))
            return None
        except UploadFailed as error:
            return await self._not_uploaded(row, error)
        return await self._wait(row) or await self._request(row, message, body)

    async def _wait(self, row: OutboxRow) -> Deferred | None:
        """While the channel is stopped, and at Meta's limits: whoever is the channel's probe takes no part in those."""
        breaker = self._breaker
        if wait_seconds := breaker.admit():
            return Deferred(wait_seconds)
        if breaker.is_tripped or not (wait_seconds := await self._rate_limits.take(row.customer_id)):
            return None
        if wait_seconds < SHORT_SECONDS:
            return Deferred(wait_seconds)
        return await self._later(
            row, Why(OutboxReason.RATE_LIMITED), wait_seconds
        )  # or the sweep would look at it each second

    async def _form(self, state: LaneState, row: OutboxRow) -> Mapping[str, Any] | Why:
        """The message as it may go out now: as it is, or outside of the window as its template; or why it may not."""
        message: Mapping[str, Any] = json.loads(row.payload)
        if message.get("type") == "template" or window_open(state.last_inbound_at, self._clock()):
            return message
        return await self._templates.carried(message)

    async def _with_file(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if message.get("type") != "media" or "media_id" in message:
            return message
        return {**message, "media_id": await self._vault.media_id_of(int(message["file_id"]))}

    async def _not_uploaded(self, row: OutboxRow, error: UploadFailed) -> Deferred | None:
        seconds, why = error.retry_seconds, Why(OutboxReason.NOT_UPLOADED, error.reason)
        if seconds is None or (error.refused and row.refusals >= MOST_REFUSALS):
            await self._writer.settle(move(row, OutboxStatus.FAILED, why))
            return None
        if error.refused:
            return await self._later(row, why, seconds * 2.0**row.refusals, refusals=1)
        return await self._later(row, why, seconds)

    async def _request(self, row: OutboxRow, message: Mapping[str, Any], body: dict[str, object]) -> Deferred | None:
        began = time.monotonic()
        try:
            marked_at = await self._writer.mark_sending(row.outbox_id)
        except DatabaseDown:
            return Deferred(1.0)
        if marked_at is None:
            return Deferred(LOOK_AGAIN_SECONDS)  # somebody else has it, or a status has settled it
        row = replace(row, status=OutboxStatus.SENDING, attempts=row.attempts + 1)
        if time.monotonic() - began > self._doubt.total_seconds() / 2:
            await self._writer.settle(move(row, OutboxStatus.QUEUED, Why(OutboxReason.MARKED_TOO_SLOWLY)))
            return Deferred(0.0)
        self.under_way.add(row.outbox_id)
        try:
            with phase("sending", 1):
                outcome = await self._graph.send(body)
            return await self._settle(row, message, marked_at, outcome)
        finally:
            self.under_way.discard(row.outbox_id)

    async def _settle(
        self, row: OutboxRow, message: Mapping[str, Any], marked_at: datetime, outcome: Outcome
    ) -> Deferred | None:
        self._metrics.send(OUTCOMES[type(outcome)])
        match outcome:
            case Accepted(wamid=wamid):
                await self._writer.settle(AcceptedSend(row.outbox_id, wamid, marked_at))
                self._read_receipts.end_typing(row.customer_id)
                await self._breaker.reset()
                return None
            case Unknown(reason=reason):
                due_at = self._clock() + self._doubt
                log.warning("send_in_doubt", outbox_id=row.outbox_id, reason=reason)
                await self._writer.settle(
                    move(row, OutboxStatus.UNKNOWN, Why(OutboxReason.ANSWER_LOST, reason), due_at=due_at)
                )
                return Deferred(max(0.0, (due_at - self._clock()).total_seconds()))
            case NotSent(reason=reason):
                return await self._later(row, Why(OutboxReason.NOT_SENT, reason), _backoff(row))
            case Refused():
                return await self._refused(row, message, marked_at, outcome)

    async def _refused(
        self, row: OutboxRow, message: Mapping[str, Any], marked_at: datetime, refused: Refused
    ) -> Deferred | None:
        log.warning("send_refused", outbox_id=row.outbox_id, code=refused.code, action=refused.action)
        if refused.action is Action.STOP:
            wait_seconds = await self._breaker.trip(refused)
            await self._writer.settle(move(row, OutboxStatus.QUEUED, why_refused(refused)))
            return Deferred(wait_seconds)
        if refused.action is not Action.RETRY:  # which may be a server on the way that knows nothing of us
            await self._breaker.reset()
        match refused.action:
            case Action.RETRY if row.refusals < MOST_REFUSALS:
                return await self._later(row, why_refused(refused), wait_of(refused, row.refusals), refusals=1)
            case Action.RETRY_AFTER:
                wait_seconds = wait_of(refused, row.refusals)
                await self._rate_limits.slow_down(refused.scope, row.customer_id, wait_seconds)
                refusals = 0 if refused.scope is Scope.NUMBER else 1  # the number's limit is no message's fault
                return await self._later(row, why_refused(refused), wait_seconds, refusals=refusals)
            case Action.TEMPLATE if row.refusals < MOST_REFUSALS:
                await self._writer.close_window(row.customer_id, marked_at)
                return await self._later(row, WINDOW_CLOSED, 0.0, refusals=1)
            case Action.RECIPIENT if refused.scope is Scope.PAIR:
                await self._writer.mark_unreachable(row.customer_id, reason_of(refused))
        return await self._given_up(row, message, refused)

    async def _given_up(self, row: OutboxRow, message: Mapping[str, Any], refused: Refused) -> Deferred | None:
        """A template that Meta does not take is nobody's message lost: the words behind it wait for the customer."""
        if message.get("type") == "template" and refused.action is Action.DROP:
            name, language = str(message["name"]), str(message["language"])
            await self._templates.refused(name, language, refused.code or 0, refused.reason)
            return await self._unless_open(
                move(row, OutboxStatus.HELD, why_refused(refused), refusals=1), row.customer_id
            )
        await self._writer.settle(move(row, OutboxStatus.FAILED, why_refused(refused)))
        return None

    async def _closed(self, row: OutboxRow, why: Why) -> Deferred | None:
        """What belongs to a moment is worth nothing later: the flow's own prompts, since the next message gets its own,
        a reaction, a request. The rest waits for the customer."""
        message = json.loads(row.payload)
        if row.origin is Origin.PROMPT or message.get("type") in MOMENTARY:
            return await self._unless_open(move(row, OutboxStatus.FAILED, WINDOW_CLOSED), row.customer_id)
        return await self._unless_open(move(row, OutboxStatus.HELD, why), row.customer_id, message)

    async def _unless_open(
        self, step: Move, customer_id: int, waits_for: Mapping[str, Any] | None = None
    ) -> Deferred | None:
        """They may have written since this delivery began, while a request before this row took its time; or a template
        that carries what `waits_for` one was approved."""
        return Deferred(0.0) if await self._writer.move_unless_open(step, customer_id, waits_for) else None

    async def _later(self, row: OutboxRow, why: Why, seconds: float, *, refusals: int = 0) -> Deferred:
        due_at = self._clock() + timedelta(seconds=seconds)
        await self._writer.settle(move(row, OutboxStatus.QUEUED, why, due_at=due_at, refusals=refusals))
        return Deferred(seconds)


def move(
    row: OutboxRow,
    status: OutboxStatus,
    why: Why,
    *,
    due_at: datetime | None = None,
    resent: int = 0,
    refusals: int = 0,
) -> Move:
    """The row's move from where it was seen."""
    return Move(row.outbox_id, row.status, row.attempts, status, why, due_at, resent, refusals)


def reason_of(refused: Refused) -> str:
    """What an agent reads beside the message."""
    return f"{refused.code}: {refused.reason}"


def why_refused(refused: Refused) -> Why:
    """The same, as the row keeps it."""
    return Why(OutboxReason.REFUSED, reason_of(refused))


def _backoff(row: OutboxRow) -> float:
    """Seconds before the next try, doubling; spread by the golden ratio, so that a recovery is no stampede: ids of one
    commit follow each other."""
    spread = 0.75 + row.outbox_id * 618_034 % 1_000_000 / 2_000_000
    return spread * min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(row.attempts, 10))
