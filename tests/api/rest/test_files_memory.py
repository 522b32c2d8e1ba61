"""A hundred megabytes arrive, are stored, are served, and as many are uploaded, in a process that hardly grows: also
when some of those who ask for them take nothing."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage import files
from storage.blobs.open import open_store
from storage.blobs.store import S3Access
from storage.files import FileRow
from storage.sql.database import Database, DatabaseSettings
from storage.statuses import FileState
from tests.api.rest_service import NOW
from tests.bot.file_host import Connection, FileHost, listening
from tests.storage.blobs.object_store import BUCKET, OWNER, ObjectStore
from tests.support.places import ROOT
from tests.support.plain_http import plain_http
from tests.support.servers import started

MEGABYTE = 1024 * 1024
SIZES = {"small": 100_000, "large": 100 * MEGABYTE}
PIECE = bytes(range(256)) * 256
MOST_GROWTH = 50 * MEGABYTE


def hash_of(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // len(PIECE)):
        digest.update(PIECE)
    digest.update(PIECE[: size % len(PIECE)])
    return digest.hexdigest()


async def stream_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield PIECE
    yield PIECE[: size % len(PIECE)]


async def stream_form(size: int) -> AsyncIterator[bytes]:
    yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
    yield b"Content-Type: application/pdf\r\n\r\n"
    async for piece in stream_pieces(size):
        yield piece
    yield b"\r\n--B--\r\n"


async def served_by_meta(connection: Connection, _host: FileHost, size: int) -> None:
    await connection.head(Content_Length=size)
    async for piece in stream_pieces(size):
        await connection.send(piece)


class Memory:
    """What a process has in memory, in bytes, as Linux counts it."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)

    def _figure(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    def now(self) -> int:
        return self._figure("VmRSS")

    def forget_peak(self) -> None:
        (self._folder / "clear_refs").write_text("5")

    def peak(self) -> int:
        return self._figure("VmHWM")


@pytest.fixture(params=["folder", "s3"])
def place(
    request: pytest.FixtureRequest, at_hand: Callable[[str, Callable[[], ObjectStore]], ObjectStore]
) -> Iterator[tuple[str, S3Access]]:
    """FILES_URL, and how to get in."""
    if request.param == "folder":
        yield "", S3Access()
        return
    server = at_hand("s3", ObjectStore)
    with started(server):
        owner = replace(server.access, access_key_id=OWNER.access_key_id, secret_access_key=OWNER.secret_access_key)
        asyncio.run(open_store(f"s3://{BUCKET}", Path(), owner).check())
        yield f"s3://{BUCKET}/files", server.access


@asynccontextmanager
async def child(given: dict[str, Any]) -> AsyncIterator[tuple[int, asyncio.StreamWriter, httpx.AsyncClient]]:
    """Its process, its bell, and its routes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.api.rest.files_child", json.dumps(given), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    said = json.loads(await process.stdout.readline())
    headers = {"Authorization": f"Bearer {said['key']}"}
    try:
        async with plain_http(f"http://127.0.0.1:{said['port']}", headers=headers, timeout=60) as http:
            yield process.pid, process.stdin, http
    finally:
        process.stdin.close()
        await process.communicate()
    assert process.returncode == 0


async def test_a_hundred_megabytes(migrated_sqlite_url: str, tmp_path: Path, place: tuple[str, S3Access]) -> None:
    files_url, access = place
    host = FileHost()
    for name, size in SIZES.items():

        async def served(connection: Connection, host: FileHost, _time: int, size: int = size) -> None:
            await served_by_meta(connection, host, size)

        host.files[name] = served
        host.facts[name] = {"sha256": hash_of(size), "file_size": size, "mime_type": "application/pdf"}
    database = await Database.open(DatabaseSettings(migrated_sqlite_url))
    given = {
        "database_url": migrated_sqlite_url, "files_url": files_url, "folder": str(tmp_path / "files"),
        "access": asdict(access),
    }  # fmt: skip
    async with listening(host), child(given | {"api_url": host.api_url}) as (pid, bell, http):
        memory, growth = Memory(pid), 0
        for file_id, (name, size) in enumerate(SIZES.items(), 1):
            before = memory.now()  # the small file has warmed everything up
            memory.forget_peak()
            row = FileRow(
                file_id, "in", "document", FileState.WAITING, NOW, NOW, media_id=name, media_until=NOW + timedelta(7)
            )
            await database.run(lambda tx, row=row: files.insert(tx, [row]))  # type: ignore[misc]
            bell.write(b"\n")
            async with asyncio.timeout(60):
                while (await state(http, file_id))["state"] != "stored":
                    await asyncio.sleep(0.05)
            arrived = memory.peak() - before
            idle = [await who_never_reads(http, file_id) for _ in range(3)]
            digest = hashlib.sha256()
            async with http.stream("GET", f"/api/files/{file_id}") as answer:
                async for piece in answer.aiter_bytes():
                    digest.update(piece)
            assert digest.hexdigest() == hash_of(size)
            served_too = memory.peak() - before
            headers = {"Content-Type": "multipart/form-data; boundary=B"}
            uploaded = await http.post("/api/files", content=stream_form(size), headers=headers)
            assert (uploaded.status_code, uploaded.json()["data"]["size"]) == (201, size)
            growth = memory.peak() - before
            for writer in idle:
                writer.close()
            print(
                f"{files_url or 'folder'}: {size / MEGABYTE:.0f} MB fetched and stored: +{arrived / MEGABYTE:.1f} MB,"
                f" served: +{served_too / MEGABYTE:.1f} MB, as much uploaded: +{growth / MEGABYTE:.1f} MB"
            )
        assert growth < MOST_GROWTH, f"{growth / MEGABYTE:.1f} MB more in memory"
    await database.close()


async def who_never_reads(http: httpx.AsyncClient, file_id: int) -> asyncio.StreamWriter:
    """Somebody asks for the file and then takes nothing of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port, limit=1024)
    key = http.headers["Authorization"]
    writer.write(f"GET /api/files/{file_id} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
    assert b" 200 " in await reader.readline()
    return writer


async def state(http: httpx.AsyncClient, file_id: int) -> dict[str, Any]:
    data: dict[str, Any] = (await http.get(f"/api/files/{file_id}/state")).json()["data"]
    return data
