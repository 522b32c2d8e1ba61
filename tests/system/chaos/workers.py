"""Worker processes that are killed on purpose, each kill named by what the process was doing.

A worker says on its standard error, one JSON line each, when a phase begins and ends. Invariant: the name of a kill
comes from the lines that the process wrote before it died, read to the end after its death, never from what the killer
had hoped to hit.

A phase may be over before a signal arrives. So the victim is held first (SIGSTOP): when it turns out to be in the phase
that is wanted it dies there, else it goes on and is held again at a random moment.
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
from typing import Any

from tests.system.chaos.judge import PHASES

LINE_LIMIT = 4 * 1024 * 1024
LOOK_SECONDS = 0.003
LONGEST_PAUSE_SECONDS = 0.012


class Nursery:
    """Where workers come from."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control

    @classmethod
    async def open(cls, env: Mapping[str, str]) -> "Nursery":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.system.chaos.nursery", env=dict(env), stdin=theirs.fileno()
            )
        nursery = cls(process, ours)
        await nursery._hear()
        return nursery

    async def bear(self, env: Mapping[str, str], folder: Path) -> tuple[int, int]:
        """Starts a worker; its process id, and where what it logs can be read."""
        reading, writing = os.pipe()
        order = json.dumps({"env": dict(env), "folder": str(folder)}).encode()
        try:
            socket.send_fds(self._control, [order], [writing])
        finally:
            os.close(writing)
        return int(await self._hear()), reading

    async def _hear(self) -> bytes:
        async with asyncio.timeout(60):
            heard = await asyncio.get_running_loop().sock_recv(self._control, 64)
        if not heard:
            raise RuntimeError("the nursery ended")
        return heard

    async def close(self) -> None:
        self._control.close()
        await self._process.wait()


class Worker:
    """One life of a worker process. It has ended when its log has: nobody else holds the other end."""

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self.name = name
        self.pid = pid
        self.working_since: float | None = None
        self._open: Counter[str] = Counter()
        self._log = log
        self.life: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, nursery: Nursery, *, env: Mapping[str, str], folder: Path) -> "Worker":
        pid, reading = await nursery.bear(env, folder)
        worker = cls(name, pid, folder / f"{name}.log")
        worker.life = asyncio.create_task(worker._read(reading))
        return worker

    @property
    def ended(self) -> bool:
        return self.life is not None and self.life.done()

    async def _read(self, descriptor: int) -> None:
        stream = asyncio.StreamReader(limit=LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb")
        )
        with self._log.open("ab") as copy:
            async for line in stream:
                copy.write(line)
                if b'"phase"' in line:
                    self._hear(json.loads(line))
        transport.close()

    def _hear(self, said: Mapping[str, Any]) -> None:
        phase = said["phase"]
        if said["state"] == "begin":
            self._open[phase] += 1
            if self.working_since is None:
                self.working_since = time.monotonic()
        else:
            self._open[phase] -= 1

    async def caught_in(self, phase: str, seconds: float, chance: random.Random) -> bool:
        """Holds it again and again until it is in this phase; then it stays held."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            os.kill(self.pid, signal.SIGSTOP)
            await asyncio.sleep(LOOK_SECONDS)  # what it has written arrives
            if self._open[phase] > 0:
                return True
            os.kill(self.pid, signal.SIGCONT)
            await asyncio.sleep(chance.uniform(0.001, LONGEST_PAUSE_SECONDS))
        return False

    def go_on(self) -> None:
        """Ends a hold."""
        os.kill(self.pid, signal.SIGCONT)

    async def kill(self) -> list[str]:
        """SIGKILL; the phases that were open when it died."""
        os.kill(self.pid, signal.SIGKILL)
        await self._end()
        return [phase for phase in PHASES if self._open[phase] > 0]

    async def stop(self) -> None:
        """SIGTERM, and what it takes."""
        if not self.ended:
            os.kill(self.pid, signal.SIGTERM)
            await self._end()

    async def _end(self) -> None:
        assert self.life is not None
        async with asyncio.timeout(20):
            await self.life


class Crew:
    """Workers that are always as many as they should be, but for the one that has just been killed."""

    def __init__(self, nursery: Nursery, *, count: int, env: Mapping[str, str], folder: Path) -> None:
        self._nursery = nursery
        self._env = env
        self._folder = folder
        self._count = count
        self._random = random.Random(count)
        self.workers: list[Worker] = []
        self.kills: list[dict[str, Any]] = []
        self.stalls = 0

    async def start(self) -> None:
        for number in range(self._count):
            self.workers.append(await self._begin(f"worker-{number + 1}"))

    async def _begin(self, name: str) -> Worker:
        return await Worker.start(name, self._nursery, env=self._env, folder=self._folder)

    def hits(self) -> Counter[str]:
        return Counter(phase for kill in self.kills for phase in kill["phases"])

    async def kill_one(self, *, settled_seconds: float, wait_seconds: float) -> None:
        """Kills whoever has worked longest, in the phase that was hit least so far, and starts it again."""
        victim = await self._victim(settled_seconds)
        hits = self.hits()
        wanted = min(PHASES, key=lambda phase: hits[phase])
        await victim.caught_in(wanted, wait_seconds, self._random)
        at = time.time()
        phases = await victim.kill()
        self.kills.append({"at": at, "worker": victim.name, "wanted": wanted, "phases": phases})
        self.workers[self.workers.index(victim)] = await self._begin(victim.name)

    async def stall_one(self, *, settled_seconds: float, wait_seconds: float, stall_seconds: float) -> None:
        """Holds a worker in the middle of a round for longer than its lease, then lets it go on with what it knew."""
        victim = await self._victim(settled_seconds)
        caught = await victim.caught_in("claimed", wait_seconds, self._random)
        await asyncio.sleep(stall_seconds if caught else 0)
        victim.go_on()
        self.stalls += caught

    async def _victim(self, settled_seconds: float) -> Worker:
        async with asyncio.timeout(30):
            while True:
                for worker in self.workers:
                    if worker.ended:
                        raise RuntimeError(f"{worker.name} ended by itself; see its log")
                working = [worker for worker in self.workers if worker.working_since is not None]
                working.sort(key=lambda worker: worker.working_since or 0.0)
                if working and time.monotonic() - (working[0].working_since or 0.0) >= settled_seconds:
                    return working[0]
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers))
