"""Customers write to two webs and two workers while Redis hangs, comes back, and is gone for good.

A worker dies while Redis hangs, when only SQL knows who is alive. Nothing is lost, doubled, out of order or sent twice;
nobody waits for long, and no webhook waits for Redis. The figures are printed. `make chaos` has it away for 30 s each.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from api.bench.driver import LoadDriver
from tests.support.servers import RedisServer
from tests.system.chaos.judge import Evidence, judge
from tests.system.chaos.rig import ChaosPlan, run_chaos
from tests.system.chaos.workers import WorkerPool

AWAY_SECONDS = 30.0 if "CHAOS_KILLS" in os.environ else 4.0
MIN_ANSWERS = 20  # of each phase, which lasts longer on a machine that is busy
MAX_PHASE_SECONDS = 120.0
NOTICED_SECONDS = 3.0  # after which a process knows that Redis is away
BACK_SECONDS = 2.0  # after which everything goes by Redis again
SEED = int(os.environ.get("CHAOS_SEED", "1"))


class Outages:
    """What happens to a Redis in one run, and when."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self.begun_at: dict[str, float] = {}

    def _begin(self, phase: str) -> None:
        self.begun_at[phase] = time.time()

    async def bring_about(self, pool: WorkerPool, driver: LoadDriver) -> None:
        """Has Redis hang for a while, with a worker that dies meanwhile, and then be gone."""
        self._begin("there")
        await wait_for_answers(driver, 0.0)
        self._begin("hangs")
        self._redis.send(signal.SIGSTOP)
        try:
            await wait_for_answers(driver, AWAY_SECONDS)
            await pool.kill_one(settled_seconds=0.0, wait_seconds=0.5)
            await wait_for_answers(driver, 0.0)
        finally:
            self._redis.send(signal.SIGCONT)
        self._begin("back")
        await wait_for_answers(driver, BACK_SECONDS)
        self._begin("gone")
        await asyncio.to_thread(self._redis.stop, signal.SIGKILL)
        await wait_for_answers(driver, AWAY_SECONDS)

    def list_waits(self, evidence: Evidence) -> dict[str, dict[str, float]]:
        """Lists how long customers waited for their answers, and webhooks for theirs, by what Redis did meanwhile."""
        answered: dict[str, list[float]] = {}
        for send in sorted(evidence.standin, key=lambda send: float(send["at"])):
            answered.setdefault(str(send["customer"]), []).append(float(send["at"]))
        phases = [*self.begun_at.items()]
        waits: dict[str, list[float]] = {}
        acks: dict[str, list[float]] = {}
        for event in (event for event in evidence.driver if event["event"] == "sent"):
            at = float(event["acked_at"])
            phase, began = next(((name, began) for name, began in reversed(phases) if at >= began), phases[0])
            settled = {"hangs": NOTICED_SECONDS, "back": BACK_SECONDS, "gone": NOTICED_SECONDS}.get(phase, 0.0)
            name = phase if at - began >= settled else f"{phase}, at first"
            theirs = answered[str(event["customer"])]
            waits.setdefault(name, []).append(max(0.0, theirs[int(event["n"]) - 1] - at))
            acks.setdefault(name, []).append(float(event["ack_seconds"]))
        return {
            name: {
                "messages": len(seconds),
                "wait_median": round(median(seconds), 3),
                "wait_most": round(max(seconds), 3),
                "ack_median": round(median(acks[name]), 3),
                "ack_most": round(max(acks[name]), 3),
            }
            for name, seconds in waits.items()
        }


async def wait_for_answers(driver: LoadDriver, seconds: float) -> None:
    """Waits for so long, and then until enough messages of customers were answered."""
    await asyncio.sleep(seconds)
    enough = driver.steps + MIN_ANSWERS
    async with asyncio.timeout(MAX_PHASE_SECONDS):
        while driver.steps < enough:
            await asyncio.sleep(0.05)


async def test_redis_hangs_and_is_gone(
    mariadb_url: str,
    redis_url: str,  # which says that the tests' Redis ran
    at_hand: Callable[[str, Callable[[], RedisServer]], RedisServer],
    tmp_path: Path,
    figures: Callable[[str], None],
) -> None:
    redis = at_hand("redis", RedisServer)
    redis.start()
    outages = Outages(redis)
    try:
        plan = ChaosPlan(customers=20, web_processes=2, trouble=outages.bring_about, seed=SEED)
        evidence = await run_chaos(plan, tmp_path, database_url=mariadb_url, redis_url=redis.url)
    finally:
        redis.close()
    verdict = judge(evidence)
    waits = outages.list_waits(evidence)
    figures(json.dumps({**verdict.figures, "by_phase": waits}, indent=2))
    assert verdict.broken == []
    assert {"there", "hangs", "back", "gone"} <= waits.keys()
