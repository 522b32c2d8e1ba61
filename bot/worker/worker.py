"""The worker: claims lanes that are due, plays them in rounds, and delivers each lane by itself.

Invariants: a round waits for no delivery, and no lane waits for another's; every lane that was claimed is released,
whatever happened to it; an item whose own turn fails, or whose process dies in its round, counts one attempt, and after
five it is dead and the lane goes on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from bot.delivery.delivery import Delivery
from bot.delivery.read_receipts import ReadReceipts
from bot.media.transfer import MediaTransfer
from bot.worker.maintenance import Maintenance
from bot.worker.poison import Poison
from bot.worker.rounds import MOST_ITEMS, Played, Rounds
from storage.redis.client import RedisDown
from storage.redis.lanes import ClaimedLane, LanePhase, Lanes, WorkingCopy
from storage.sql.database import DatabaseDown

TYPING_AFTER_SECONDS = 1.0
MOST_LANES = 256
AGAIN_SECONDS = 1.0
FAILED_SECONDS = 0.1
SUSPECTS_TOGETHER = 8
GRACE_SECONDS = 10.0
CANCEL_SECONDS = 0.2
log = structlog.get_logger(__name__)


class Worker:
    """Does one process's share of the work.

    `background`: what runs until the stop and has nothing to do with lanes. `slow_seconds`: how long a delivery keeps
    its lane from the next turn.
    """

    def __init__(
        self,
        *,
        lanes: Lanes,
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
        self._rounds = rounds
        self._poison = poison
        self._delivery = delivery
        self._maintenance = maintenance
        self._read_receipts = read_receipts
        self._media = media
        self._background = background
        self._slow_seconds = slow_seconds
        self._deliveries: set[asyncio.Task[None]] = set()
        self._delivering: dict[int, asyncio.Task[None]] = {}
        self._resting = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`; then claims nothing more, finishes what is being sent, and leaves its lanes to others."""
        loops = (*self._maintenance.loops(), *(run(stop) for run in self._background))
        background = [asyncio.create_task(loop) for loop in loops]
        working = asyncio.create_task(self._work(stop))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._resting:
                working.cancel()  # or a stop would take as long as a rest
            else:
                await asyncio.wait_for(working, GRACE_SECONDS)
            if self._deliveries:
                await asyncio.wait(self._deliveries, timeout=GRACE_SECONDS)
        finally:
            await _ended((*background, working, stopping, *self._deliveries))
            await self._read_receipts.close()
            try:
                await self._lanes.retire()
            except RedisDown:
                log.warning("redis_down_at_exit")

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                claim = await self._lanes.claim(MOST_LANES - len(self._lanes.held))
                if claim.lanes:
                    await self._handle_safely(claim.lanes)
                elif len(self._lanes.held) >= MOST_LANES:
                    await asyncio.sleep(0.01)  # full: the deliveries under way give room
                else:
                    due = claim.next_due_seconds
                    await self._rest(1.0 if due is None else max(due, 0.001))
            except RedisDown as error:
                log.warning("redis_down", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)

    async def _rest(self, seconds: float) -> None:
        """Nothing is claimed meanwhile, so whoever ends it early takes nothing from anybody."""
        self._resting = True
        try:
            await self._lanes.wait(seconds)
        finally:
            self._resting = False

    async def _handle_safely(self, claimed: Sequence[ClaimedLane]) -> None:
        """Whatever goes wrong costs these lanes some time, and never the worker."""
        try:
            await self._handle(claimed)
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
            await self._give_back(claimed, AGAIN_SECONDS)
        except Exception:
            log.exception("round_failed", lanes=len(claimed))
            await self._give_back(claimed, 5 * AGAIN_SECONDS)

    async def _give_back(self, claimed: Sequence[ClaimedLane], seconds: float) -> None:
        left = [lane.customer_id for lane in claimed if lane.customer_id not in self._delivering]
        await self._release(dict.fromkeys(left, seconds))

    async def _handle(self, claimed: Sequence[ClaimedLane]) -> None:
        """Each round of what was claimed. One that fails in SQL is split, to find the lane whose fault it is."""
        in_round = [lane.customer_id for lane in claimed if lane.orphan_phase is LanePhase.ROUND]
        waiting = [lane.customer_id for lane in claimed if lane.orphan_phase is LanePhase.WAITING]
        rounds = list(_rounds_of(claimed, await self._poison.died(in_round, waiting)))
        await self._mark([lane for lanes, _ in rounds[1:] for lane in lanes], LanePhase.WAITING)
        for number, (lanes, most_items) in enumerate(rounds):
            if number:
                await self._mark(lanes, LanePhase.ROUND)
            try:
                await self._after(await self._rounds.play(lanes, most_items))
            except DatabaseDown:
                raise
            except Exception:
                if len(lanes) == 1:
                    raise
                log.exception("round_split", lanes=len(lanes))
                for lane in lanes:
                    if lane.customer_id in self._lanes.held and lane.customer_id not in self._delivering:
                        await self._handle_safely([replace(lane, orphan_phase=None)])

    async def _mark(self, lanes: Sequence[ClaimedLane], phase: LanePhase) -> None:
        """Should this process die in one round, the lanes that wait for the next are not to blame."""
        try:
            await self._lanes.mark([lane.customer_id for lane in lanes], phase)
        except RedisDown as error:
            log.warning("redis_down", error=str(error))

    async def _after(self, played: Sequence[Played]) -> None:
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
                await self._poison.failed(lane.customer_id, lane.failure)
                lane.again_seconds = FAILED_SECONDS
            if lane.heard_wamid:
                self._read_receipts.mark_read(lane.customer_id, lane.heard_wamid)
        if any(lane.files for lane in played):
            self._media.ring()
        done = {lane.customer_id: _again(lane, None) for lane in played if not lane.rows}
        for lane in sending:
            task = self._delivering[lane.customer_id] = asyncio.create_task(self._deliver(lane))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)
        if done:
            await self._release(done)

    async def _deliver(self, lane: Played) -> None:
        """Delivers and releases the lane. While Meta takes its time over a request, the lane is already free: its turns
        go on, and its later sends wait for the row that is still marked as being sent."""
        sending = asyncio.create_task(self._delivery.deliver(lane.state, lane.rows))
        again: float | None = AGAIN_SECONDS
        held = True
        try:
            done, _ = await asyncio.wait((sending,), timeout=self._slow_seconds)
            if not done:
                held = False
                self._leave(lane.customer_id)
                await self._release({lane.customer_id: _again(lane, None)})
            deferred = await sending
            again = None if deferred is None else deferred.seconds
            if lane.heard_wamid and again is not None and again > TYPING_AFTER_SECONDS:
                self._read_receipts.show_typing(lane.customer_id)
        except Exception:
            log.exception("delivery_failed", customer_id=lane.customer_id)  # the row stays as it is marked
        finally:
            sending.cancel()
            await asyncio.wait((sending,))
            if held:
                self._leave(lane.customer_id)
                await self._release({lane.customer_id: _again(lane, again)})
            else:
                await self._ring(lane.customer_id, again or 0.0)

    def _leave(self, customer_id: int) -> None:
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


def _rounds_of(
    claimed: Sequence[ClaimedLane], deaths: Mapping[int, int]
) -> Iterator[tuple[Sequence[ClaimedLane], int]]:
    """What killed a process may be among the lanes that it left. After one death it is one of many; after two they run
    a few at a time, and from the third on each runs alone and one item at a time, so that it is found before the
    innocent are blamed."""
    first = [lane for lane in claimed if deaths.get(lane.customer_id, 0) < 2]
    second = [lane for lane in claimed if deaths.get(lane.customer_id, 0) == 2]
    alone = [lane for lane in claimed if deaths.get(lane.customer_id, 0) > 2]
    if first:
        yield first, MOST_ITEMS
    for start in range(0, len(second), SUSPECTS_TOGETHER):
        yield second[start : start + SUSPECTS_TOGETHER], MOST_ITEMS
    for lane in alone:
        yield [lane], 1


def _again(lane: Played, rest: float | None) -> float | None:
    """The earlier of what the round and the delivery asked for."""
    more = 0.0 if lane.more and rest is None else None
    wanted = [seconds for seconds in (lane.again_seconds, rest, more) if seconds is not None]
    return min(wanted, default=None)


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels until all have ended: now and then a client of Redis or SQL swallows a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
