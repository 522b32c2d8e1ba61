"""Every recorded webhook body, from the socket to the answer: one exact outcome each, written down in expected/.

The clock stands shortly after a file's own timestamps, so what is expected is what Tick would have done then; but a
week after them for what Meta delivers a week late.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import PAYLOADS
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick import Tick

HERE = Path(__file__).parent
BODIES = {path: path.read_bytes() for path in sorted((PAYLOADS / "webhooks").iterdir())}


VARIANTS = [Variant("sqlite", "guided"), Variant("sqlite", "instant"), Variant("mariadb", "instant")]


@pytest.fixture(scope="module", params=VARIANTS, ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


def expected_of(path: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((HERE / "expected" / f"{path.stem}.json").read_text("utf-8"))
    return expected


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.name)
async def test_a_body_into_an_empty_journal(tick: Tick, variant: Variant, path: Path) -> None:
    expected = expected_of(path)
    tick.clock.set(datetime.fromisoformat(expected["at"]))
    answered = await tick.post(BODIES[path])
    await tick.wait_until_at_rest()
    outcome = {"status": answered.status} | await tick.read_outcome()
    for found, written in zip(outcome["items"], expected["items"], strict=True):
        if found[2] in written[2].split(" or "):  # how deep is too deep is each Python's own business
            written[2] = found[2]
    common = {key: value for key, value in expected.items() if key not in ("at", "guided", "instant")}
    assert outcome == common | expected[variant.flow]


def test_every_outcome_written_down_has_its_body() -> None:
    assert {path.stem for path in (HERE / "expected").iterdir()} == {path.stem for path in BODIES}
