"""Of what a dead process had marked as being sent, what had not begun to leave goes out at once, and nothing else."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.delivery.departures import MAX_SLOTS, Departures
from bot.whatsapp.graph.client import open_http
from storage import outbox
from tests.bot.graph import Reply
from tests.bot.whatsapp.graph.wire import BODY, answer, client, graph
from tests.bot.world import World
from tests.support.places import ROOT

CHILD = """
import sys, time
from pathlib import Path
from bot.delivery.departures import Departures
departures = Departures(Path(sys.argv[1]), "child")
departures.open()
for row in (1 << 62, 2, 3):
    departures.begin(row)
departures.end(2)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_only_of_a_process_that_is_gone_is_known_what_had_left(tmp_path: Path, last: signal.Signals) -> None:
    ours = Departures(tmp_path, "ours")
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert ours.find_departed("child") is None
        child.send_signal(signal.SIGSTOP)
        assert ours.find_departed("child") is None, "it stands still, and may yet send"
        child.send_signal(signal.SIGCONT)
        child.send_signal(last)
    assert ours.find_departed("child") == frozenset({1 << 62, 3})
    assert ours.find_departed("child") == frozenset({1 << 62, 3}), "whoever asks is told"


def leave_behind(folder: Path, owner: str, *departed: int) -> None:
    """A process has died, while requests for these rows were under way."""
    departures = Departures(folder, owner)
    departures.open()
    for outbox_id in departed:
        departures.begin(outbox_id)
    departures.close()


def test_a_copy_and_what_another_run_of_the_machine_wrote_tell_nothing(tmp_path: Path) -> None:
    ours = Departures(tmp_path, "ours")
    leave_behind(tmp_path, "dead", 7)
    assert ours.find_departed("dead") == frozenset({7})
    shutil.copy2(tmp_path / "dead", tmp_path / "copy")
    assert ours.find_departed("copy") is None
    written = (tmp_path / "dead").read_bytes()
    with (tmp_path / "dead").open("r+b") as file:
        file.write(written[:16] + b"another run of the machine".ljust(40, b"\0"))
    assert ours.find_departed("dead") is None


def test_what_can_not_be_told_is_not(tmp_path: Path) -> None:
    ours = Departures(tmp_path, "ours")
    assert ours.find_departed("never") is None
    assert ours.find_departed("../dead") is None
    assert Departures(None, "ours").find_departed("dead") is None
    (tmp_path / "torn").write_bytes(b"tick-departures1")
    assert ours.find_departed("torn") is None


def test_more_than_there_is_place_for_is_known_here_and_told_nobody(tmp_path: Path) -> None:
    departures = Departures(tmp_path, "busy")
    departures.open()
    for outbox_id in range(1, MAX_SLOTS + 2):
        departures.begin(outbox_id)
    assert all(departures.has_begun(outbox_id) for outbox_id in range(1, MAX_SLOTS + 2))
    departures.end(MAX_SLOTS + 1)
    assert not departures.has_begun(MAX_SLOTS + 1)
    assert Departures(tmp_path, "ours").find_departed("busy") is None


def test_files_of_those_who_are_long_gone_are_deleted(tmp_path: Path) -> None:
    leave_behind(tmp_path, "old", 7)
    alive = Departures(tmp_path, "alive")
    alive.open()
    for name in ("old", "alive"):
        os.utime(tmp_path / name, (1, 1))
    leave_behind(tmp_path, "new", 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "new"]
    alive.close()


async def test_a_request_is_recorded_before_its_first_byte_and_not_without_a_connection() -> None:
    left: list[int] = []
    async with graph(answer(b'{"messages": [{"id": "wamid.A"}]}')) as (sender, server):
        await sender.send(BODY, on_leaving=lambda: left.append(len(server.lines)))
        assert (left, len(server.lines)) == ([0], 1)
    async with open_http() as http:
        await client(http, "http://127.0.0.1:9/v25.0").send(BODY, on_leaving=lambda: left.append(-1))
    assert left == [0]


async def test_what_never_left_goes_out_at_once_and_the_rest_waits(world: World, tmp_path: Path) -> None:
    world.doubt_seconds = 30.0
    phones = [f"1555010{number:04}" for number in range(4)]
    for phone in phones:
        await world.write("Hi", phone=phone)
    await world.play([await world.lane(phone) for phone in phones])
    rows = [row[0] for row in await world.rows("SELECT id FROM outbox ORDER BY id")]
    await world.database.run(lambda tx: outbox.mark_sending(tx, rows, "dead", world.clock()))
    leave_behind(tmp_path, "dead", rows[0])
    async with world.working(world.worker(departures=Departures(tmp_path, "ours"))):
        await world.graph.until(3)
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
        await asyncio.sleep(4 * world.sweep_seconds)
    assert sorted(request.outbox_id for request in world.graph.requests) == rows[1:]
    assert await world.rows("SELECT status, reason FROM outbox WHERE id = ?", rows[0]) == [("unknown", "sender_died")]
    assert await world.rows("SELECT DISTINCT resent FROM outbox") == [(0,)]


async def test_what_was_marked_long_ago_or_too_often_is_in_doubt(world: World, tmp_path: Path) -> None:
    """The database may have been restored since, and a row may be what kills its senders."""
    world.doubt_seconds = 30.0
    for phone in ("15550100001", "15550100002"):
        await world.write("Hi", phone=phone)
    await world.play([await world.lane(phone) for phone in ("15550100001", "15550100002")])
    rows = [row[0] for row in await world.rows("SELECT id FROM outbox ORDER BY id")]
    await world.database.run(lambda tx: outbox.mark_sending(tx, rows, "dead", world.clock()))
    leave_behind(tmp_path, "dead")
    await world.database.run(lambda tx: tx.execute("UPDATE outbox SET attempts = 6 WHERE id = ?", [rows[0]]))
    await world.database.run(lambda tx: tx.execute("UPDATE outbox SET marked_at = 0 WHERE id = ?", [rows[1]]))
    async with world.working(world.worker(departures=Departures(tmp_path, "ours"))):

        async def in_doubt() -> bool:
            return await world.sends() == [("unknown", "sender_died")] * 2

        await world.until(in_doubt)
    assert not world.graph.requests


async def test_of_a_process_that_stands_still_what_never_left_is_in_doubt(world: World, tmp_path: Path) -> None:
    world.doubt_seconds = 30.0
    await world.write("Hi")
    await world.play()
    rows = [row[0] for row in await world.rows("SELECT id FROM outbox")]
    await world.database.run(lambda tx: outbox.mark_sending(tx, rows, "stalled", world.clock()))
    stalled = Departures(tmp_path, "stalled")
    stalled.open()
    async with world.working(world.worker(departures=Departures(tmp_path, "ours"))):
        await world.until(lambda: world.rows("SELECT 1 FROM outbox WHERE status = 'unknown'"))
    stalled.close()
    assert not world.graph.requests


async def test_a_request_that_waits_for_its_answer_stands_in_the_file(world: World, tmp_path: Path) -> None:
    held = asyncio.Event()
    world.graph.script.append(Reply(held=held))
    ours = Departures(tmp_path, "ours")
    ours.open()
    await world.write("Hi")
    async with world.working(world.worker(departures=ours)):
        await world.graph.until(1)
        (request,) = world.graph.requests
        assert ours.has_begun(request.outbox_id)
        held.set()
        await world.at_rest()
        assert not ours.has_begun(request.outbox_id)
    ours.close()
