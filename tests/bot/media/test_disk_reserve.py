"""A reserve of the disk stays free: files wait for room, an alert says so, and nothing else stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from api.views.file_text import describe_file_state
from bot.metrics import Metrics
from bot.redis_watch import RedisWatch
from bot.resource_monitor import ResourceMonitor
from bot.whatsapp.graph.media_download import DownloadLimits
from storage import alerts
from storage.blobs.disk_room import RESERVE, DiskRoom, Reserve
from storage.blobs.folder import FolderStore
from storage.blobs.store import PIECE_BYTES, StoreDown, make_file_key
from storage.redis.client import RedisSettings, open_redis
from storage.redis.lanes import Lanes
from storage.sql.database import Database
from tests.bot import file_host as host_of
from tests.bot.media.test_transfer import Place, fetching, place
from tests.support.small_disk import SIZE_BYTES, SmallDisk, make_small_disk

ALL_OF_IT = Reserve(share=1.0, max_bytes=1 << 62)  # no disk has that much free
SENTENCE = "The disk with the folder of files (FILES_URL or DATA_DIR) has less than "


async def look(there: Place, folder: Path, reserve: Reserve) -> list[tuple[str, str]]:
    """What the monitor's look leaves open, (severity, message)."""
    redis = open_redis(RedisSettings("redis://127.0.0.1:9/0"))  # nobody listens there
    monitor = ResourceMonitor(
        database=there.database,
        lanes=Lanes(redis, "tests"),
        store=FolderStore(folder, reserve),
        clock=there.clock,
        metrics=Metrics(),
        redis_watch=RedisWatch(),
        is_redis_embedded=False,
    )
    await monitor.look()
    async with there.database.reading() as tx:
        return [(alert.severity, alert.message) for alert in await alerts.list_open(tx)]


async def test_a_disk_with_its_reserve_alone_takes_no_file(sqlite_database: Database, tmp_path: Path) -> None:
    async with place(sqlite_database, tmp_path, reserve=ALL_OF_IT, graph_seconds=30) as there:
        there.host.files["m1"] = host_of.good
        await there.file(1, "m1")
        async with fetching(there.media):
            async with asyncio.timeout(30):
                while not (await there.row(1)).reason:
                    await asyncio.sleep(0.02)
        row = await there.row(1)
        assert (row.state, row.attempts) == ("waiting", 0)
        assert describe_file_state(row).startswith(f"Still to be fetched: {SENTENCE}")
        [(severity, message)] = await look(there, there.folder, ALL_OF_IT)
        assert severity == "red"
        assert message.startswith(SENTENCE)
        assert message.endswith("Customers' files wait at Meta meanwhile, which keeps them for seven days.")
        assert await look(there, there.folder, RESERVE) == []
    limits = DownloadLimits(max_bytes=1024 * 1024)
    async with place(sqlite_database, tmp_path, limits=limits, graph_seconds=30) as there:
        there.host.files["m1"] = host_of.good
        there.clock.forward(60)
        async with fetching(there.media):
            await there.until(1, states=("stored",))


async def test_a_file_that_reaches_the_reserve_is_given_up(figures: Callable[[str], None]) -> None:
    """The room is looked at for each piece, so that large files at once don't take the reserve."""
    with make_small_disk(figures) as disk:
        if type(disk) is not SmallDisk:
            pytest.skip(f"this process has no small disk of its own ({disk.way})")
        store = FolderStore(disk.folder / "files")
        with pytest.raises(StoreDown, match="less than 1 MB left"):
            await store.put(make_file_key(1), stream_pieces(SIZE_BYTES))
        assert [path for path in disk.folder.rglob("*") if path.is_file()] == []
        await store.put(make_file_key(1), stream_pieces(SIZE_BYTES // 2))
        assert (await store.check_room(), await store.check()) == ("", "")


async def test_the_doctor_says_so(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "files", ALL_OF_IT)
    assert (await store.check_room()).startswith(SENTENCE)
    assert (await store.check()).startswith(SENTENCE)


async def stream_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // PIECE_BYTES):
        yield b"x" * PIECE_BYTES


@pytest.mark.parametrize(("free", "reserve", "is_short"), [(5, 4, False), (4, 4, False), (3, 4, True), (0, 0, False)])
def test_when_a_disk_is_short(free: int, reserve: int, is_short: bool) -> None:
    assert DiskRoom(free, reserve).is_short is is_short
