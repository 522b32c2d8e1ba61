"""Writes diagnostic lines (logs, notices, tracebacks) by a thread, so that no reader of them fails or stalls the work.

Invariants
- Nothing here raises, and `LineWriter.put` waits for nobody.
- `LineWriter.write` returns once its line is out, as long as the reader keeps up. One who stands still is waited for
  once, for WAIT_SECONDS, until all that waits has been read.
- What can't be written, or finds MAX_WAITING_LINES waiting, is dropped and counted. Once writing works again, one line
  says how many were dropped.
- The descriptor's flags stay as they are, since other processes may share it; and its number is never taken by a file
  or a socket of ours, also when it was closed before the start.
"""

import contextlib
import io
import os
import select
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

WAIT_SECONDS = 0.02
MAX_WAITING_LINES = 4000  # about a megabyte
DRAIN_SECONDS = 1.0  # that lines get to go out when the process ends
LOOK_AGAIN_SECONDS = 1.0  # at a descriptor that somebody else made non-blocking
STDOUT_FD, STDERR_FD = 1, 2


class _Entry(NamedTuple):
    """One line or several, and who waits until they are out."""

    data: bytes
    written: threading.Event | None = None


def _describe_dropped(count: int) -> bytes:
    return f"{count} lines could not be written here, and are lost.\n".encode()


class LineWriter:
    """Writes lines to a descriptor. `describe_dropped` makes the line that says how many were dropped."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.describe_dropped: Callable[[int], bytes] = _describe_dropped
        self.dropped = 0  # lines, since the process began
        self._untold = 0  # of these, since a line last said so
        self._is_torn = False  # the last line was cut off in its middle
        self._is_closed = False
        self._keeps_up = True
        # Both may be entered again by who is in them already: a finalizer may run, and log, wherever memory is taken.
        self._waiting: SimpleQueue[_Entry] = SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Drops whatever is written from now on: there is nobody to read it."""
        self._is_closed = True

    def write(self, data: bytes) -> None:
        """Writes one line, or several; they are out when this returns, unless the reader does not keep up."""
        self._put(data, WAIT_SECONDS if self._keeps_up else 0.0)

    def put(self, data: bytes) -> None:
        """Writes one line, or several, soon."""
        self._put(data, 0.0)

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Waits until everything is written, but no longer than `seconds`."""
        if self._thread is not None and not self._waiting.empty():
            self._put(b"", seconds)

    def _put(self, data: bytes, wait_seconds: float) -> None:
        if self._is_closed or self._waiting.qsize() >= MAX_WAITING_LINES:
            self._count_dropped(data)
            return
        written = threading.Event() if wait_seconds and threading.current_thread() is not self._thread else None
        self._waiting.put(_Entry(data, written))
        if self._thread is None:
            self._start()
        if written is not None and not written.wait(wait_seconds):
            self._keeps_up = False  # until everything is out

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"lines-{self.descriptor}", daemon=True)
                self._thread.start()

    def _count_dropped(self, data: bytes) -> None:
        lines = max(1, data.count(b"\n"))
        with self._lock:
            self.dropped += lines
            self._untold += lines

    def _run(self) -> None:
        while True:
            data, written = self._waiting.get()
            untold = self._untold
            if not self._write_whole(data):
                self._count_dropped(data)
            elif untold and self._waiting.empty() and self._write_whole(self.describe_dropped(untold)):
                with self._lock:
                    self._untold -= untold
            if written is not None:
                written.set()
            if self._waiting.empty():
                self._keeps_up = True

    def _write_whole(self, data: bytes) -> bool:
        """Writes it, after a line break where the line before was cut off; returns whether all of it is written."""
        left = memoryview(b"\n" + data if self._is_torn else data)
        while left:
            try:
                left = left[os.write(self.descriptor, left) :]
            except BlockingIOError:
                select.select([], [self.descriptor], [], LOOK_AGAIN_SECONDS)
                continue
            except OSError:
                return False
            self._is_torn = bool(left)
        return True


class _Lines(io.RawIOBase):
    """The lowest layer of a text stream, which hands everything to a LineWriter."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._writer.write(bytes(data))
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._writer.descriptor

    def isatty(self) -> bool:
        return os.isatty(self._writer.descriptor)


STANDARD_OUTPUT = LineWriter(STDOUT_FD)
STANDARD_ERROR = LineWriter(STDERR_FD)


def guard_standard_error() -> None:
    """Has everything that this process says on standard error written by its LineWriter, and makes sure that the three
    standard descriptors are open."""
    for descriptor in (0, STDOUT_FD, STDERR_FD):
        try:
            os.fstat(descriptor)
        except OSError:  # or the next file that is opened would be written to as if it were the terminal
            os.open(os.devnull, os.O_RDWR)
            for writer in (STANDARD_OUTPUT, STANDARD_ERROR):
                if writer.descriptor == descriptor:
                    writer.close()
    sys.stderr = _open_text(STANDARD_ERROR)


def guard_standard_output() -> None:
    """Does the same for standard output, in a process whose work is not what it prints."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    sys.stdout = _open_text(STANDARD_OUTPUT)


def drain_standard_streams() -> None:
    """Lets go out what waits, before the process ends."""
    for stream, writer in ((sys.stdout, STANDARD_OUTPUT), (sys.stderr, STANDARD_ERROR)):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        writer.drain()


def count_dropped_lines() -> int:
    """Returns how many lines of this process were dropped."""
    return STANDARD_OUTPUT.dropped + STANDARD_ERROR.dropped


def _open_text(writer: LineWriter) -> io.TextIOWrapper:
    buffer = io.BufferedWriter(_Lines(writer))  # type: ignore[type-var]  # typeshed asks for more than CPython
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
