"""A small disk that a test fills and empties under a running process.

It is a tmpfs of a few megabytes where this user may mount one, else a tmpfs in a namespace of the process itself
(`unshare -rm`). Where both are forbidden, as in many a container, the process may let no file grow (RLIMIT_FSIZE): its
writes fail in the same places. Each test prints which it was.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SIZE_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 64 * 1024
MOUNT = f"mount -t tmpfs -o size={SIZE_BYTES} tmpfs"


class SmallDisk:
    """A small disk at `folder`, as the process sees it. `way`: what it is made of."""

    way = "tmpfs"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pids: list[int] = []

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Returns the command that runs `command` with this disk."""
        return list(command)

    def attach(self, pid: int) -> None:
        """Tells which process writes to the disk, once it runs."""
        self._pids.append(pid)

    def find(self, path: Path) -> Path:
        """Returns where the test finds what the process finds at `path`."""
        return path

    def fill(self) -> None:
        """Leaves not a byte free."""
        with self.find(self.folder / "ballast").open("ab", buffering=0) as file:
            for size in (PIECE_BYTES, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Makes room again."""
        self.find(self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmounts it."""
        subprocess.run(["umount", "-l", str(self.folder)], check=False)


class NamespaceDisk(SmallDisk):
    """A tmpfs that only the process and its children see."""

    way = "tmpfs by unshare"

    def wrap(self, command: Sequence[str]) -> list[str]:
        return ["unshare", "-rm", "sh", "-c", f'{MOUNT} "$0" && exec "$@"', str(self.folder), *command]

    def find(self, path: Path) -> Path:
        if not path.is_relative_to(self.folder):
            return path
        return Path(f"/proc/{self._pids[0]}/root{path}")

    def close(self) -> None:
        """It has gone with its process."""


class LimitedFiles(SmallDisk):
    """No disk at all: the processes may not let a file grow."""

    way = "RLIMIT_FSIZE"

    def fill(self) -> None:
        self._limit(1)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def close(self) -> None:
        """There is nothing to unmount."""

    def _limit(self, size: int) -> None:
        for pid in self._pids:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def _may(*command: str) -> bool:
    return sys.platform == "linux" and subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def make_small_disk(figures: Callable[[str], None]) -> Iterator[SmallDisk]:
    """Makes the most real one that this machine allows."""
    folder = Path(tempfile.mkdtemp(prefix="tick-disk-"))
    disk: SmallDisk
    if os.geteuid() == 0 and _may("sh", "-c", f'{MOUNT} "$0"', str(folder)):
        disk = SmallDisk(folder)
    elif _may("unshare", "-rm", "sh", "-c", f'{MOUNT} "$0"', str(folder)):
        disk = NamespaceDisk(folder)
    else:
        disk = LimitedFiles(folder)
    figures(f"the disk was full by {disk.way}")
    try:
        yield disk
    finally:
        disk.close()
        shutil.rmtree(folder, ignore_errors=True)
