"""An append-only file of JSON lines: what the simulator remembers over a restart.

A record is on its way to the disk before append() returns, and a process that is killed leaves at most one
half-written line, which read() passes over. It is not synced: it outlives the process, not a power cut.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

Record = dict[str, Any]


class RecordLog:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def read(self) -> Iterator[Record]:
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
        """Put these records in the place of all others, or change nothing at all; then open for more."""
        self.close()
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def append(self, record: Record) -> None:
        if self._file is None:
            raise RuntimeError(f"{self._path.name} is not open")
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
