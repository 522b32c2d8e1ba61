"""Starts a Redis of Tick's own, where REDIS_URL names none: the first redis-server of the machine that can be started.

Its data is under DATA_DIR/redis. Where the machine has no redis-server, Redis lives inside this process (fakeredis).

Invariants
- One server runs on a folder, ever: a lock that the server itself inherits keeps a second one out.
- The server ends with the process that started it.
- Nothing outside of the folder and a private temporary one is touched, and no port is opened.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from redis.asyncio import Redis

from storage.errors import OperatorError
from storage.redis.client import RedisSettings, open_redis
from storage.redis.programs import find_redis_programs
from storage.redis.server_folder import ServerFolder, is_answering, make_private_folder, remove_private_folder

if TYPE_CHECKING:
    from fakeredis import FakeServer

START_SECONDS = 30.0
REVIVE_SECONDS = 0.5
STOP_SECONDS = 10.0
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class RedisInUse(OperatorError):
    """Another process keeps its Redis in this folder. The text is one sentence."""


class EmbeddedRedis:
    """The Redis that this process started. `line` tells the operator what it is; `url` is None where Redis lives inside
    this process, which other processes can't reach."""

    def __init__(self, folder: ServerFolder, lock: TextIO) -> None:
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
        """Starts the first of the programs that can be started; raises RedisInUse.

        To be called from the main thread, since the server ends when the thread that forked it does.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded Redis is started from the main thread")
        folder = ServerFolder(data_dir.absolute() / "redis")  # the server has another working directory
        lock = folder.lock()
        if lock is None:
            raise RedisInUse(f"Tick already runs on {data_dir}: stop it first, or give this one another DATA_DIR.")
        server = cls(folder, lock)
        try:
            server._stop_orphan()
            server._choose((programs or find_redis_programs)())
        except BaseException:
            server.stop()
            raise
        return server

    def open(self, settings: RedisSettings | None = None) -> Redis:
        """Makes a client of it; close it with `aclose()`."""
        if self.url is None:
            from fakeredis import FakeAsyncRedis, FakeServer  # a third of a second, for the few who need it

            self._inside = self._inside or FakeServer()
            return FakeAsyncRedis(server=self._inside)
        return open_redis(settings or RedisSettings(self.url))

    def revive(self) -> bool:
        """Starts the server again, at the same address, if it ended by itself; returns whether it did and answers.

        To be called from the main thread, again and again: what keeps it from starting, a full disk say, may pass.
        Waits but a moment, since the event loop stands still meanwhile. Raises OSError, RedisInUse.
        """
        if self._process is None or self._process.poll() is None or self._program is None:
            return False
        self._spawn(self._program)
        return self._is_answering_within(REVIVE_SECONDS)

    def stop(self) -> None:
        """Ends the server and leaves its data; a second call does nothing."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._erase_record()
        self._lock.close()

    def _choose(self, programs: list[Path]) -> None:
        aside = self._folder.path / "unreadable"
        for program in programs:
            if self._launch(program):
                self.line = f"Redis: {program} on a unix socket, data in {self._folder.path}"
                return
            # Nothing in Redis is a promise: what this server can't read is put aside, and SQL fills an empty one.
            if self._folder.move_data(aside) and self._launch(program):
                self.line = f"Redis: {program}, started empty; what it could not read is in {aside}"
                return
        self.line = (
            "Redis: inside this process, since no redis-server could be started; `tick worker` needs a real one."
        )

    def _launch(self, program: Path) -> bool:
        """Starts the server and waits until it answers; returns False, and it has ended, where it does not."""
        self._spawn(program)
        if self._is_answering_within(START_SECONDS):
            self._program, self.url = program, f"unix://{self._socket}"
            return True
        self._end_process()
        return False

    def _spawn(self, program: Path) -> None:
        folder = self._folder.path
        if self._socket is None:
            self._socket = make_private_folder() / "redis"
        server_lock = self._folder.lock_server()
        if server_lock is None:
            raise RedisInUse(f"A Redis server still uses {folder}: stop it first.")
        command = [
            str(program), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
            "--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--databases", "1", "--daemonize", "no",
            "--loglevel", "warning", "--logfile", str(folder / "redis.log"),
        ]  # fmt: skip
        with server_lock:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[server_lock.fileno()],
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle, and Redis goes last
                preexec_fn=_make_preexec(),
            )
        try:
            self._folder.record(self._process.pid, self._socket)
        except OSError:  # a full disk: started another time, when commands beside us can find it
            self._end_process()
            raise

    def _is_answering_within(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while self._process is not None and self._process.poll() is None and time.monotonic() < give_up_at:
            if self._socket is not None and is_answering(self._socket):
                return True
            time.sleep(0.003)
        return False

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _stop_orphan(self) -> None:
        """Ends a server whose parent died without ending it; where the system does that, waits until it has."""
        server_lock = self._folder.lock_server()
        give_up_at = time.monotonic() + STOP_SECONDS
        was_signalled = False
        while server_lock is None:
            is_late = time.monotonic() > give_up_at
            if (not was_signalled or is_late) and (pid := self._folder.find_server_pid()):
                os.kill(pid, signal.SIGKILL if is_late else signal.SIGTERM)
                was_signalled = True
            if time.monotonic() > give_up_at + 1:
                raise RedisInUse(f"A Redis server still uses {self._folder.path}, and it does not stop.")
            time.sleep(0.01)
            server_lock = self._folder.lock_server()
        server_lock.close()
        self._erase_record()

    def _erase_record(self) -> None:
        self._folder.erase_record()
        if self._socket is not None:
            remove_private_folder(self._socket.parent)
        self._socket = None


def _make_preexec() -> Callable[[], None]:
    """Makes what the child runs before it becomes the server: it asks to be ended with us, which only Linux can do."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def in_child() -> None:
        if prctl is not None:
            prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return in_child
