"""Worker processes that are killed on purpose, each kill named by what the process was doing.

A worker logs on its standard error, one JSON line each, when a phase begins and ends. A phase may be over before a
signal arrives; so the victim is held first (SIGSTOP): when it turns out to be in the phase that is wanted it dies
there, else it goes on and is held again at a random moment.

Invariants
- The name of a kill comes from the lines that the process wrote before it died, read to the end after its death, never
  from what the killer had hoped to hit.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.system.chaos.judge import PHASES

MAX_LINE_BYTES = 4 * 1024 * 1024
LOOK_SECONDS = 0.003
MAX_PAUSE_SECONDS = 0.012


class ForkedWorker(NamedTuple):
    """A worker that has just been forked; `log_descriptor` is the reading end of its standard error."""

    pid: int
    log_descriptor: int


class ForkServer:
    """The process that forks workers (fork_server.py), and the socket on which it takes orders."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control

    @classmethod
    async def start(cls, env: Mapping[str, str]) -> "ForkServer":
        """Starts it and waits until it is ready."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.system.chaos.fork_server", env=dict(env), stdin=theirs.fileno()
            )
        server = cls(process, ours)
        await server._receive()
        return server

    async def fork_worker(self, env: Mapping[str, str], folder: Path) -> ForkedWorker:
        """Starts a worker."""
        reading, writing = os.pipe()
        order = json.dumps({"env": dict(env), "folder": str(folder)}).encode()
        try:
            socket.send_fds(self._control, [order], [writing])
        finally:
            os.close(writing)
        return ForkedWorker(int(await self._receive()), reading)

    async def _receive(self) -> bytes:
        async with asyncio.timeout(60):
            received = await asyncio.get_running_loop().sock_recv(self._control, 64)
        if not received:
            raise RuntimeError("the fork server ended")
        return received

    async def close(self) -> None:
        """Ends the fork server, and with it every worker."""
        self._control.close()
        await self._process.wait()


class Worker:
    """A worker process, from its fork to its death. It has ended when its log has: nobody else holds the other end."""

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self.name = name
        self.pid = pid
        self.working_since: float | None = None
        self.owner = ""  # as it names itself in Redis
        self._open: Counter[str] = Counter()
        self._log = log
        self.life: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, fork_server: ForkServer, *, env: Mapping[str, str], folder: Path) -> "Worker":
        """Forks a worker, whose log is kept in `folder`."""
        forked = await fork_server.fork_worker(env, folder)
        worker = cls(name, forked.pid, folder / f"{name}.log")
        worker.life = asyncio.create_task(worker._read_log(forked.log_descriptor))
        return worker

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.life is not None and self.life.done()

    async def _read_log(self, descriptor: int) -> None:
        stream = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb")
        )
        with self._log.open("ab") as copy:
            async for line in stream:
                copy.write(line)
                if b'"event": "working"' in line:
                    self.owner = json.loads(line)["process"]
                if b'"phase"' in line:
                    self._note_phase(json.loads(line))
        transport.close()

    def _note_phase(self, event: Mapping[str, Any]) -> None:
        phase = event["phase"]
        if event["state"] == "begin":
            self._open[phase] += 1
            if self.working_since is None:
                self.working_since = time.monotonic()
        else:
            self._open[phase] -= 1

    async def hold_in(self, phase: str, seconds: float, chance: random.Random) -> bool:
        """Holds it again and again until it is in this phase, where it stays held; returns whether it ever was."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            os.kill(self.pid, signal.SIGSTOP)
            await asyncio.sleep(LOOK_SECONDS)  # what it has written arrives
            if self._open[phase] > 0:
                return True
            os.kill(self.pid, signal.SIGCONT)
            await asyncio.sleep(chance.uniform(0.001, MAX_PAUSE_SECONDS))
        return False

    def release(self) -> None:
        """Lets it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def kill(self) -> list[str]:
        """Kills it (SIGKILL); returns the phases that were open when it died."""
        os.kill(self.pid, signal.SIGKILL)
        await self._wait_until_ended()
        return [phase for phase in PHASES if self._open[phase] > 0]

    async def stop(self) -> None:
        """Asks it to stop (SIGTERM), and waits until it has."""
        if not self.has_ended:
            os.kill(self.pid, signal.SIGTERM)
            await self._wait_until_ended()

    async def _wait_until_ended(self) -> None:
        assert self.life is not None
        async with asyncio.timeout(20):
            await self.life


class WorkerPool:
    """Workers, always `count` of them but for the one that has just been killed."""

    def __init__(
        self,
        fork_server: ForkServer,
        *,
        count: int,
        env: Mapping[str, str],
        folder: Path,
        first_worker_env: Mapping[str, str],
    ) -> None:
        self._fork_server = fork_server
        self._env = env
        self._folder = folder
        self._count = count
        self._first_worker_env = first_worker_env
        self.random = random.Random(count)
        self.workers: list[Worker] = []
        self.kills: list[dict[str, Any]] = []
        self.stalls = 0

    async def start(self) -> None:
        """Starts the workers."""
        for number in range(self._count):
            self.workers.append(await self._start_worker(f"worker-{number + 1}"))

    async def _start_worker(self, name: str) -> Worker:
        env = {**self._env, **self._first_worker_env} if name == "worker-1" else self._env
        return await Worker.start(name, self._fork_server, env=env, folder=self._folder)

    def count_kills(self) -> Counter[str]:
        """Counts the kills by phase; one that met two phases counts for both."""
        return Counter(phase for kill in self.kills for phase in kill["phases"])

    async def kill_one(self, *, settled_seconds: float, wait_seconds: float) -> None:
        """Kills the worker that has worked longest, in the phase with the fewest kills so far, and starts it again."""
        victim = await self._choose_victim(settled_seconds)
        kills = self.count_kills()
        wanted = min(PHASES, key=lambda phase: kills[phase])
        await victim.hold_in(wanted, wait_seconds, self.random)
        at = time.time()
        phases = await victim.kill()
        self.kills.append({"at": at, "worker": victim.name, "wanted": wanted, "phases": phases})
        self.workers[self.workers.index(victim)] = await self._start_worker(victim.name)

    async def replace_dead(self) -> int:
        """Starts those anew that have ended by themselves; returns how many had."""
        dead = [worker for worker in self.workers if worker.has_ended]
        for worker in dead:
            self.workers[self.workers.index(worker)] = await self._start_worker(worker.name)
        return len(dead)

    async def stall_one(self, *, settled_seconds: float, wait_seconds: float, stall_seconds: float) -> None:
        """Holds a worker in the middle of a round for longer than its lease, then lets it go on with what it knew."""
        victim = await self._choose_victim(settled_seconds)
        caught = await victim.hold_in("claimed", wait_seconds, self.random)
        await asyncio.sleep(stall_seconds if caught else 0)
        victim.release()
        self.stalls += caught

    async def _choose_victim(self, settled_seconds: float) -> Worker:
        async with asyncio.timeout(30):
            while True:
                for worker in self.workers:
                    if worker.has_ended:
                        raise RuntimeError(f"{worker.name} ended by itself; see its log")
                working = [worker for worker in self.workers if worker.working_since is not None]
                working.sort(key=lambda worker: worker.working_since or 0.0)
                if working and time.monotonic() - (working[0].working_since or 0.0) >= settled_seconds:
                    return working[0]
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stops the workers."""
        await asyncio.gather(*(worker.stop() for worker in self.workers))
