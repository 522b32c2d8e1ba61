"""Forty customers write to two workers while one of them is killed every second, or stands still beyond its lease.

Nothing that was acknowledged is lost, nothing is doubled, out of order or sent twice, and nobody waits for long: judged
by what the customers sent and saw, never by Tick's own tables. The figures are printed. `make chaos` plays the same for
longer; CHAOS_SEED rolls other dice.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.support.servers import RedisServer
from tests.system.chaos.judge import PHASES, Verdict, judge
from tests.system.chaos.rig import ChaosPlan, run_chaos

KILLS = int(os.environ.get("CHAOS_KILLS", "16"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))


async def test_workers_may_die_at_any_moment(
    mariadb_url: str, redis_url: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    plan = ChaosPlan(kills=KILLS, max_kills=2 * KILLS, seed=SEED)
    evidence = await run_chaos(plan, tmp_path, database_url=mariadb_url, redis_url=redis_url)
    assert_passes(judge(evidence), plan, figures)


async def test_redis_may_forget_everything_meanwhile(
    mariadb_url: str, redis_url: str, redis_server: RedisServer, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    plan = ChaosPlan(kills=KILLS, max_kills=2 * KILLS, seed=SEED + 1, in_the_middle=redis_server.flush)
    evidence = await run_chaos(plan, tmp_path, database_url=mariadb_url, redis_url=redis_url)
    assert_passes(judge(evidence), plan, figures)


async def test_nobody_waits_long_beside_a_message_that_kills_its_workers(
    mariadb_url: str, redis_url: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    """It is given up after five deaths. Who shared its first round shares no other, and is in no doubt by it."""
    plan = ChaosPlan(customers=20, is_deadly=True, doubt_seconds=30, max_status_delay_seconds=1.0, seed=SEED)
    verdict = judge(await run_chaos(plan, tmp_path, database_url=mariadb_url, redis_url=redis_url))
    figures(json.dumps(verdict.figures, indent=2))
    assert verdict.broken == []
    assert verdict.figures["customers"] >= plan.customers


def assert_passes(verdict: Verdict, plan: ChaosPlan, figures: Callable[[str], None]) -> None:
    figures(json.dumps(verdict.figures, indent=2))
    assert verdict.broken == []
    assert verdict.figures["customers"] >= plan.customers
    assert verdict.figures["kills"] >= plan.kills
    assert verdict.figures["stalls"] >= plan.stalls
    kills = verdict.figures["kills_by_phase"]
    assert all(kills[phase] >= plan.min_kills_per_phase for phase in PHASES), kills
