"""A fork server: a process that has imported Tick and forks workers on demand.

On a busy machine importing takes longer than a worker lives here, and this is a test of deaths, not of imports. A
worker that is forked here is `tick worker` in every other respect.

Invariants
- A worker outlives neither the fork server nor, since that ends with its control socket, the test run.

An order is one JSON message with a descriptor, which becomes the worker's standard error; the answer is its process id.
"""

import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

PRELOADED = ("api.cli", "api.bootstrap", "storage.sql.engine_mysql", "storage.models", "storage.desk_models", "uvloop")
MAX_ORDER_BYTES = 64 * 1024


def main() -> None:
    """Takes orders on the control socket (standard input) until it is closed."""
    for name in PRELOADED:
        if importlib.util.find_spec(name):
            importlib.import_module(name)
    control = socket.socket(fileno=0)
    control.send(b"ready")
    children: set[int] = set()
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, MAX_ORDER_BYTES, 1)
        children -= _reap(children)
        if not order:
            break
        pid = os.fork()
        if pid == 0:
            _become_worker(control, json.loads(order), descriptors[0])
        os.close(descriptors[0])
        children.add(pid)
        control.send(str(pid).encode())
    for pid in children:  # none of them is reaped yet, so each number is still theirs
        os.kill(pid, signal.SIGKILL)


def _reap(children: set[int]) -> set[int]:
    return {pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == pid}


def _die_of(words: str) -> None:
    """Has this process killed in the middle of a turn whose message has these words, as an endless one would be."""

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is take_turn.__code__ and words in frame.f_locals["event"].text:
            os.kill(os.getpid(), signal.SIGKILL)

    take_turn = importlib.import_module("flows").take_turn
    sys.setprofile(look)


def _become_worker(control: socket.socket, order: dict[str, dict[str, str] | str], stderr: int) -> NoReturn:
    control.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(stderr, 2)
    os.close(stderr)
    assert isinstance(order["env"], dict)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(str(order["folder"]))
    if words := os.environ.get("DEADLY_WORDS"):
        _die_of(words)
    sys.argv = ["tick", "worker"]
    try:
        importlib.import_module("api.cli").main()
    finally:
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
