"""Carries the files of the original system from its tables into the store of FILES_URL.

Invariants
- The row of a file is there before its first byte, as for every file, and is loose until its last is stored. So what is
  still to be carried is what is loose, whenever the take-over was ended.
- No more than two pieces of one file are in memory.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from api.takeover.conversion import END_OF_ROW_IDS, find_file_source
from bot.clock import Clock
from storage import files, original_tables
from storage.blobs.store import FileStore, make_file_key
from storage.files import FileRow
from storage.original_tables import OriginalTable
from storage.sql.database import Database
from storage.statuses import FileState

MAX_FILES_PER_LOOK = 100
END_OF_FILE_IDS = 2 * END_OF_ROW_IDS
LOST = "It was deleted from the former system before it was copied."


class _Measured:
    """The pieces of a file as they pass, counted and hashed."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._digest = hashlib.sha256()
        self.size = 0

    async def read(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            self.size += len(piece)
            self._digest.update(piece)
            yield piece

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Carries files. `tables`: the original's, by their name."""

    database: Database
    store: FileStore
    clock: Clock
    tables: Mapping[str, OriginalTable]

    async def carry_next(self) -> int:
        """Carries the next files; returns how many they were, 0 when all are there. Raises StoreDown."""
        async with self.database.reading() as tx:
            loose = await files.list_loose(tx, END_OF_FILE_IDS, MAX_FILES_PER_LOOK)
        for row in loose:
            await self._carry(row)
        return len(loose)

    async def _carry(self, row: FileRow) -> None:
        name, row_id = find_file_source(row.file_id)
        measured = _Measured(original_tables.read_file(self.database, self.tables[name], row_id))
        await self.store.put(make_file_key(row.file_id), measured.read())
        if row.size and not measured.size:  # the original is still in use, and it was deleted there
            await self.database.run(lambda tx: files.mark_lost(tx, row.file_id, LOST))
            return
        stored = replace(
            row, state=FileState.STORED, size=measured.size, sha256=measured.sha256, stored_at=self.clock()
        )
        await self.database.run(lambda tx: files.mark_uploaded(tx, stored))
