"""Media transfer with the stand-in as Meta: what a customer sends there arrives whole, with faults on the way too, and
what an agent uploads is taken."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from api.simulator.faults import Fault
from bot.media.transfer import MediaTransfer
from bot.media.uploader import UploadFailed
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from bot.whatsapp.graph.media import to_sha256_hex
from bot.whatsapp.graph.media_download import open_downloads
from storage import files
from storage.blobs.folder import FolderStore
from storage.blobs.store import make_file_key
from storage.files import FileRow
from storage.sql.database import Database
from storage.statuses import FileState
from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, run_echo_service
from tests.bot.file_budgets import make_budget

ANA = "15550100001"
BYTES = b"\x89PNG\r\n\x1a\n" + b"a picture " * 5000


@pytest.mark.parametrize("then", ["", "status", "html", "cut", "empty", "truncated", "redirect"])
@pytest.mark.parametrize("where", ["locate", "download"])
async def test_what_a_customer_sends_arrives(sqlite_database: Database, tmp_path: Path, then: Any, where: Any) -> None:
    """Each fault once: what it spoils is fetched again, but for a redirect to somebody else's server."""
    end = "refused" if (where, then) == ("download", "redirect") else "stored"
    now = datetime.now(UTC)
    seconds = count(step=20)  # each look at the clock finds it later: no wait is slept out

    async with (
        run_echo_service(tmp_path / "meta") as meta,
        open_http() as http,
        open_downloads(meta.graph) as downloads,
    ):
        sent = {"file": ("a.png", BYTES, "image/png")}
        await meta.http.post(f"{meta.url}/simulator/api/customers/{ANA}/files", files=sent)
        await meta.until(lambda: bool(meta.values("messages")))
        image = meta.values("messages")[0]["image"]
        if then:
            meta.simulator.faults.add(Fault(then=then, where=where, status=503))
        graph = GraphClient(GraphSettings(meta.graph, NUMBER_ID, TOKEN, SECRET), http)
        store = FolderStore(tmp_path / "files")
        media = MediaTransfer(database=sqlite_database, store=store, graph=graph, downloads=downloads, owner="a",
                              budget=make_budget(sqlite_database, lambda: now),
                              clock=lambda: now + timedelta(seconds=next(seconds)))  # fmt: skip
        row = FileRow(1, "in", "image", FileState.WAITING, now, now, media_id=image["id"],
                      media_until=now + timedelta(days=7), sha256=to_sha256_hex(image["sha256"]),
                      mime_type=image["mime_type"])  # fmt: skip
        await sqlite_database.run(lambda tx: files.insert(tx, [row]))
        stop = asyncio.Event()
        working = asyncio.create_task(media.run(stop))
        async with asyncio.timeout(20):
            while (found := await file(sqlite_database)).state != end:
                media.ring()
                await asyncio.sleep(0.05)
        stop.set()
        await working
        if end == "refused":
            return
        assert b"".join([piece async for piece in await store.open(make_file_key(1))]) == BYTES
        assert (found.size, found.sha256) == (len(BYTES), row.sha256)


async def test_what_an_agent_sends_is_taken(sqlite_database: Database, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with (
        run_echo_service(tmp_path / "meta") as meta,
        open_http() as http,
        open_downloads(meta.graph) as downloads,
    ):
        graph = GraphClient(GraphSettings(meta.graph, NUMBER_ID, TOKEN, SECRET), http)
        store = FolderStore(tmp_path / "files")
        media = MediaTransfer(database=sqlite_database, store=store, graph=graph, downloads=downloads, owner="a",
                              budget=make_budget(sqlite_database, lambda: now),
                              clock=lambda: now)  # fmt: skip
        rows = [
            FileRow(at, "out", "image", FileState.STORED, now, now, mime_type=kind, filename="a.png", size=len(BYTES))
            for at, kind in ((1, "image/png"), (2, "image/gif"))
        ]
        await sqlite_database.run(lambda tx: files.insert(tx, rows))
        for row in rows:
            await store.put(make_file_key(row.file_id), pieces())
        await meta.write(ANA, text="silence")
        media_id = await media.ensure_uploaded(1)
        answer = await meta.send(to=f"+{ANA}", type="image", image={"id": media_id})
        assert answer.status_code == 200, answer.text
        with pytest.raises(UploadFailed) as failed:
            await media.ensure_uploaded(2)
        assert failed.value.retry_seconds is None


async def pieces() -> AsyncIterator[bytes]:
    yield BYTES


async def file(database: Database) -> FileRow:
    async with database.reading() as tx:
        found = await files.find(tx, 1)
    assert found is not None
    return found
