"""Claims due lanes, plays them in rounds, and delivers each lane by itself.

Invariants
- A round waits for no delivery, and no lane for another's.
- Every claimed lane is released, whatever happens to it.
- A process whom the database does not answer claims nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from bot.delivery.delivery import Delivery
from bot.delivery.read_receipts import ReadReceipts
from bot.media.transfer import MediaTransfer
from bot.task_end import end_tasks
from bot.worker.lane_claims import LaneClaims
from bot.worker.lane_player import LanePlayer
from bot.worker.maintenance import Maintenance
from bot.worker.played_lane import PlayedLane
from bot.worker.poison import Poison
from bot.worker.rounds import Rounds
from storage.redis.client import RedisDown
from storage.redis.lanes import WorkingCopy
from storage.sql.database import Database

TYPING_AFTER_SECONDS = 1.0  # an answer that takes longer shows the customer that it is being written
MAX_HELD_LANES = 256
FULL_SECONDS = 0.01  # the deliveries under way give room soon
RETRY_SECONDS = 1.0  # after the database was down, or a delivery failed
REDIS_RETRY_SECONDS = 0.25  # after Redis was down: soon it is known to be away, and the work goes on without it
TURN_FAILED_SECONDS = 0.1  # until the next attempt of an item whose turn raised
STOP_SECONDS = 10.0  # that a round, and then the deliveries, get to end by themselves
log = structlog.get_logger(__name__)


class Worker:
    """Claims due lanes for one process, plays them in rounds and delivers them, until it is stopped.

    `background`: what runs until the stop and has nothing to do with lanes. `slow_seconds`: how long a delivery keeps
    its lane from the next turn.
    """

    def __init__(
        self,
        *,
        lanes: LaneClaims,
        database: Database,
        rounds: Rounds,
        poison: Poison,
        delivery: Delivery,
        maintenance: Maintenance,
        read_receipts: ReadReceipts,
        media: MediaTransfer,
        background: Sequence[Callable[[asyncio.Event], Coroutine[Any, Any, None]]],
        slow_seconds: float,
    ) -> None:
        self._lanes = lanes
        self._poison = poison
        self._player = LanePlayer(
            database=database,
            lanes=lanes,
            rounds=rounds,
            poison=poison,
            follow_up=self._follow_up,
            let_sends_end=self._let_sends_end,
            is_delivering=lambda customer_id: customer_id in self._delivering,
        )
        self._delivery = delivery
        self._maintenance = maintenance
        self._read_receipts = read_receipts
        self._media = media
        self._background = background
        self._slow_seconds = slow_seconds
        self._deliveries: set[asyncio.Task[None]] = set()
        self._delivering: dict[int, asyncio.Task[None]] = {}
        self._is_idle = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set. Then it claims nothing more, finishes what is being sent, and leaves its lanes."""
        loops = (*self._maintenance.make_loops(), *(run(stop) for run in self._background))
        background = [asyncio.create_task(loop) for loop in loops]
        working = asyncio.create_task(self._work(stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._is_idle:
                working.cancel()  # or a stop would take as long as the wait for a lane
            else:
                async with asyncio.timeout(STOP_SECONDS):
                    await working
            if ending := self._deliveries | self._player.aside:
                await asyncio.wait(ending, timeout=STOP_SECONDS)
        finally:
            await end_tasks((*background, working, stopping, *self._player.aside, *self._deliveries))
            await self._read_receipts.close()
            try:
                await self._lanes.retire()
            except RedisDown:
                log.warning("redis_down_at_exit")

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._wait_for_database()
                claim = await self._lanes.claim(MAX_HELD_LANES - len(self._lanes.held))
                if claim.lanes:
                    await self._player.play(claim.lanes)
                elif len(self._lanes.held) >= MAX_HELD_LANES:
                    await asyncio.sleep(FULL_SECONDS)
                else:
                    due = claim.next_due_seconds
                    await self._wait_for_lanes(1.0 if due is None else max(due, 0.001))
            except RedisDown as error:
                log.warning("redis_down", error=str(error))
                await asyncio.sleep(REDIS_RETRY_SECONDS)

    async def _wait_for_database(self) -> None:
        """Waits while the database does not answer this process: what it claimed now, others could do."""
        self._is_idle = True
        try:
            await self._player.wait_for_database()
        finally:
            self._is_idle = False

    async def _wait_for_lanes(self, seconds: float) -> None:
        """Waits until a lane may be due. Nothing is claimed meanwhile, so a stop may cancel it."""
        self._is_idle = True
        try:
            await self._lanes.wait(seconds)
        finally:
            self._is_idle = False

    async def _let_sends_end(self, until: float) -> None:
        """Waits until nothing is being sent here, but no longer than `until` for a Meta that takes its time."""
        left = until - asyncio.get_running_loop().time()
        if self._deliveries and left > 0:
            await asyncio.wait(self._deliveries, timeout=left)

    async def _follow_up(self, played: Sequence[PlayedLane]) -> None:
        """Does what comes after the commit: keeps the copies in Redis, and delivers the lanes or releases them."""
        if not played:
            return
        copies = [WorkingCopy(lane.customer_id, lane.version, lane.state.to_json()) for lane in played if lane.moved]
        sending = [lane for lane in played if lane.rows]
        try:
            await self._lanes.put_copies(
                copies,
                force=[lane.customer_id for lane in played if lane.forced],
                delivering=[lane.customer_id for lane in sending],
            )
        except RedisDown as error:
            log.warning("redis_down", error=str(error))
        for lane in played:
            if lane.failure is not None:
                await self._poison.count_failure(lane.customer_id, lane.failure)
                lane.again_seconds = TURN_FAILED_SECONDS
            if lane.heard_wamid:
                self._read_receipts.mark_read(lane.customer_id, lane.heard_wamid)
        if any(lane.has_files for lane in played):
            self._media.ring()
        done = {lane.customer_id: _choose_again_seconds(lane, None) for lane in played if not lane.rows}
        for lane in sending:
            task = self._delivering[lane.customer_id] = asyncio.create_task(self._deliver(lane))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)
        if done:
            await self._release(done)

    async def _deliver(self, lane: PlayedLane) -> None:
        """Delivers the lane and releases it.

        A request that takes long does not keep the lane: its turns go on, and its later sends wait for the row that is
        still marked as being sent.
        """
        sending = asyncio.create_task(self._delivery.deliver(lane.state, lane.rows))
        again: float | None = RETRY_SECONDS
        holds_lane = True
        try:
            done, _ = await asyncio.wait((sending,), timeout=self._slow_seconds)
            if not done:
                holds_lane = False
                self._end_delivery(lane.customer_id)
                await self._release({lane.customer_id: _choose_again_seconds(lane, None)})
            deferred = await sending
            again = None if deferred is None else deferred.seconds
            if lane.heard_wamid and again is not None and again > TYPING_AFTER_SECONDS:
                self._read_receipts.show_typing(lane.customer_id)
        except Exception:
            log.exception("delivery_failed", customer_id=lane.customer_id)  # the row stays as it is marked
        finally:
            sending.cancel()
            await asyncio.wait((sending,))
            if holds_lane:
                self._end_delivery(lane.customer_id)
                await self._release({lane.customer_id: _choose_again_seconds(lane, again)})
            else:
                await self._ring(lane.customer_id, again or 0.0)

    def _end_delivery(self, customer_id: int) -> None:
        if self._delivering.get(customer_id) is asyncio.current_task():
            del self._delivering[customer_id]

    async def _ring(self, customer_id: int, seconds: float) -> None:
        try:
            await self._lanes.ring({customer_id: seconds})
        except RedisDown as error:
            log.warning("redis_down", error=str(error))  # the sweep finds what is left

    async def _release(self, delays: dict[int, float | None] | dict[int, float]) -> None:
        try:
            await self._lanes.release(delays)
        except RedisDown as error:
            log.warning("redis_down", error=str(error))  # the next beat gives them back


def _choose_again_seconds(lane: PlayedLane, deferred: float | None) -> float | None:
    """The earlier of what the round asked for and what the delivery did."""
    more = 0.0 if lane.has_more_rows and deferred is None else None
    wanted = [seconds for seconds in (lane.again_seconds, deferred, more) if seconds is not None]
    return min(wanted, default=None)
