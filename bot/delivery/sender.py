"""Sends one row of the outbox: gets its form and its file ready, makes the request, and writes what came of it.

Invariants
- A row is marked as `sending` only when everything that its request needs is there, the address among it: at that
  moment it is the customer's.
- A row that can't go out now says why and when it is looked at again. That wait is never slept on.
- Only a refusal that may pass counts as one, so neither an outage nor a tripped circuit breaker uses up a row's tries.
- That a request leaves is recorded before its first byte does, and forgotten once what came of it is committed.
- Side effects come first and the row moves last, but when Meta took it: to forget that would put the row in doubt.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot.clock import Clock
from bot.delivery import side_effects
from bot.delivery.addresses import StartedSend
from bot.delivery.circuit_breaker import CircuitBreaker
from bot.delivery.decision import decide_answer, decide_closed_window, decide_failed_upload
from bot.delivery.departures import Departures
from bot.delivery.outbox_writer import AcceptedSend, OutboxWriter, StartRefused, make_move
from bot.delivery.rate_limits import RateLimits
from bot.delivery.read_receipts import ReadReceipts
from bot.delivery.row_moves import Decision, Deferred
from bot.ids import read_instant
from bot.lane_state import LaneState
from bot.media.transfer import MediaTransfer
from bot.media.uploader import UploadFailed
from bot.metrics import Metrics
from bot.phases import log_phase
from bot.service_window import is_window_open
from bot.templates.health import TemplateKey
from bot.templates.sync import TemplateSync
from bot.whatsapp.graph.client import Accepted, GraphClient, NotSent, Outcome, Refused, ServerFailed, Unknown
from bot.whatsapp.messages.build import build_body
from bot.whatsapp.messages.limits import Unsendable
from storage.outbox import OutboxRow
from storage.redis.lanes import FRESH_SECONDS
from storage.sql.database import DatabaseDown
from storage.statuses import OutboxReason, OutboxStatus, Why

RETRY_SECONDS = 1.0  # without the database, or while the same row is being prepared
LOOK_AGAIN_SECONDS = 0.2  # at a row that somebody else has just moved
MIN_RECORDED_SECONDS = 1.0  # a row that waits for so long says so, or the sweep would have it looked at each second
FRESH_FOR = timedelta(seconds=FRESH_SECONDS)
OUTCOMES = {
    Accepted: "accepted",
    Refused: "refused",
    NotSent: "not_sent",
    Unknown: "unknown",
    ServerFailed: "server_failed",
}
Message = Mapping[str, Any]  # as the outbox keeps it
log = structlog.get_logger(__name__)


class Sender:
    """Sends rows for one process."""

    def __init__(
        self,
        *,
        writer: OutboxWriter,
        graph: GraphClient,
        breaker: CircuitBreaker,
        rate_limits: RateLimits,
        templates: TemplateSync,
        media: MediaTransfer,
        read_receipts: ReadReceipts,
        departures: Departures,
        clock: Clock,
        metrics: Metrics,
        doubt_seconds: float,
    ) -> None:
        self._writer = writer
        self._graph = graph
        self._breaker = breaker
        self._rate_limits = rate_limits
        self._templates = templates
        self._media = media
        self._read_receipts = read_receipts
        self._departures = departures
        self._clock = clock
        self._metrics = metrics
        self._doubt_seconds = doubt_seconds
        self._busy_with: set[int] = set()  # rows

    def is_busy_with(self, outbox_id: int) -> bool:
        """Whether this process is about to send the row, or is sending it."""
        return outbox_id in self._busy_with

    async def send(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        """Sends a queued row if it may go out now. Returns Deferred when the rows behind it have to wait."""
        if row.outbox_id in self._busy_with:
            return Deferred(RETRY_SECONDS)  # an earlier look at this lane, given back meanwhile, is uploading its file
        self._busy_with.add(row.outbox_id)
        try:
            return await self._prepare(state, row)
        finally:
            self._busy_with.discard(row.outbox_id)

    async def _prepare(self, state: LaneState, row: OutboxRow) -> Deferred | None:
        message: Message = json.loads(row.payload)
        try:
            form = await self._choose_form(message, state)
            if isinstance(form, Why):
                return await self._carry_out(row, message, decide_closed_window(row, message.get("type"), form))
            address = state.address or await self._writer.find_address(row.customer_id)
            if not address:
                return await self._give_up_without_address(row)
            build_body(form, to=address, opaque=str(row.outbox_id))
        except DatabaseDown:
            return Deferred(RETRY_SECONDS)
        except Unsendable as error:
            await self._writer.settle(make_move(row, OutboxStatus.FAILED, Why(OutboxReason.UNSENDABLE, str(error))))
            return None
        except UploadFailed as error:
            return await self._carry_out(row, message, decide_failed_upload(row, error))
        return await self._wait(row) or await self._request(row, form, address)

    async def _choose_form(self, message: Message, state: LaneState) -> Message | Why:
        """Returns what may go out now: the message with Meta's id of its file, in a closed window a template that
        carries it, or why neither. Raises UploadFailed."""
        if message.get("type") != "template" and not is_window_open(state.last_inbound_at, self._clock()):
            return await self._templates.convert_to_template(message)
        if message.get("type") != "media" or "media_id" in message:
            return message
        return {**message, "media_id": await self._media.ensure_uploaded(int(message["file_id"]))}

    async def _wait(self, row: OutboxRow) -> Deferred | None:
        """Asks the circuit breaker and the rate limits. The breaker's probe takes no part in those."""
        if wait_seconds := self._breaker.admit():
            return Deferred(wait_seconds)
        if self._breaker.is_tripped:
            return None
        began_at = read_instant(row.item_id or row.outbox_id)
        is_fresh = self._clock() - began_at <= FRESH_FOR
        if not (wait_seconds := await self._rate_limits.take(row.customer_id, is_fresh=is_fresh)):
            return None
        if wait_seconds >= MIN_RECORDED_SECONDS:
            due_at = self._clock() + timedelta(seconds=wait_seconds)
            await self._writer.settle(
                make_move(row, OutboxStatus.QUEUED, Why(OutboxReason.RATE_LIMITED), due_at=due_at)
            )
        return Deferred(wait_seconds)

    async def _request(self, row: OutboxRow, form: Message, address: str) -> Deferred | None:
        began = time.monotonic()
        try:
            marked_at = await self._writer.mark_sending(StartedSend(row.outbox_id, row.customer_id, address))
            if marked_at is StartRefused.NOT_THEIR_ADDRESS:
                if not (address := await self._writer.find_address(row.customer_id)):
                    return await self._give_up_without_address(row)
                marked_at = await self._writer.mark_sending(StartedSend(row.outbox_id, row.customer_id, address))
        except DatabaseDown:
            return Deferred(RETRY_SECONDS)
        if isinstance(marked_at, StartRefused):
            return Deferred(LOOK_AGAIN_SECONDS)
        row = replace(row, status=OutboxStatus.SENDING, attempts=row.attempts + 1)
        if time.monotonic() - began > self._doubt_seconds / 2:
            await self._writer.settle(make_move(row, OutboxStatus.QUEUED, Why(OutboxReason.MARKED_TOO_SLOWLY)))
            return Deferred(0.0)
        with log_phase("sending", 1):
            answer = await self._graph.send(
                build_body(form, to=address, opaque=str(row.outbox_id)),
                on_leaving=partial(self._departures.begin, row.outbox_id),
            )
        deferred = await self._settle(row, form, marked_at, answer)
        self._departures.end(row.outbox_id)
        return deferred

    async def _give_up_without_address(self, row: OutboxRow) -> Deferred | None:
        """Gives up a row of a customer whose number is another's by now, and to whom nothing else leads."""
        log.warning("send_without_address", outbox_id=row.outbox_id)
        step = make_move(row, OutboxStatus.FAILED, Why(OutboxReason.NO_ADDRESS))
        await self._writer.fail_without_address(step, row.customer_id)
        return Deferred(LOOK_AGAIN_SECONDS)

    async def _settle(self, row: OutboxRow, form: Message, marked_at: datetime, answer: Outcome) -> Deferred | None:
        self._metrics.count_send(OUTCOMES[type(answer)])
        decision = decide_answer(
            row, answer, marked_at, is_template=form.get("type") == "template", doubt_seconds=self._doubt_seconds
        )
        match answer:
            case Accepted(wamid=wamid):
                await self._writer.settle(AcceptedSend(row.outbox_id, wamid, marked_at))
                self._read_receipts.end_typing(row.customer_id)
                await self._apply(decision.effects, row, form)
                return None
            case Unknown(reason=reason):
                log.warning("send_in_doubt", outbox_id=row.outbox_id, reason=reason)
            case ServerFailed(said=said):
                log.warning("send_in_doubt", outbox_id=row.outbox_id, reason=said.reason, code=said.code)
            case Refused(code=code, action=action):
                log.warning("send_refused", outbox_id=row.outbox_id, code=code, action=action)
        return await self._carry_out(row, form, decision)

    async def _carry_out(self, row: OutboxRow, message: Message, decision: Decision) -> Deferred | None:
        await self._apply(decision.effects, row, message)
        wanted = decision.move
        assert wanted is not None  # only a status may leave a row where it is
        due_at = None if wanted.due_seconds is None else self._clock() + timedelta(seconds=wanted.due_seconds)
        step = make_move(row, wanted.status, wanted.why, due_at=due_at, refusals=wanted.refusals)
        if wanted.unless_open:
            waits_for = message if wanted.unless_carried else None
            return Deferred(0.0) if await self._writer.move_unless_open(step, row.customer_id, waits_for) else None
        await self._writer.settle(step)
        if wanted.status is OutboxStatus.UNKNOWN and due_at is not None:  # its doubt has begun, however long that took
            return Deferred(max(0.0, (due_at - self._clock()).total_seconds()))
        return decision.deferred

    async def _apply(self, effects: tuple[side_effects.SideEffect, ...], row: OutboxRow, message: Message) -> None:
        for effect in effects:
            match effect:
                case side_effects.TripBreaker(refused=refused):
                    await self._breaker.trip(refused)
                case side_effects.ResetBreaker():
                    await self._breaker.reset()
                case side_effects.SlowDown(scope=scope, seconds=seconds):
                    await self._rate_limits.slow_down(scope, row.customer_id, seconds)
                case side_effects.CloseWindow(sent_at=sent_at):
                    await self._writer.close_window(row.customer_id, sent_at)
                case side_effects.MarkUnreachable(reason=reason):
                    await self._writer.mark_unreachable(row.customer_id, reason)
                case side_effects.BlameTemplate(code=code, reason=reason):
                    key = TemplateKey(str(message["name"]), str(message["language"]))
                    await self._templates.record_refusal(key, code, reason)
