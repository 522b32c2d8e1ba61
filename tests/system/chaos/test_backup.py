"""A backup while twenty customers walk, a restore, and a start on what was restored: judged from outside.

Every ticket of the backup is there, nothing goes out by itself or a second time, new customers are served, and whoever
runs Tick is told. Redis is the one from before: what it knows of later times must not count.
"""

import asyncio
import json
import sqlite3
import tarfile
from collections import Counter
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

from api.bench.customers import Habits
from api.bench.driver import LoadDriver
from api.bench.graph_stand_in import GraphStandIn, StatusPlan
from api.bench.programs import build_environment, find_free_port, run_command, run_program
from api.bench.webhooks import Webhooks
from tests.system.chaos.rig import NUMBER, SECRET, TICK, AgentReader, check_request

CUSTOMERS = 20
MIN_STEPS = 60  # that are walked before the backup, and as many after it


async def test_a_backup_under_load_is_restored_and_nothing_is_sent_twice(tmp_path: Path, redis_url: str) -> None:
    port, graph_port = find_free_port(), find_free_port()
    url = f"http://127.0.0.1:{port}"
    env = build_environment(
        WHATSAPP_API_URL=f"http://127.0.0.1:{graph_port}/v25.0", WHATSAPP_PHONE_NUMBER_ID=NUMBER.phone_number_id,
        WHATSAPP_ACCESS_TOKEN="rig-access-token", WHATSAPP_VERIFY_TOKEN="rig-verify-token",
        WHATSAPP_APP_SECRET=SECRET, REDIS_URL=redis_url, DATA_DIR=str(tmp_path / "data"), HOST="127.0.0.1",
        PORT=str(port), BURST_SECONDS="0", RECEIPT_SECONDS="0", DOUBT_SECONDS="1", WHATSAPP_MESSAGES_PER_SECOND="0",
    )  # fmt: skip
    printed = await run_command([*TICK, "key", "create", "rig", "--role", "admin"], folder=tmp_path, env=env)
    desk = AgentReader(url, printed.strip().splitlines()[-1].strip())
    webhooks, log = Webhooks(url, SECRET), tmp_path / "standin.jsonl"
    driver = LoadDriver(NUMBER, webhooks, habits=Habits(follow_ups=4, pause_seconds=0.2))
    slow = StatusPlan(min_seconds=0.5, max_seconds=3.0)  # so that much of what is sent has no news yet
    standin = GraphStandIn(NUMBER, webhooks, plan=slow, on_send=driver.receive, log=log, on_request=check_request)
    async with AsyncExitStack() as stack:
        for close in (standin.close, webhooks.close):
            stack.push_async_callback(close)
        stack.callback(desk.close)
        stack.callback(driver.close)
        await standin.listen(graph_port)
        async with run_program("serve", [*TICK, "serve"], folder=tmp_path, env=env) as serve:
            await serve.wait_until_ready(url, "/readyz")
            playing = asyncio.create_task(driver.play(CUSTOMERS))
            stack.callback(playing.cancel)
            await wait_for_steps(driver, MIN_STEPS)
            said = await run_command([*TICK, "backup", "b.tar"], folder=tmp_path, env=env)
            assert said.startswith("Wrote b.tar"), said
            await wait_for_steps(driver, driver.steps + MIN_STEPS)
            serve.process.kill()
            await serve.process.wait()
            playing.cancel()  # what they wrote and nobody took is not written again
            await asyncio.gather(playing, return_exceptions=True)
        sent_before = read_sends(log)
        env |= {"DATA_DIR": str(tmp_path / "restored")}
        said = await run_command([*TICK, "restore", "b.tar"], folder=tmp_path, env=env)
        assert "Messages that may have gone out since are not sent by themselves" in said
        async with run_program("serve-again", [*TICK, "serve"], folder=tmp_path, env=env) as serve:
            await serve.wait_until_ready(url, "/readyz")
            async with asyncio.timeout(60):
                while not await desk.is_at_rest():
                    await asyncio.sleep(0.05)
            status = await desk.read("/api/whatsapp/status")
            assert [alert for alert in status["alerts"] if alert["subject"] == "database:went_back"], status["alerts"]
            assert (status["outbox"]["queued"], status["outbox"]["sending"]) == (0, 0)
            tickets = {int(ticket["id"]) for ticket in await desk.read_tickets()}
            await webhooks.wait_until_settled()
            (stranger,) = await driver.introduce(1)  # it goes on, and by now everything was swept more than once
    in_backup = read_tickets_of(tmp_path / "b.tar")
    assert len(in_backup) >= 3
    assert in_backup <= tickets
    assert stranger.ticket_id > max(tickets | in_backup)
    sent = read_sends(log)
    assert {one["customer"] for one in sent[len(sent_before) :]} == {stranger.person.wa_id}
    assert max(Counter(one["outbox_id"] for one in sent).values()) == 1


async def wait_for_steps(driver: LoadDriver, steps: int) -> None:
    async with asyncio.timeout(90):
        while driver.steps < steps:
            await asyncio.sleep(0.01)


def read_sends(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def read_tickets_of(archive: Path) -> set[int]:
    """Returns the tickets in a backup, by its database alone."""
    with tarfile.open(archive) as tar:
        tar.extract("tick.db", archive.parent / "looked-at", filter="data")
    with closing(sqlite3.connect(archive.parent / "looked-at" / "tick.db")) as database:
        return {row[0] for row in database.execute("SELECT id FROM ticket")}
