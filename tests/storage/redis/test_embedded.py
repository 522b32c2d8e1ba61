"""Tests that the embedded Redis is alone on its folder, ends with its parent, and loses nothing over a restart."""

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from storage.redis.client import inspect_redis
from storage.redis.embedded import EmbeddedRedis, RedisInUse
from storage.redis.lanes import Lanes
from storage.redis.programs import find_redis_programs
from storage.redis.server_folder import find_recorded_url

spawn = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("program", find_redis_programs(), ids=lambda program: program.parent.parent.name)
async def test_stopping_and_starting_again_loses_nothing(tmp_path: Path, program: Path) -> None:
    for expected in (None, b"kept"):
        server = EmbeddedRedis.start(tmp_path, programs=lambda: [program])
        assert str(program) in server.line
        assert find_recorded_url(tmp_path) == server.url
        client = server.open()
        assert await client.get("x") == expected
        assert (await inspect_redis(client)).refusal is None
        await client.set("x", "kept")
        await client.aclose()
        place = Path((tmp_path / "redis" / "socket").read_text()).parent
        server.stop()
        server.stop()
        assert find_recorded_url(tmp_path) is None
        assert not place.exists()


def test_a_second_start_on_the_folder_is_refused(tmp_path: Path) -> None:
    server = EmbeddedRedis.start(tmp_path)
    with pytest.raises(RedisInUse, match="already runs"):
        EmbeddedRedis.start(tmp_path)
    assert find_recorded_url(tmp_path) == server.url
    server.stop()
    EmbeddedRedis.start(tmp_path).stop()


async def test_without_any_server_redis_lives_inside_the_process(tmp_path: Path) -> None:
    server = EmbeddedRedis.start(tmp_path, programs=list)
    assert server.url is None
    assert "inside this process" in server.line
    one, other = server.open(), server.open()
    await Lanes(one, "one").ring({7: 0})
    assert [lane.customer_id for lane in (await Lanes(other, "other").claim(1)).lanes] == [7]
    await one.aclose()
    await other.aclose()
    server.stop()


async def test_what_the_server_cannot_read_is_put_aside(tmp_path: Path) -> None:
    program = find_redis_programs()[0]
    server = EmbeddedRedis.start(tmp_path, programs=lambda: [program])
    server.stop()
    folder = tmp_path / "redis"
    for file in [*folder.glob("appendonlydir/*.aof"), *folder.glob("appendonly.aof")]:
        file.write_bytes(b"this is not a command\r\n" * 50)
    server = EmbeddedRedis.start(tmp_path, programs=lambda: [program])
    assert "started empty" in server.line
    assert any((folder / "unreadable").iterdir())
    server.stop()


HANGS_ONCE = """#!/bin/sh
[ -e {mark} ] || {{ touch {mark}; exec sleep 600 "$@"; }}
exec {program} "$@"
"""


def test_one_that_hangs_at_its_start_is_ended(tmp_path: Path) -> None:
    real = find_redis_programs()[0]
    hanging = tmp_path / "redis-server"
    hanging.write_text(HANGS_ONCE.format(mark=tmp_path / "mark", program=real))
    hanging.chmod(0o700)
    server = EmbeddedRedis.start(tmp_path, programs=lambda: [hanging, real], start_seconds=0.3)
    assert str(real) in server.line
    server.stop()


def keep(data_dir: str, done: Connection) -> None:
    server = EmbeddedRedis.start(Path(data_dir))
    done.send(server.url)
    signal.pause()


async def test_the_server_ends_with_a_killed_parent_and_the_next_start_waits_for_it(tmp_path: Path) -> None:
    here, there = spawn.Pipe(duplex=False)
    parent = spawn.Process(target=keep, args=(str(tmp_path), there), daemon=True)
    parent.start()
    assert await asyncio.to_thread(here.recv) == find_recorded_url(tmp_path)
    orphan = int((tmp_path / "redis" / "pid").read_text())
    place = Path((tmp_path / "redis" / "socket").read_text()).parent
    os.kill(orphan, signal.SIGSTOP)  # so slow to end that the next start finds it
    parent.kill()
    await asyncio.to_thread(parent.join)
    os.kill(orphan, signal.SIGCONT)
    server = EmbeddedRedis.start(tmp_path)
    assert find_recorded_url(tmp_path) == server.url
    assert int((tmp_path / "redis" / "pid").read_text()) != orphan
    assert not place.exists()
    server.stop()
    here.close()
    there.close()


def test_a_recorded_number_that_is_somebody_else_now_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    (folder / "pid").write_text(str(os.getpid()))
    (folder / "socket").write_text("/nonexistent/tick-redis-x/redis")
    server = EmbeddedRedis.start(tmp_path)
    server.stop()
