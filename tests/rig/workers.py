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
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.rig.judge import PHASES

LINE_LIMIT = 4 * 1024 * 1024
LOOK_SECONDS = 0.003
LONGEST_PAUSE_SECONDS = 0.012


class Worker:
    """One life of a worker process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.working_since: float | None = None
        self._open: Counter[str] = Counter()
        self._log = log
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, name: str, argv: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path
    ) -> "Worker":
        process = await asyncio.create_subprocess_exec(
            *argv, env=dict(env), cwd=folder, limit=LINE_LIMIT,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return cls(name, process, log)

    async def _read(self) -> None:
        assert self.process.stderr is not None
        with self._log.open("ab") as copy:
            async for line in self.process.stderr:
                copy.write(line)
                if b'"phase"' in line:
                    self._hear(json.loads(line))

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
            os.kill(self.process.pid, signal.SIGSTOP)
            await asyncio.sleep(LOOK_SECONDS)  # what it has written arrives
            if self._open[phase] > 0:
                return True
            os.kill(self.process.pid, signal.SIGCONT)
            await asyncio.sleep(chance.uniform(0.001, LONGEST_PAUSE_SECONDS))
        return False

    async def kill(self) -> list[str]:
        """SIGKILL; the phases that were open when it died."""
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        await self._reading
        return [phase for phase in PHASES if self._open[phase] > 0]

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(15):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await self._reading


class Crew:
    """Workers that are always as many as they should be, but for the one that has just been killed."""

    def __init__(self, argv: Sequence[str], *, count: int, env: Mapping[str, str], folder: Path) -> None:
        self._argv = argv
        self._env = env
        self._folder = folder
        self._count = count
        self._random = random.Random(count)
        self.workers: list[Worker] = []
        self.kills: list[dict[str, Any]] = []

    async def start(self) -> None:
        for number in range(self._count):
            self.workers.append(await self._begin(f"worker-{number + 1}"))

    async def _begin(self, name: str) -> Worker:
        log = self._folder / f"{name}.log"
        return await Worker.start(name, self._argv, env=self._env, folder=self._folder, log=log)

    def hits(self) -> Counter[str]:
        return Counter(phase for kill in self.kills for phase in kill["phases"])

    async def kill_one(self, *, settled_seconds: float, wait_seconds: float) -> None:
        """Kills whoever has worked longest, in the phase that was hit least so far, and starts it again."""
        victim = await self._victim(settled_seconds)
        hits = self.hits()
        wanted = min(PHASES, key=lambda phase: hits[phase])
        await victim.caught_in(wanted, wait_seconds, self._random)
        if victim.process.returncode is not None:
            raise RuntimeError(f"{victim.name} ended by itself with {victim.process.returncode}")
        at = time.time()
        phases = await victim.kill()
        self.kills.append({"at": at, "worker": victim.name, "wanted": wanted, "phases": phases})
        self.workers[self.workers.index(victim)] = await self._begin(victim.name)

    async def _victim(self, settled_seconds: float) -> Worker:
        async with asyncio.timeout(30):
            while True:
                for worker in self.workers:
                    if worker.process.returncode is not None:
                        raise RuntimeError(f"{worker.name} ended by itself with {worker.process.returncode}")
                working = [worker for worker in self.workers if worker.working_since is not None]
                working.sort(key=lambda worker: worker.working_since or 0.0)
                if working and time.monotonic() - (working[0].working_since or 0.0) >= settled_seconds:
                    return working[0]
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers))
