"""Tick's own Redis hangs: customers are answered all the same, and it is started anew."""

import os
import signal
from pathlib import Path

from tests.system.end_to_end.test_outages import assert_taken_at_once, post_message, wait_for_answers
from tests.system.end_to_end.tick import PATIENCE_SECONDS, run_tick


async def test_our_own_redis_hangs(migrated_sqlite_url: str, tmp_path: Path) -> None:
    async with run_tick(migrated_sqlite_url, "", tmp_path, "instant") as tick:
        await tick.write("It is broken")
        recorded = tmp_path / "redis" / "pid"
        hanging = recorded.read_text()
        os.kill(int(hanging), signal.SIGSTOP)
        assert_taken_at_once([await post_message(tick, f"It is still broken, {text}") for text in ("two", "and three")])
        assert await wait_for_answers(tick, 3) < PATIENCE_SECONDS
        await tick.wait_until_settled()
        assert await tick.read_items() == [["message", "done", ""]] * 3

        async def is_another() -> bool:
            return recorded.exists() and recorded.read_text() not in ("", hanging)

        await tick.wait_until("there is another Redis", is_another)
