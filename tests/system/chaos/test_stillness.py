"""A worker that stands still in the middle of a transaction keeps nobody waiting but those whom it had in its hands.

It is frozen (SIGSTOP), or its way to MariaDB falls silent, as after a power cut: no connection is closed. Those whom it
had are taken over. The short form is one of each for a few seconds; `make chaos` plays ten and five, for 15 s.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.support.servers import MariaDBServer
from tests.system.chaos.judge import judge
from tests.system.chaos.rig import ChaosPlan, run_chaos
from tests.system.chaos.stillness import SilentProxy, Stillnesses, measure_waits

FREEZES = int(os.environ.get("CHAOS_FREEZES", "1"))
SILENCES = int(os.environ.get("CHAOS_SILENCES", "1"))
SECONDS = float(os.environ.get("CHAOS_STILL_SECONDS", "5"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
MAX_OTHERS_SECONDS = 2.0
MAX_TAKEOVER_SECONDS = 6.0


async def test_a_frozen_worker_keeps_nobody_else_waiting(
    mariadb_url: str, redis_url: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    still = Stillnesses(FREEZES, SECONDS, mariadb_url, redis_url)
    await play(still, tmp_path, figures)


async def test_a_worker_that_is_cut_off_keeps_nobody_else_waiting(
    mariadb_url: str, mariadb_server: MariaDBServer, redis_url: str, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    proxy = SilentProxy(mariadb_server.port)
    await proxy.listen()
    await play(Stillnesses(SILENCES, SECONDS, mariadb_url, redis_url, proxy), tmp_path, figures)
    await proxy.close()


async def play(still: Stillnesses, folder: Path, figures: Callable[[str], None]) -> None:
    first_worker = {}
    if still.proxy is not None:
        place = still.database_url.rpartition("@")[0], still.database_url.rpartition("/")[2]
        first_worker = {"DATABASE_URL": f"{place[0]}@127.0.0.1:{still.proxy.port}/{place[1]}"}
    plan = ChaosPlan(
        customers=24, doubt_seconds=15, seed=SEED, trouble=still.bring_about, first_worker_env=first_worker
    )
    evidence = await run_chaos(plan, folder, database_url=still.database_url, redis_url=still.redis_url)
    verdict, measured = judge(evidence), measure_waits(evidence, still.seen)
    stretch = evidence.stall_seconds / plan.stall_seconds
    figures(json.dumps(measured | {"stretch": round(stretch, 2), "judged": verdict.figures}))
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == ([], [], [])
    assert len(still.seen) == still.times
    assert measured["others"] > 0
    assert measured["others_wait_most"] <= MAX_OTHERS_SECONDS * stretch
