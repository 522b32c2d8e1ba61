"""Manages the folder of the embedded Redis, DATA_DIR/redis: its data, its locks, the record of the running server.

Invariants
- A lock is held for as long as any process has the locked file open, and so ends with the process.
- The record names a pid and a socket. A pid is ours only while the title of its process names that socket, since the
  system gives old pids to new processes.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TextIO

from storage.file_lock import lock_file
from storage.redis.server_state import ServerState, ask_server

MAX_SOCKET_PATH_LENGTH = 100  # the systems take 104 to 108
PRIVATE_PREFIX = "tick-redis-"
DATA_FILES = ("appendonlydir", "appendonly.aof", "dump.rdb")


class ServerFolder:
    """The folder at `path`, which it makes when it is not there."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path

    def lock(self) -> TextIO | None:
        """Locks the folder for the process that keeps its Redis here; None if another has it."""
        return lock_file(self.path / "lock")

    def lock_server(self) -> TextIO | None:
        """Locks the folder for the server, which inherits the file; None while a server runs."""
        return lock_file(self.path / "server.lock")

    def record(self, pid: int, socket_path: Path) -> None:
        """Writes down the server that was started."""
        (self.path / "pid").write_text(str(pid))
        (self.path / "socket").write_text(str(socket_path))

    def find_server_pid(self) -> int | None:
        """Returns the pid of the recorded server, if that process still is the one."""
        pid, socket_path = _read(self.path / "pid"), _read(self.path / "socket")
        if not (pid.isdigit() and socket_path):
            return None
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            if shutil.which("ps") is None:
                return None
            title = subprocess.run(["ps", "-ww", "-o", "command=", "-p", pid], capture_output=True, text=True).stdout
        return int(pid) if socket_path in title else None

    def erase_record(self) -> None:
        """Removes the record, and the private folder that it names."""
        if socket_path := _read(self.path / "socket"):
            Path(socket_path).unlink(missing_ok=True)
            remove_private_folder(Path(socket_path).parent)
        for name in ("socket", "pid"):
            (self.path / name).unlink(missing_ok=True)

    def move_data(self, aside: Path) -> bool:
        """Moves the data to `aside`, in place of what is there; returns whether there was any."""
        files = [path for name in DATA_FILES if (path := self.path / name).exists()]
        if files:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(mode=0o700)
        for path in files:
            path.rename(aside / path.name)
        return bool(files)


def find_recorded_url(data_dir: Path) -> str | None:
    """Returns the URL of a running Tick's embedded Redis, for commands beside it; None where none answers."""
    socket_path = _read(data_dir / "redis" / "socket")
    if not socket_path or ask_server(Path(socket_path)) is not ServerState.ANSWERING:
        return None
    return f"unix://{socket_path}"


def make_private_folder() -> Path:
    """Makes a temporary folder for a socket, which only this user can enter, and whose path a socket can have."""
    folder = Path(tempfile.mkdtemp(prefix=PRIVATE_PREFIX))
    if len(str(folder)) > MAX_SOCKET_PATH_LENGTH - len("/redis"):
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=PRIVATE_PREFIX, dir="/tmp"))
    return folder


def remove_private_folder(folder: Path) -> None:
    """Removes a folder that make_private_folder made, and no other."""
    if folder.name.startswith(PRIVATE_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
