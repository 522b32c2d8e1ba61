"""Supervises the processes of `tick serve --processes N`: keeps the socket open and the children alive, nothing else.

Invariants
- A child that dies is started again.
- A child that ends by itself right after its start has refused to run (a setting, a missing migration); then all of
  them end, with its exit code.
- Children never outlive this process: they hold the reading end of a pipe from it, and stop when it closes.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket

import structlog

from api.server.process import LISTENER_FD, PARENT_FD

REFUSED_WITHIN_SECONDS = 10.0
RESTART_SECONDS = 0.5
STOP_SECONDS = 20.0

log = structlog.get_logger()


async def supervise(
    children: Sequence[Sequence[str]],
    listener: socket,
    stop: asyncio.Event,
    program: Sequence[str] = (sys.executable, "-P", "-m", "api"),
) -> int:
    """Keeps `program` running once for each list of arguments in `children`, until `stop`; returns the exit code."""
    read_end, write_end = os.pipe()
    fds = (listener.fileno(), read_end)
    environment = os.environ | {
        LISTENER_FD: str(fds[0]),
        PARENT_FD: str(read_end),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))),
    }
    try:
        return max(
            await asyncio.gather(
                *(_keep_running((*program, *arguments), fds, environment, stop) for arguments in children)
            )
        )
    finally:
        os.close(read_end)
        os.close(write_end)
        listener.close()


async def _keep_running(
    command: Sequence[str], fds: tuple[int, int], environment: dict[str, str], stop: asyncio.Event
) -> int:
    clock = asyncio.get_running_loop().time
    while not stop.is_set():
        started = clock()
        # A session of its own: Ctrl-C on the terminal reaches this process alone, which then asks each child once.
        process = await asyncio.create_subprocess_exec(*command, pass_fds=fds, env=environment, start_new_session=True)
        log.info("process started", pid=process.pid, command=" ".join(command))
        ended, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            return await _end_process(process, ended)
        code = ended.result()
        if code > 0 and clock() - started < REFUSED_WITHIN_SECONDS:
            stop.set()
            return code
        if not stop.is_set():
            log.error("process ended, starting it again", pid=process.pid, exit_code=code, command=" ".join(command))
            await asyncio.wait((asyncio.create_task(stop.wait()),), timeout=RESTART_SECONDS)
    return 0


async def _end_process(process: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> int:
    _send_signal(process.pid, signal.SIGTERM)
    if not (await asyncio.wait((ended,), timeout=STOP_SECONDS))[0]:
        log.error("process does not stop, killing it", pid=process.pid)
        _send_signal(process.pid, signal.SIGKILL)
    return max(0, await ended)


def _send_signal(pid: int, number: signal.Signals) -> None:
    # Not process.terminate(): it polls, which takes the exit code of a child that has just ended away from asyncio.
    with suppress(ProcessLookupError):
        os.kill(pid, number)
