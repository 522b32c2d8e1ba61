"""Appends JSON lines to a file, and reads them again: what the simulator remembers over a restart.

Invariants
- A record is written to the file before append() returns. It is not synced: it outlives the process, not a power cut.
- A process that is killed leaves at most one half-written line, which read() passes over.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

Record = dict[str, Any]


class RecordLog:
    """One log file. It has to be opened by rewrite() before append()."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def read(self) -> Iterator[Record]:
        """Yields the records of an earlier process, oldest first."""
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replaces all records by these, or changes nothing at all; then opens the file for more."""
        self.close()
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def append(self, record: Record) -> None:
        """Writes one record."""
        if self._file is None:
            raise RuntimeError(f"{self._path.name} is not open")
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None
