"""Keeps which requests have begun to leave, in a file that outlives this process and tells of it once it is dead.

A row is marked as `sending` before its request goes out. When the process dies in between, while the mark was committed
or the request waited for a connection, nothing has left, and the row need not wait for a status: it can go out at once.

Invariants
- A row's id stands in the file before the first byte of its request leaves, until what came of it is committed.
- A file is believed only once its process is gone for certain: the kernel then drops its lock. Who merely stands still
  keeps the lock, and may yet send.
- It is believed only where it was written, as long as the machine runs: a copy, or one from before a restart, tells
  nothing. Where it tells nothing, there is doubt.
- To record is to store eight bytes into memory: there is no system call and no wait in the way of a request.
"""

import fcntl
import mmap
import os
import secrets
import struct
import time
from pathlib import Path

import structlog

HEADER = struct.Struct("<16s40sQ")  # what it is, the run of the machine, the file's own number
KIND = b"tick-departures1"
SLOT_BYTES = 8
MAX_SLOTS = 2048  # requests under way, or whose outcome waits for the database; some twenty times what there is
FILE_BYTES = HEADER.size + MAX_SLOTS * SLOT_BYTES
KEPT_SECONDS = 300.0  # a file of a process that is gone: who took over looked within seconds
RUN_OF_MACHINE = Path("/proc/sys/kernel/random/boot_id")
log = structlog.get_logger(__name__)


class Departures:
    """The departures of one process, which `owner` names. `folder`: where the files are, which the processes of a
    machine share; None keeps them in memory alone, and then nobody can tell after a death."""

    def __init__(self, folder: Path | None, owner: str) -> None:
        self._folder = folder
        self._owner = owner
        self._slots: dict[int, int] = {}  # row -> its place in the file
        self._free = list(range(MAX_SLOTS))
        self._memory: mmap.mmap | None = None
        self._descriptor: int | None = None

    def open(self) -> None:
        """Makes the file of this process, and deletes old ones. What can't be made is done without."""
        if self._folder is None or (run := _read_run_of_machine()) is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _delete_old_files(self._folder)
            self._make_file(self._folder, run)
        except OSError as error:
            log.warning("departures_not_kept", error=str(error), consequence="after a crash more messages are in doubt")

    def close(self) -> None:
        """Lets go of the file. It stays, for whoever finds a row that was marked and never left."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def begin(self, outbox_id: int) -> None:
        """Records that the row's request leaves now."""
        if outbox_id in self._slots:
            return
        if not self._free:
            self._give_up_file()
            self._slots[outbox_id] = -1
            return
        slot = self._slots[outbox_id] = self._free.pop()
        self._write(slot, outbox_id)

    def end(self, outbox_id: int) -> None:
        """Forgets the row: what came of its request is committed."""
        slot = self._slots.pop(outbox_id, None)
        if slot is not None and slot >= 0:
            self._write(slot, 0)
            self._free.append(slot)

    def has_begun(self, outbox_id: int) -> bool:
        """Whether the row's request has left this process, or may have."""
        return outbox_id in self._slots

    def find_departed(self, owner: str) -> frozenset[int] | None:
        """Finds the rows of another process whose requests may have left, once it is gone for certain; None where that
        can't be told. It reads a file."""
        if self._folder is None or not owner.isalnum():
            return None
        try:
            descriptor = os.open(self._folder / owner, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            content = os.pread(descriptor, FILE_BYTES, 0)
            number = os.fstat(descriptor).st_ino
        except OSError:  # it is alive, or the disk is in trouble
            return None
        finally:
            os.close(descriptor)
        return _parse(content, number)

    def _make_file(self, folder: Path, run: bytes) -> None:
        making = folder / f".{self._owner}.{secrets.token_hex(4)}"
        descriptor = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            header = HEADER.pack(KIND, run, os.fstat(descriptor).st_ino)
            os.pwrite(descriptor, header.ljust(FILE_BYTES, b"\0"), 0)  # all of it, or a full disk would end us later
            os.fsync(descriptor)
            self._memory = mmap.mmap(descriptor, FILE_BYTES)
            making.rename(folder / self._owner)  # only now others see it, locked and whole
        except OSError:
            making.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._descriptor = descriptor  # the lock lives as long as it

    def _write(self, slot: int, outbox_id: int) -> None:
        if self._memory is not None:
            at = HEADER.size + slot * SLOT_BYTES
            self._memory[at : at + SLOT_BYTES] = outbox_id.to_bytes(SLOT_BYTES, "little")

    def _give_up_file(self) -> None:
        """Takes the file away, since it can't tell everything any more."""
        if self._folder is not None and self._memory is not None:
            (self._folder / self._owner).unlink(missing_ok=True)
            log.warning("departures_not_kept", error="too many requests at once")
            self.close()


def _read_run_of_machine() -> bytes | None:
    """Reads what names this run of the machine, whose memory a crash of it would lose; None where nothing does."""
    try:
        return RUN_OF_MACHINE.read_bytes().strip()[:40]
    except OSError:
        return None


def _parse(content: bytes, number: int) -> frozenset[int] | None:
    """Returns the ids in a file that has this number; None when it is a copy, or of another run of the machine."""
    run = _read_run_of_machine()
    if len(content) != FILE_BYTES or run is None:
        return None
    kind, written_in, own_number = HEADER.unpack_from(content)
    if (kind, written_in.rstrip(b"\0"), own_number) != (KIND, run, number):
        return None
    ids = struct.unpack_from(f"<{MAX_SLOTS}Q", content, HEADER.size)
    return frozenset(ids) - {0}


def _delete_old_files(folder: Path) -> None:
    """Deletes the files of processes that have been gone for a while."""
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime > time.time() - KEPT_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)
        except OSError:
            continue  # its process is alive, or another deletes it
