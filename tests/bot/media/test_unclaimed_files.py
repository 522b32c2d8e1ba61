"""Customers' files that nothing took go after 30 days, and no others."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.lane_state import LaneState
from bot.media.unclaimed_files import MAX_FILES_PER_BATCH, delete_unclaimed_files
from flows import Conversation, Draft, Media, Piece
from storage import customers, files
from storage.blobs.folder import FolderStore
from storage.blobs.store import FileStore, make_file_key
from storage.customers import make_phone_alias
from storage.files import FileRow
from storage.sql.database import Database, Tx
from storage.statuses import FileState

NOW = datetime(2026, 3, 6, 14, tzinfo=UTC)
OLD = NOW - timedelta(days=30)
YOUNG = OLD + timedelta(milliseconds=1)
ANNE, GONE = 5, 6
ROWS = {
    "nobody's": FileRow(1, "in", "image", FileState.STORED, OLD, OLD, customer_id=ANNE, media_id="111", size=4),
    "of somebody unknown": FileRow(2, "in", "image", FileState.STORED, OLD, OLD, customer_id=GONE, media_id="222"),
    "refused": FileRow(3, "in", "image", FileState.REFUSED, OLD, OLD, customer_id=ANNE, media_id="333"),
    "expired": FileRow(4, "in", "image", FileState.EXPIRED, OLD, OLD, customer_id=ANNE, media_id="444"),
    "half deleted": FileRow(5, "in", "image", FileState.LOOSE, OLD, OLD, customer_id=ANNE, media_id="555"),
    "young": FileRow(6, "in", "image", FileState.STORED, YOUNG, YOUNG, customer_id=ANNE, media_id="666", size=4),
    "of a ticket": FileRow(7, "in", "image", FileState.STORED, OLD, OLD, customer_id=ANNE, ticket_id=9, media_id="777"),
    "of a draft": FileRow(8, "in", "image", FileState.STORED, OLD, OLD, customer_id=ANNE, media_id="888", size=4),
    "on its way": FileRow(9, "in", "image", FileState.FETCHING, OLD, OLD, customer_id=ANNE, media_id="999"),
    "an agent's": FileRow(10, "out", "image", FileState.STORED, OLD, OLD, size=4),
}
STAY = ["young", "of a ticket", "of a draft", "on its way", "an agent's"]


async def four_bytes() -> AsyncIterator[bytes]:
    yield b"data"


@pytest.fixture
async def store(database: Database, tmp_path: Path) -> FileStore:
    """A store with the bytes of all these, and a customer who has not sent their report yet."""
    await database.run(lambda tx: files.insert(tx, list(ROWS.values())))
    draft = Draft(number=1, pieces=(Piece("It is broken"), Piece(media=Media("888", "image/png", "", "photo", ""))))
    body = LaneState(flow=Conversation("open_ticket", "confirm", draft).to_json()).to_json()

    async def write(tx: Tx) -> None:
        directory = await customers.read_directory(tx, [], NOW, body)
        directory.add(ANNE, "Anne", [make_phone_alias("15550001111")])
        await customers.write_directory(tx, directory)

    await database.run(write)
    made = FolderStore(tmp_path / "files")
    for row in ROWS.values():
        await made.put(make_file_key(row.file_id), four_bytes())
    return made


async def list_left(database: Database, folder: Path) -> tuple[list[str], list[str]]:
    """What has a row, and what has bytes."""
    async with database.reading() as tx:
        rows = [name for name, row in ROWS.items() if await files.find(tx, row.file_id)]
    return rows, [name for name, row in ROWS.items() if (folder / "files" / make_file_key(row.file_id)).exists()]


async def test_what_nothing_took_is_deleted(database: Database, store: FileStore, tmp_path: Path) -> None:
    for _ in range(2):
        await delete_unclaimed_files(database, store, NOW)
        assert await list_left(database, tmp_path) == (STAY, STAY)


async def test_what_a_ticket_takes_meanwhile_stays(database: Database, store: FileStore, tmp_path: Path) -> None:
    """Whoever is first has it: the report, or the clean-up."""
    await database.run(lambda tx: files.attach(tx, ANNE, ["111"], 77))
    assert await database.run(lambda tx: files.loosen_unclaimed(tx, [1, 3])) == [3]
    await database.run(lambda tx: files.attach(tx, ANNE, ["333"], 77))
    await delete_unclaimed_files(database, store, NOW)
    assert (await list_left(database, tmp_path))[0] == ["nobody's", *STAY]


async def test_a_store_that_is_away_is_asked_again(database: Database, store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "files").rename(tmp_path / "away")
    (tmp_path / "files").write_text("something that is no folder")
    await delete_unclaimed_files(database, store, NOW)
    (tmp_path / "files").unlink()
    (tmp_path / "away").rename(tmp_path / "files")
    await delete_unclaimed_files(database, store, NOW)
    assert await list_left(database, tmp_path) == (STAY, STAY)


async def test_more_than_one_batch_behind_what_stays(sqlite_database: Database, tmp_path: Path) -> None:
    body = json.dumps(["", " ".join(f"named{at}" for at in range(1, MAX_FILES_PER_BATCH + 1)), None, None, None])

    async def write(tx: Tx) -> None:
        directory = await customers.read_directory(tx, [], NOW, body)
        directory.add(ANNE, "Anne", [make_phone_alias("15550001111")])
        await customers.write_directory(tx, directory)

    await sqlite_database.run(write)
    rows = [
        FileRow(at, "in", "image", FileState.STORED, OLD, OLD, customer_id=ANNE, media_id=f"named{at}")
        for at in range(1, 2 * MAX_FILES_PER_BATCH + 3)
    ]
    await sqlite_database.run(lambda tx: files.insert(tx, rows))
    await delete_unclaimed_files(sqlite_database, FolderStore(tmp_path), NOW)
    async with sqlite_database.reading() as tx:
        assert len(await tx.fetch("SELECT id FROM file", [])) == MAX_FILES_PER_BATCH
