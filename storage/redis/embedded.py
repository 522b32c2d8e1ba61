"""Starts a Redis of Tick's own, where REDIS_URL names none: the first redis-server of the machine that can be started.

Its data is under DATA_DIR/redis. Where the machine has no redis-server, Redis lives inside this process (fakeredis).

Invariants
- One server runs on a folder, ever: a lock that the server itself inherits keeps a second one out.
- The server ends with the process that started it.
- Nothing outside of the folder and a private temporary one is touched, and no port is opened.
- Nothing here waits without a bound: a server that hangs at its start is ended, and its data is put aside.

`embedded_watch.py` looks after the server while it runs.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from redis.asyncio import Redis

from storage.errors import OperatorError
from storage.redis.client import RedisSettings, open_redis
from storage.redis.programs import find_redis_programs
from storage.redis.server_folder import ServerFolder, make_private_folder, remove_private_folder
from storage.redis.server_state import ServerState, ask_server, ask_server_aside

if TYPE_CHECKING:
    from fakeredis import FakeServer

LOADING_SECONDS = 30.0  # for its file, which takes a second or two
START_SECONDS = 10.0  # until it says anything at all
STOP_SECONDS = 10.0
KILL_SECONDS = 5.0  # a process that waits for a disk does not end, not even by SIGKILL
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class RedisInUse(OperatorError):
    """Another process keeps its Redis in this folder. The text is one sentence."""


class EmbeddedRedis:
    """The Redis that this process started. `line` tells the operator what it is; `url` is None where Redis lives inside
    this process, which other processes can't reach."""

    def __init__(self, folder: ServerFolder, lock: TextIO, start_seconds: float) -> None:
        self.url: str | None = None
        self.line = ""
        self._folder = folder
        self._aside = folder.path / "unreadable"
        self._lock = lock
        self._start_seconds = start_seconds
        self._program: Path | None = None
        self._socket: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._inside: FakeServer | None = None

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        programs: Callable[[], list[Path]] | None = None,
        start_seconds: float = START_SECONDS,
    ) -> "EmbeddedRedis":
        """Starts the first of the programs that can be started; raises RedisInUse. `start_seconds`: how long one may
        say nothing at all.

        To be called from the main thread, since the server ends when the thread that forked it does.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded Redis is started from the main thread")
        folder = ServerFolder(data_dir.absolute() / "redis")  # the server has another working directory
        lock = folder.lock()
        if lock is None:
            raise RedisInUse(f"Tick already runs on {data_dir}: stop it first, or give this one another DATA_DIR.")
        server = cls(folder, lock, start_seconds)
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

    @property
    def has_ended(self) -> bool:
        """Whether the server that was started is no more."""
        return self._process is None or self._process.poll() is not None

    async def ask(self) -> ServerState:
        """Asks the server how it is, while the event loop goes on."""
        return ServerState.SILENT if self._socket is None else await ask_server_aside(self._socket)

    def start_again(self) -> None:
        """Starts the server, which has ended, at the same address; it answers a little later.

        To be called from the main thread. Raises OSError, as on a full disk, and RedisInUse.
        """
        assert self._program is not None
        self._spawn(self._program)

    def kill(self) -> None:
        """Has the server end without a word: what it appended to its file is there. It ends a little later."""
        if self._process is not None and not self.has_ended:
            self._process.kill()

    def put_data_aside(self) -> bool:
        """Has the next start begin with nothing; returns whether there was anything."""
        return self._folder.move_data(self._aside)

    def stop(self) -> None:
        """Ends the server and leaves its data; a second call does nothing."""
        if self._process is not None and not self.has_ended:
            if self._socket is not None and ask_server(self._socket) is not ServerState.SILENT:
                self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_SECONDS)
            self._end_process()
        self._process = None
        self._erase_record()
        self._lock.close()

    def _choose(self, programs: list[Path]) -> None:
        for program in programs:
            if self._launch(program):
                self.line = f"Redis: {program} on a unix socket, data in {self._folder.path}"
                return
            # Nothing in Redis is a promise: what this server can't read is put aside, and SQL fills an empty one.
            if self.put_data_aside() and self._launch(program):
                self.line = f"Redis: {program}, started empty; what it could not read is in {self._aside}"
                return
        self.line = (
            "Redis: inside this process, since no redis-server could be started; `tick worker` needs a real one."
        )

    def _launch(self, program: Path) -> bool:
        """Starts the server and waits until it answers; returns False, and it has ended, where it does not."""
        self._spawn(program)
        if self._comes_up():
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

    def _comes_up(self) -> bool:
        began = time.monotonic()
        while not self.has_ended and self._socket is not None:
            state = ask_server(self._socket)
            if state is ServerState.ANSWERING:
                return True
            if time.monotonic() - began > (LOADING_SECONDS if state is ServerState.LOADING else self._start_seconds):
                return False
            time.sleep(0.003)
        return False

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # its lock keeps another from being started beside it
                self._process.wait(KILL_SECONDS)

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
