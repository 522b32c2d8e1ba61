"""Tests files on both databases: that one process fetches a file, that MOVES is kept, and what belongs to whom."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage import file_fetches, files
from storage.file_fetches import FetchOutcome
from storage.files import MOVES, FileRow
from storage.sql.database import Database
from storage.statuses import FileState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
ANNE, BEN = 2**62 + 1, 2**62 + 2


def row(file_id: int, *, customer_id: int = ANNE, state: FileState = FileState.WAITING, **more: Any) -> FileRow:
    given: dict[str, Any] = {
        "media_id": f"media{file_id}",
        "media_until": NOW + timedelta(days=7),
        "filename": "q😀.pdf",
    } | more
    return FileRow(file_id, given.pop("direction", "in"), "document", state, given.pop("due_at", NOW), NOW,
                   customer_id=customer_id, **given)  # fmt: skip


async def insert(database: Database, *rows: FileRow) -> None:
    await database.run(lambda tx: files.insert(tx, rows))


async def found(database: Database, file_id: int = 1) -> FileRow:
    async with database.reading() as tx:
        one = await files.find(tx, file_id)
    assert one is not None
    return one


async def claim(database: Database, owner: str = "a", at: datetime = NOW, *file_ids: int) -> list[FileRow]:
    until = at + timedelta(seconds=30)
    return await database.run(lambda tx: file_fetches.claim(tx, file_ids or (1,), owner, at, until))


async def finish(database: Database, fetched: FetchOutcome, at: datetime = LATER) -> bool:
    return await database.run(lambda tx: file_fetches.finish(tx, fetched, at))


async def test_what_is_written_is_found(database: Database) -> None:
    first = row(2**62 + 5, wamid="wamid.A", ticket_id=7, reply_id=2**61, sha256="ab" * 32, size=2**33, reason="ü")
    await insert(database, first, row(2, customer_id=BEN, media_until=None))
    assert await found(database, first.file_id) == first
    assert (await found(database, 2)).media_until is None
    async with database.reading() as tx:
        assert await files.find(tx, 3) is None
        assert await files.list_of_ticket(tx, 7) == [first]


async def test_of_many_fetchers_one_gets_the_file(database: Database) -> None:
    await insert(database, row(1), row(2))
    got = await asyncio.gather(*(claim(database, name, NOW, 1, 2) for name in "abcdef"))
    assert sorted(len(one) for one in got) == [0, 0, 0, 0, 0, 2]
    [winner] = {one.owner for rows in got for one in rows}
    again = await claim(database, winner, NOW, 1, 2)  # as after a commit whose outcome was not heard
    assert [one.attempts for one in again] == [1, 1]


async def test_a_dead_process_is_followed_and_has_no_say_any_more(database: Database) -> None:
    await insert(database, row(1))
    [first] = await claim(database, "a")
    assert await claim(database, "b", LATER - timedelta(milliseconds=1)) == []
    [second] = await claim(database, "b", LATER)
    assert (second.owner, second.attempts) == ("b", 2)
    assert not await finish(database, FetchOutcome(first, FileState.FAILED, "too late"))
    assert await finish(
        database, FetchOutcome(second, FileState.STORED, size=5, sha256="cd" * 32, mime_type="image/png")
    )
    stored = await found(database)
    assert (stored.state, stored.size, stored.sha256, stored.mime_type) == ("stored", 5, "cd" * 32, "image/png")
    assert (stored.owner, stored.stored_at, stored.reason) == ("", LATER, "")


async def test_who_is_at_it_keeps_it(database: Database) -> None:
    await insert(database, row(1), row(2))
    await claim(database, "a", NOW, 1, 2)
    await database.run(lambda tx: file_fetches.renew(tx, [1], "a", LATER + timedelta(seconds=30)))
    await database.run(lambda tx: file_fetches.renew(tx, [2], "b", LATER + timedelta(seconds=30)))
    async with database.reading() as tx:
        assert await file_fetches.find_due(tx, LATER, 10, fresh=False) == [2]


@pytest.mark.parametrize("to", FileState)
async def test_only_what_is_being_fetched_is_finished(sqlite_database: Database, to: FileState) -> None:
    """Every state, and what a fetch that believes to be under way may make of it."""
    await insert(sqlite_database, *(row(at, state=state, owner="a") for at, state in enumerate(FileState, 1)))
    for at, state in enumerate(FileState, 1):
        fetched = FetchOutcome(replace(await found(sqlite_database, at), owner="a"), to)
        if FileState.FETCHING not in MOVES[to]:
            with pytest.raises(ValueError, match="never goes"):
                await finish(sqlite_database, fetched)
        else:
            assert await finish(sqlite_database, fetched) == (state is FileState.FETCHING)


async def test_what_may_be_claimed_retried_and_expired(database: Database) -> None:
    over = NOW - timedelta(days=1)
    await insert(database, *(row(at, state=state, media_until=over) for at, state in enumerate(FileState, 1)))
    assert {one.file_id for one in await claim(database, "a", NOW, 1, 2, 3, 4, 5, 6)} == {
        at for at, state in enumerate(FileState, 1) if state in MOVES[FileState.FETCHING]
    }
    await database.run(lambda tx: tx.execute("UPDATE file SET state = 'failed', due_at = 9999999999999 WHERE id = 4"))
    tried = [at for at in range(1, 9) if await database.run(lambda tx, at=at: file_fetches.retry(tx, at, NOW))]  # type: ignore[misc]
    assert tried == [4, 5]
    for at in tried:
        wanted = await found(database, at)
        assert (wanted.state, wanted.due_at, wanted.wanted_at) == ("waiting", NOW, NOW)
    assert await database.run(lambda tx: file_fetches.expire(tx, NOW)) == 2  # the others are being fetched
    assert await database.run(lambda tx: file_fetches.expire(tx, LATER)) == 2
    assert [(await found(database, at)).state for at in range(1, 9)] == [
        "expired", "expired", "stored", "expired", "expired", "refused", "expired", "loose",
    ]  # fmt: skip


async def test_an_attempt_that_was_nobodys_fault_is_not_counted(database: Database) -> None:
    await insert(database, row(1))
    [claimed] = await claim(database)
    assert await finish(database, FetchOutcome(claimed, FileState.WAITING, "the token", LATER, is_attempt=False))
    after = await found(database)
    assert (after.attempts, after.due_at, after.reason, after.state) == (0, LATER, "the token", "waiting")


async def test_fresh_files_and_tried_ones_the_longest_waiting_first(database: Database) -> None:
    early = NOW - timedelta(seconds=5)
    await insert(
        database, row(1), row(2, due_at=early), row(3, attempts=2, state=FileState.FAILED), row(4, due_at=LATER)
    )
    async with database.reading() as tx:
        assert await file_fetches.find_due(tx, NOW, 10, fresh=True) == [2, 1]
        assert await file_fetches.find_due(tx, NOW, 1, fresh=True) == [2]
        assert await file_fetches.find_due(tx, NOW, 10, fresh=False) == [3]


async def test_files_of_a_draft_get_their_ticket(database: Database) -> None:
    await insert(
        database, row(1), row(2), row(3, ticket_id=5), row(4, customer_id=BEN, media_id="media1"),
        row(5, direction="out", media_id="media1"),
    )  # fmt: skip
    await database.run(lambda tx: files.attach(tx, ANNE, ["media1", "media3", "none"], 9))
    await database.run(lambda tx: files.attach(tx, ANNE, ["media2"], 9, 77))
    await database.run(lambda tx: files.attach(tx, ANNE, [], 9))
    belongs = [((one := await found(database, at)).ticket_id, one.reply_id) for at in range(1, 6)]
    assert belongs == [(9, None), (9, 77), (5, None), (None, None), (None, None)]
    async with database.reading() as tx:
        assert [one.file_id for one in await files.list_of_ticket(tx, 9)] == [1, 2]


async def test_an_upload_goes_out_with_one_reply(database: Database) -> None:
    await insert(database, *(row(at, customer_id=0, direction="out", state=FileState.STORED) for at in (1, 2)), row(3))
    for reply_id, wanted, expected in ((7, [1, 3], [1]), (7, [1, 3], [1]), (8, [1, 2], [2]), (9, [], [])):
        got = await database.run(lambda tx, r=reply_id, w=wanted: files.attach_uploads(tx, w, ANNE, 5, r))  # type: ignore[misc]
        assert [one.file_id for one in got] == expected
    assert (await found(database, 1)).customer_id == ANNE
    until = NOW + timedelta(days=30)
    await database.run(lambda tx: files.set_media_id(tx, 1, "4711", until))
    assert ((await found(database)).media_id, (await found(database)).media_until) == ("4711", until)
