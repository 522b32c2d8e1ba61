"""Checks whether a process can do its work: whether the webhooks that come now would be stored, above all.

Invariants
- What has a webhook answered 503 has /readyz answered 503, with the reason: it goes by what became of the last webhook,
  and where none came lately by a rehearsal of one.
- A Redis that is down, refuses us, or may throw keys away, is told, and is no reason to take the process out of
  service: webhooks are safe without it.
- A check gives up in seconds, and however often it is asked for, it is made once a second at most.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bot.clock import Clock
from bot.intake.intake import Intake
from bot.intake.rehearsal import Rehearsal
from bot.redis_watch import RedisWatch
from bot.whatsapp.webhook.items import Item
from storage import worker_pulses
from storage.redis.client import RedisDown, describe_refusal
from storage.redis.lanes import Lanes
from storage.sql.database import Database, DatabaseDown, RowsHeld
from storage.sql.migrate import list_missing
from storage.sql.refused_writes import explain_refused_write

DATABASE_SECONDS = 3.0
REDIS_SECONDS = 1.0
FRESH_SECONDS = 1.0  # for which a check is not made again
OUTCOME_SECONDS = 2.0  # for which what became of a webhook tells what becomes of the next
PULSE_LASTS = timedelta(seconds=10)
REDIS_SILENT = "it does not answer"


class WorkerState(StrEnum):
    """Whether there is a worker, as /readyz shows it."""

    ALIVE = "alive"
    NONE = "none"
    UNKNOWN = "unknown"  # Redis, which knows, does not answer, and no worker has told SQL of itself


@dataclass(frozen=True, slots=True)
class Readiness:
    """What keeps a process from its work (`problems`: the part, and why), and how the worker and Redis are. `worker` is
    `unknown` where neither Redis nor SQL has heard of one; `degraded`: Redis is away, or set as Tick would not start
    with it: webhooks are kept, and the answers to them may take seconds longer; `troubles`: what makes some work wait
    meanwhile, a sentence each."""

    problems: dict[str, str]
    worker: WorkerState
    redis: str
    degraded: bool
    troubles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a webhook: `error` is None when it was stored."""

    at: float
    error: BaseException | None


class WatchedIntake:
    """Hands webhooks to the intake, and remembers what became of the last one."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.last: Outcome | None = None  # None also where it raised for what may be its own sake

    async def receive(self, body: bytes) -> Sequence[Item]:
        """Does what `Intake.receive` does."""
        try:
            items = await self._intake.receive(body)
        except RowsHeld:  # it is for the sake of those whom this webhook names: the next is stored
            raise
        except DatabaseDown as error:
            self.last = Outcome(_read_time(), error)
            raise
        except asyncio.CancelledError:  # by whoever then answers 503
            self.last = Outcome(_read_time(), TimeoutError())
            raise
        except Exception:
            self.last = None
            raise
        self.last = Outcome(_read_time(), None)
        return items


class ReadinessCheck:
    """Checks the readiness of one process. `is_redis_embedded`: Redis is Tick's own; `troubles`: what makes work wait
    at the database now, a sentence by subject."""

    def __init__(
        self,
        *,
        database: Database,
        lanes: Lanes,
        intake: WatchedIntake,
        rehearsal: Rehearsal,
        clock: Clock,
        redis_watch: RedisWatch,
        is_redis_embedded: bool,
        troubles: Mapping[str, str],
    ) -> None:
        self._database = database
        self._lanes = lanes
        self._intake = intake
        self._rehearsal = rehearsal
        self._clock = clock
        self._redis_watch = redis_watch
        self._is_redis_embedded = is_redis_embedded
        self._troubles = troubles
        self._has_all_migrations = False  # asked until it is so, and not again
        self._checking = asyncio.Lock()
        self._checked: tuple[float, Readiness] | None = None

    async def run(self) -> Readiness:
        """Asks the database and Redis."""
        async with self._checking:
            if self._checked is None or _read_time() - self._checked[0] >= FRESH_SECONDS:
                found = await self._check()
                self._checked = (_read_time(), found)
            return self._checked[1]

    async def _check(self) -> Readiness:
        problems = await self._check_database()
        worker, redis, is_redis_there = WorkerState.UNKNOWN, REDIS_SILENT, False
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await self._lanes.check_writes()
                is_redis_there = True
                # None: Redis has just come (back), and whoever is alive speaks up within a second
                worker = WorkerState.ALIVE if await self._lanes.is_anybody_alive() else WorkerState.NONE
                redis = "ok"
        except TimeoutError:
            pass
        except RedisDown as error:
            if error.refusal is not None:
                redis = describe_refusal(error.refusal, is_embedded=self._is_redis_embedded)
        if worker is WorkerState.NONE:
            problems["worker"] = "none is alive"
        unfit = self._redis_watch.unfit
        if is_redis_there:
            redis = unfit or (redis if problems else self._redis_watch.line or redis)
        elif await self._has_pulse():
            worker = WorkerState.ALIVE
        degraded = bool(unfit) or not is_redis_there
        return Readiness(problems, worker, redis, degraded=degraded, troubles=sorted(self._troubles.values()))

    async def _has_pulse(self) -> bool:
        """Whether a worker gave its pulse in SQL lately, as one does that goes on without Redis."""
        try:
            async with asyncio.timeout(DATABASE_SECONDS), self._database.reading() as tx:
                pulses = await worker_pulses.list_pulses(tx)
        except (DatabaseDown, TimeoutError):
            return False
        now = self._clock()
        return any(abs(now - pulse.beat_at) < PULSE_LASTS for pulse in pulses)

    async def _check_database(self) -> dict[str, str]:
        last = self._intake.last
        try:
            if last is None or _read_time() - last.at >= OUTCOME_SECONDS:
                with suppress(RowsHeld):  # another process rehearses, or stands still in that: no webhook meets its row
                    async with asyncio.timeout(DATABASE_SECONDS):
                        await self._rehearsal.run(thorough=last is not None and last.error is not None)
            elif last.error is not None:
                return {"database": explain_refused_write(last.error)}
            if not await self._has_every_migration():
                return {"migrations": "some are missing: run `tick migrate`"}
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, a webhook would meet it too
            return {"database": explain_refused_write(error)}
        return {}

    async def _has_every_migration(self) -> bool:
        if not self._has_all_migrations:
            async with asyncio.timeout(DATABASE_SECONDS):
                self._has_all_migrations = not await list_missing(self._database)
        return self._has_all_migrations


def _read_time() -> float:
    return asyncio.get_running_loop().time()
