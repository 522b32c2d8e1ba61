"""Lines meet descriptors that are full, broken or read by nobody: whoever writes goes on, and what was lost is told."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.server.line_writer import MAX_WAITING_LINES, LineWriter
from tests.support.places import ROOT

LINE = b"something happened\n"
FULL = Path("/dev/full")


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end >= 0:
            os.close(end)


def hang_up(pipe: list[int]) -> None:
    """Leaves the pipe without a reader."""
    os.close(pipe[0])
    pipe[0] = -1


def read_lines(descriptor: int, last: bytes) -> list[bytes]:
    """Reads up to the line that begins with `last`."""
    read = b""
    while not (read.endswith(b"\n") and read.splitlines()[-1].startswith(last)):
        read += os.read(descriptor, 65536)
    return read.splitlines()


def test_a_line_is_out_when_it_is_written(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])
    for number in range(100):
        writer.write(b"%d\n" % number)
        assert os.read(pipe[0], 100) == b"%d\n" % number


def test_a_reader_who_stands_still_is_not_waited_for(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])
    big = b"x" * 999 + b"\n"
    count = MAX_WAITING_LINES + 200
    for _ in range(count):  # each waited for would take longer than a test may
        writer.write(big)
    assert writer.dropped > 0
    dropped = writer.dropped
    lines = read_lines(pipe[0], b"%d lines could not be written" % dropped)
    assert len(lines) == count - dropped + 1
    writer.write(LINE)
    assert os.read(pipe[0], 100) == LINE


def test_a_reader_who_hangs_up_costs_the_lines_alone(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])
    hang_up(pipe)
    writer.write(LINE * 3)
    writer.write(LINE)
    assert writer.dropped == 4


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")
def test_a_full_disk_costs_the_lines_alone() -> None:
    descriptor = os.open(FULL, os.O_WRONLY)
    try:
        writer = LineWriter(descriptor)
        for _ in range(5):
            writer.write(LINE)
        assert writer.dropped == 5
    finally:
        os.close(descriptor)


def test_once_writing_works_again_one_line_says_what_was_lost(pipe: list[int]) -> None:
    closed = os.dup(pipe[1])
    os.close(closed)
    writer = LineWriter(closed)
    writer.write(LINE * 7)
    writer.descriptor = pipe[1]
    for _ in range(2):
        writer.write(LINE)
    assert os.read(pipe[0], 1000) == LINE + b"7 lines could not be written here, and are lost.\n" + LINE


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    """A file that may not grow takes the beginning of a line."""
    path = tmp_path / "log"
    script = (
        "import os, resource, sys; from api.server.line_writer import LineWriter\n"
        "writer = LineWriter(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT))\n"
        "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard)); writer.write(b'0123456789abc\\n')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)); writer.write(b'next\\n')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert path.read_text() == "0123456789\nnext\n1 lines could not be written here, and are lost.\n"


def test_a_descriptor_that_another_process_made_non_blocking(pipe: list[int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = LineWriter(pipe[1])
    lines = [b"%d " % number + b"x" * 1000 for number in range(200)]
    for line in lines:
        writer.write(line + b"\n")
    assert read_lines(pipe[0], b"199 ") == lines
    assert writer.dropped == 0


def test_lines_of_many_threads_stay_whole(pipe: list[int]) -> None:
    writer = LineWriter(pipe[1])

    def write(number: int) -> None:
        for _ in range(50):
            writer.write(b"%d" % number * 100 + b"\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.drain()
    writer.write(b"end\n")
    lines = read_lines(pipe[0], b"end")[:-1]
    assert sorted(lines) == sorted(b"%d" % number * 100 for number in range(4) for _ in range(50))
