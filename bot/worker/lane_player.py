"""Has claimed lanes played in rounds, and finds the lane at fault when a round fails.

Invariants
- A lane is given back whatever happens, unless it is delivered.
- An item whose turn raises, or whose process dies in its round, counts one attempt; after five it is dead, and the lane
  goes on.
- A lane that meets rows which another session holds is tried by itself, after a back-off. No other lane waits for it.
- A round that hangs because the database does not answer this process is given up, so that another process plays it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from bot.worker.lane_claims import LaneClaims
from bot.worker.played_lane import PlayedLane
from bot.worker.poison import LanesOfRound, Poison, Suspicion, divide_into_rounds
from bot.worker.rounds import Rounds
from storage.redis.client import RedisDown
from storage.redis.lanes import ClaimedLane, LanePhase
from storage.sql.database import Database, DatabaseDown, RowsHeld
from storage.sql.held_rows import HeldFor
from storage.sql.lock_waits import LockWait

RETRY_SECONDS = 1.0  # after the database was down
ROUND_FAILED_SECONDS = 5.0  # after a round that raised: it will hardly go better at once
MAX_QUIET_SECONDS = 0.5  # that lanes which may end this process wait for what is being sent
MAX_ASIDE_AT_ONCE = 3  # transactions: the others want connections too
SILENT_SECONDS = 1.0  # that a round takes before the database is asked whether it is there
ANSWER_SECONDS = 1.5  # that it may take to say so
LOOK_AGAIN_SECONDS = 0.5
log = structlog.get_logger(__name__)


class LanePlayer:
    """Plays claimed lanes for one process. `follow_up`: does what comes after a round's commit; `is_delivering`:
    whether a lane is in the hands of its delivery, which gives it back. `aside`: what is played beside the rounds."""

    def __init__(
        self,
        *,
        database: Database,
        lanes: LaneClaims,
        rounds: Rounds,
        poison: Poison,
        follow_up: Callable[[Sequence[PlayedLane]], Awaitable[None]],
        let_sends_end: Callable[[float], Awaitable[None]],
        is_delivering: Callable[[int], bool],
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._rounds = rounds
        self._poison = poison
        self._follow_up = follow_up
        self._let_sends_end = let_sends_end
        self._is_delivering = is_delivering
        self._held = database.held[HeldFor.LANES]
        self._slots = asyncio.Semaphore(MAX_ASIDE_AT_ONCE)
        self._is_silent = False
        self.aside: set[asyncio.Task[None]] = set()

    async def play(self, claimed: Sequence[ClaimedLane]) -> None:
        """Plays these lanes; whatever goes wrong costs them some time, and nobody else any."""
        apart = [lane for lane in claimed if self._held.has_any((lane.customer_id,))]
        self._set_aside(apart)
        if together := [lane for lane in claimed if lane not in apart]:
            await self._play_unless_silent(together)

    async def wait_for_database(self) -> None:
        """Waits until the database answers again, after it did not."""
        while self._is_silent:
            self._is_silent = not await self._database.answers(ANSWER_SECONDS)
            if self._is_silent:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _play_unless_silent(self, claimed: Sequence[ClaimedLane]) -> None:
        """Plays these lanes, and gives them up while the database does not answer: it may answer another process."""
        playing = asyncio.create_task(self._play_safely(claimed))
        try:
            while not (await asyncio.wait((playing,), timeout=SILENT_SECONDS))[0]:  # SQLite answers always
                if not await self._database.answers(ANSWER_SECONDS) and not playing.done():
                    log.warning("database_silent", lanes=len(claimed))
                    self._is_silent = True
                    break
        finally:
            was_given_up = not playing.done()
            playing.cancel()
            await asyncio.wait((playing,))
        if was_given_up:
            await self._give_back(claimed, RETRY_SECONDS)
        else:
            playing.result()

    async def _play_safely(self, claimed: Sequence[ClaimedLane], lock_wait: LockWait = LockWait.USUAL) -> None:
        try:
            await self._play(claimed, lock_wait)
        except RowsHeld:
            pause_seconds = self._held.note([lane.customer_id for lane in claimed])
            log.info("rows_held", lanes=len(claimed), again_seconds=pause_seconds)
            await self._give_back(claimed, pause_seconds)
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
            self._is_silent = True
            await self._give_back(claimed, RETRY_SECONDS)
        except Exception:
            log.exception("round_failed", lanes=len(claimed))
            await self._give_back(claimed, ROUND_FAILED_SECONDS)

    async def _give_back(self, claimed: Sequence[ClaimedLane], seconds: float) -> None:
        aside = {task.get_name() for task in self.aside if task is not asyncio.current_task()}
        left = [
            lane.customer_id
            for lane in claimed
            if not self._is_delivering(lane.customer_id) and _name_task(lane) not in aside
        ]
        try:
            await self._lanes.release(dict.fromkeys(left, seconds))
        except RedisDown as error:
            log.warning("redis_down", error=str(error))  # the next beat gives them back

    async def _play(self, claimed: Sequence[ClaimedLane], lock_wait: LockWait) -> None:
        """Plays what was claimed, in one round or more.

        What is being sent when a process dies is in doubt. So nothing is being sent while a round is played that may
        end with this process: the lanes that shared such a round are delivered once all of them are played.
        """
        in_round = [lane.customer_id for lane in claimed if lane.orphan_phase is LanePhase.ROUND]
        waiting = [lane.customer_id for lane in claimed if lane.orphan_phase is LanePhase.WAITING]
        rounds = list(divide_into_rounds(claimed, await self._poison.count_deaths(in_round, waiting)))
        suspects = [one for one in rounds if one.suspicion is not Suspicion.NONE]
        await self._note_phase([lane for one in suspects for lane in one.lanes], LanePhase.WAITING)
        held_back: list[PlayedLane] = []
        quiet_until = asyncio.get_running_loop().time() + MAX_QUIET_SECONDS
        try:
            for one in rounds:
                if one.suspicion is Suspicion.STRONG:
                    await self._follow_up(held_back)
                    held_back = []
                if one.suspicion is not Suspicion.NONE:
                    await self._let_sends_end(quiet_until)
                    await self._note_phase(one.lanes, LanePhase.ROUND)
                played = await self._play_round(one, lock_wait)
                if one.suspicion is Suspicion.SHARED:
                    held_back += played
                    await self._note_phase(one.lanes, LanePhase.DELIVERY)
                else:
                    await self._follow_up(played)
        finally:
            await self._follow_up(held_back)

    async def _play_round(self, one: LanesOfRound, lock_wait: LockWait) -> list[PlayedLane]:
        """Plays one round; of one that raised, the lanes one by one, to find the one at fault. Raises DatabaseDown, and
        RowsHeld where there is but one lane, which is tried by itself already."""
        try:
            return await self._rounds.play(one.lanes, one.max_items, lock_wait)
        except RowsHeld:
            if lock_wait is LockWait.HASTY:
                raise
            log.info("round_split_by_held_rows", lanes=len(one.lanes))
            self._set_aside([replace(lane, orphan_phase=None) for lane in one.lanes])
        except DatabaseDown:
            raise
        except Exception:
            if len(one.lanes) == 1:
                log.exception("round_failed", lanes=1)
                await self._give_back(one.lanes, ROUND_FAILED_SECONDS)
                return []
            log.exception("round_split", lanes=len(one.lanes))
            for lane in one.lanes:
                if lane.customer_id in self._lanes.held and not self._is_delivering(lane.customer_id):
                    await self._play_safely([replace(lane, orphan_phase=None)])
        return []

    def _set_aside(self, lanes: Sequence[ClaimedLane]) -> None:
        """Has each of these lanes played by itself, without waiting for that."""
        for lane in lanes:
            task = asyncio.create_task(self._play_aside(lane), name=_name_task(lane))
            self.aside.add(task)
            task.add_done_callback(self.aside.discard)

    async def _play_aside(self, lane: ClaimedLane) -> None:
        async with self._slots:
            await self._play_safely([lane], LockWait.HASTY)

    async def _note_phase(self, lanes: Sequence[ClaimedLane], phase: LanePhase) -> None:
        """Notes what is done with these lanes: should this process die in a round, those that wait are not to blame."""
        if not lanes:
            return
        try:
            await self._lanes.mark([lane.customer_id for lane in lanes], phase)
        except RedisDown as error:
            log.warning("redis_down", error=str(error))


def _name_task(lane: ClaimedLane) -> str:
    return f"lane-{lane.customer_id}"
