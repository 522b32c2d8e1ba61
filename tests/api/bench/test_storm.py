"""The storm refuses half of the customers in every way, and the figures are of the other half."""

from pathlib import Path

from api.bench.customers import Habits
from api.bench.rig import set_up_rig
from api.bench.storm import REFUSALS, StormOptions, StormResult, StormRun, play
from tests.support.openapi import contract


async def test_half_are_refused_and_the_others_answered(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    options = StormOptions(customers=12, rate=12, seconds=2)

    def check_request(method: str, path: str, body: bytes) -> None:
        contract.record_request(method, path, {}, body)

    habits = Habits(follow_ups=1)
    async with set_up_rig(
        "tick", tmp_path, sqlite_url, redis_url, habits=habits, per_second=80, on_request=check_request
    ) as rig:
        run = await play(rig, options, storm=True)
    assert run.problems == ()
    assert run.replies == 12, "half of what was written"
    assert run.refusals.keys() == REFUSALS.keys()
    assert 0 < run.p50 <= run.p95


def test_the_ratio_is_that_of_neighbours() -> None:
    def run(p95: float) -> StormRun:
        return StormRun(replies=1, p50=0.1, p95=p95, refusals={}, problems=())

    result = StormResult("", 2, calm=[run(0.1), run(0.2), run(0.4)], storm=[run(0.1), run(0.3), run(1.2)])
    assert [round(each, 2) for each in (result.ratio.least, result.ratio.median, result.ratio.most)] == [1, 1.5, 3]
