"""Starts and ends the programs of a benchmark, each in a process of its own on loopback: a Redis, Tick, the baseline.

Invariants
- Whoever starts one ends it, by its process id, in STOP_SECONDS at most, also when the benchmark fails.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from api.bench.wire import Client, ConnectionBroken, HttpAnswer
from storage.redis.programs import find_redis_programs

STOP_SECONDS = 15
READY_SECONDS = 60
ROOT = Path(__file__).resolve().parents[2]


class ProgramFailed(Exception):
    """A program ended, or never became ready; the text says where its log is."""


class Program:
    """A child process whose output goes to a file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.started_at = time.monotonic()

    @classmethod
    async def start(cls, name: str, argv: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> "Program":
        """Starts it in `folder`, where its output goes to a log under its name."""
        log = folder / f"{name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *argv, cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
            )
        return cls(name, process, log)

    async def wait_until_ready(self, url: str, path: str, *, status: int | None = 200) -> float:
        """Waits until `path` is answered with `status` (None: any); returns the seconds since the start.

        Raises ProgramFailed when it ends before, or takes longer than READY_SECONDS.
        """
        client = Client(url)
        last: object = "no answer"
        try:
            while time.monotonic() < self.started_at + READY_SECONDS:
                if self.process.returncode is not None:
                    break
                try:
                    last = answer = await client.ask("GET", path, timeout_seconds=2)
                    if status is None or answer.status == status:
                        return time.monotonic() - self.started_at
                except (OSError, TimeoutError, ConnectionBroken) as error:
                    last = error
                await asyncio.sleep(0.01)
        finally:
            client.close()
        detail = last.body[:300] if isinstance(last, HttpAnswer) else last
        raise ProgramFailed(f"{self.name} is not ready ({detail!r}); its last lines:\n{self.read_last_lines()}")

    def read_last_lines(self) -> str:
        """Returns the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def read_resident_mib(self) -> float:
        """Returns its resident memory; 0 where the system has no /proc."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def read_cpu_seconds(self) -> float:
        """Returns the processor time that it has used; 0 where the system has no /proc."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return 0.0
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    async def stop(self) -> None:
        """Ends it: SIGTERM, and SIGKILL when that is not enough."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def run_program(
    name: str, argv: Sequence[str], *, folder: Path, env: Mapping[str, str]
) -> AsyncIterator[Program]:
    """Runs a program until the block ends."""
    program = await Program.start(name, argv, folder=folder, env=env)
    try:
        yield program
    finally:
        await program.stop()


@asynccontextmanager
async def run_redis(folder: Path) -> AsyncIterator[str]:
    """Runs an empty redis-server with an append-only file, as Tick's own is, until the block ends; yields its URL."""
    port = find_free_port()
    argv = [str(find_redis_programs()[0]), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    async with run_program("redis", argv, folder=folder, env=build_environment()) as program:
        await _wait_until_listening(program, port)
        yield f"redis://127.0.0.1:{port}/0"


async def _wait_until_listening(program: Program, port: int) -> None:
    for _ in range(500):
        if program.process.returncode is not None:
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise ProgramFailed(f"{program.name} does not listen; its last lines:\n{program.read_last_lines()}")


async def run_command(argv: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> str:
    """Runs a command to its end; returns what it has printed. Raises ProgramFailed when its exit code is not 0."""
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(READY_SECONDS):
        out, err = await process.communicate()
    if process.returncode != 0:
        raise ProgramFailed(f"{' '.join(argv[1:])} failed: {(err or out).decode(errors='replace')[-500:]}")
    return out.decode()


def build_python_command(*arguments: str) -> list[str]:
    """Returns the command that runs a module with this Python."""
    return [sys.executable, "-m", *arguments]


def find_free_port() -> int:
    """Returns a port of loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def build_environment(**settings: str) -> dict[str, str]:
    """Returns this process's environment without any setting of the caller's Tick, so that nothing of theirs is
    touched, and with `settings`."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR", "TZ"}}
    return kept | {"PYTHONPATH": str(ROOT)} | settings
