"""Orphaned uploads are deleted after a day, and nothing else is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.media.orphaned_uploads import MAX_UPLOADS_PER_BATCH, delete_orphaned_uploads
from storage import files
from storage.blobs.folder import FolderStore
from storage.blobs.store import FileStore, StoreDown, make_file_key
from storage.files import FileRow
from storage.sql.database import Database
from storage.statuses import FileState

NOW = datetime(2026, 3, 6, 14, tzinfo=UTC)
OLD = NOW - timedelta(hours=24)
YOUNG = OLD + timedelta(milliseconds=1)
ROWS = {
    "orphaned": FileRow(1, "out", "image", FileState.STORED, OLD, OLD, size=4),
    "young": FileRow(2, "out", "image", FileState.STORED, YOUNG, YOUNG, size=4),
    "sent": FileRow(3, "out", "image", FileState.STORED, OLD, OLD, size=4, ticket_id=5, reply_id=6),
    "a customer's": FileRow(4, "in", "image", FileState.STORED, OLD, OLD, size=4),
    "cut off": FileRow(5, "out", "image", FileState.LOOSE, OLD, OLD),
    "on its way": FileRow(6, "out", "image", FileState.LOOSE, YOUNG, YOUNG),
    "a customer's that failed": FileRow(7, "in", "image", FileState.FAILED, OLD, OLD),
}
STAY = ["young", "sent", "a customer's", "on its way", "a customer's that failed"]


@pytest.fixture
async def store(database: Database, tmp_path: Path) -> FileStore:
    """A store with the bytes of all these."""
    await database.run(lambda tx: files.insert(tx, list(ROWS.values())))
    made = FolderStore(tmp_path / "files")
    for row in ROWS.values():
        await made.put(make_file_key(row.file_id), four_bytes())
    return made


async def four_bytes() -> AsyncIterator[bytes]:
    yield b"data"


async def list_left(database: Database, folder: Path) -> tuple[list[str], list[str]]:
    """What has a row, and what has bytes."""
    async with database.reading() as tx:
        rows = [name for name, row in ROWS.items() if await files.find(tx, row.file_id)]
    return rows, [name for name, row in ROWS.items() if (folder / "files" / make_file_key(row.file_id)).exists()]


async def test_orphaned_uploads_are_deleted(database: Database, store: FileStore, tmp_path: Path) -> None:
    for _ in range(2):
        await delete_orphaned_uploads(database, store, NOW)
        assert await list_left(database, tmp_path) == (STAY, STAY)


async def test_a_store_that_is_away_is_asked_again(database: Database, store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "files").rename(tmp_path / "away")
    (tmp_path / "files").write_text("something that is no folder")
    with pytest.raises(StoreDown):
        await store.delete(make_file_key(1))
    await delete_orphaned_uploads(database, store, NOW)
    async with database.reading() as tx:
        assert [(row.state, row.reply_id) for at in (1, 5) if (row := await files.find(tx, at))] == [
            ("loose", None)
        ] * 2
    (tmp_path / "files").unlink()
    (tmp_path / "away").rename(tmp_path / "files")
    await delete_orphaned_uploads(database, store, NOW)
    assert await list_left(database, tmp_path) == (STAY, STAY)


async def test_what_is_being_deleted_can_not_be_sent(database: Database, store: FileStore, tmp_path: Path) -> None:
    """Whoever is first has it: the answer, or the clean-up."""
    assert await database.run(lambda tx: files.attach_uploads(tx, [1], 9, 5, 7))
    assert await database.run(lambda tx: files.loosen_unsent(tx, NOW, 50)) == [2, 5, 6]
    assert await database.run(lambda tx: files.attach_uploads(tx, [2], 9, 5, 8)) == []
    await delete_orphaned_uploads(database, store, NOW)
    assert (await list_left(database, tmp_path))[0] == ["orphaned", "young", *STAY[1:]]


async def test_more_than_one_batch(sqlite_database: Database, tmp_path: Path) -> None:
    file_ids = range(1, 2 * MAX_UPLOADS_PER_BATCH + 3)
    rows = [FileRow(file_id, "out", "image", FileState.STORED, OLD, OLD) for file_id in file_ids]
    await sqlite_database.run(lambda tx: files.insert(tx, rows))
    await delete_orphaned_uploads(sqlite_database, FolderStore(tmp_path), NOW)
    async with sqlite_database.reading() as tx:
        assert await tx.fetch("SELECT id FROM file", []) == []
