"""Runs the process itself: its garbage collector while it loads, its event loop, and its signals.

Invariants
- A first SIGTERM or SIGINT asks, and everything under way is finished; a second one ends the process at once.
- A process that another process of Tick has started stops when that one is gone, however it went.
"""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

PARENT_FD = "TICK_PARENT_FD"  # the reading end of a pipe whose writing end the parent keeps open as long as it lives
LISTENER_FD = "TICK_LISTENER_FD"  # the listening socket that the parent hands down
T = TypeVar("T")


@asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """Yields an event that SIGTERM, SIGINT and the end of the parent process set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_or_exit(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    def stop_without_parent() -> None:
        loop.remove_reader(parent_fd)  # an ended pipe stays readable for ever
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_exit, number)
    parent_fd = int(os.environ.get(PARENT_FD, "-1"))
    if parent_fd >= 0:
        loop.add_reader(parent_fd, stop_without_parent)
    try:
        yield stop
    finally:
        if parent_fd >= 0:
            loop.remove_reader(parent_fd)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def pause_garbage_collection() -> None:
    """Turns the cyclic garbage collector off until `run`: what is loaded stays, and scanning it again and again took a
    tenth of the start."""
    gc.disable()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` on uvloop where it is installed, else on asyncio's own loop: named here, not left to a server."""
    gc.freeze()  # what is loaded by now is never scanned
    gc.enable()
    new_event_loop: Callable[[], asyncio.AbstractEventLoop]
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
