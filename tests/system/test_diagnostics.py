"""Whoever reads what Tick says may be gone, full or asleep: webhooks go on being answered 200, and are worked on."""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.serve_process import ServeProcess

WEBHOOKS = 30  # each is a dozen lines at LOG_LEVEL=debug
SMALLEST_PIPE = 4096  # bytes


@contextmanager
def serving(options: str, **settings: str) -> Iterator[ServeProcess]:
    with closing(ServeProcess(options, **settings)) as process:
        process.start()
        yield process


def assert_works(process: ServeProcess) -> None:
    """New webhooks, and the same delivered again, are answered 200, and everything is done."""
    before = process.count_items("done")
    webhooks = [process.make_webhook() for _ in range(WEBHOOKS)]
    assert {process.post(body) for body in webhooks} == {200}
    assert {process.post(body) for body in webhooks} == {200}
    process.wait_until(lambda: process.count_items("done") == before + WEBHOOKS)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_standard_error_on_a_full_disk() -> None:
    with serving("2>/dev/full", LOG_LEVEL="debug") as process:
        assert_works(process)
        assert process.read_metric("tick_log_lines_dropped_total") > WEBHOOKS


def test_standard_error_and_output_closed() -> None:
    with serving("2>&- >&- <&-", LOG_LEVEL="debug") as process:
        assert_works(process)
        assert process.read_metric("tick_log_lines_dropped_total") > WEBHOOKS


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a pipe be made small")
def test_a_reader_who_stands_still_then_hangs_up_then_comes_back(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    with serving(f"2>{fifo}", LOG_LEVEL="debug", LOG_FORMAT="json") as process:
        assert_works(process)  # nobody reads
        os.close(reader)
        assert_works(process)  # nobody ever will
        process.wait_until(lambda: process.read_metric("tick_log_lines_dropped_total") > WEBHOOKS)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        seen = b""

        def is_told() -> bool:
            nonlocal seen
            process.post(process.make_webhook())
            with open(os.dup(reader), "rb") as stream:
                seen += stream.read() or b""
            return b'"event": "log_lines_dropped"' in seen

        process.wait_until(is_told)
        os.close(reader)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_a_supervisor_on_a_full_disk_starts_its_processes_again(migrated_mariadb_url: str, redis_url: str) -> None:
    settings = {"DATABASE_URL": migrated_mariadb_url, "REDIS_URL": redis_url}
    with serving("--processes 2 --no-worker 2>/dev/full", **settings) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        before = children.read_text().split()
        os.kill(int(before[0]), signal.SIGKILL)
        process.wait_until(lambda: len({*children.read_text().split()} - {*before}) == 1)
        process.wait_until(process.answers)
        assert process.post(process.make_webhook()) == 200
