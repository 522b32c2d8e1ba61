"""A disk that is full under the log, the database, Redis or the files: nothing that was acknowledged is lost, the
service lives, and it works again by itself."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.simulator import bodies, message_bodies
from api.simulator.message_bodies import Attached, MessageHead
from storage.blobs.store import make_file_key
from tests.support.media_graph import FILE, serve_media_graph
from tests.support.serve_process import ANN, NUMBER, ServeProcess
from tests.support.small_disk import LimitedFiles, SmallDisk, make_small_disk

LONG = "x" * 4000  # a page of the database
MAX_TRIES = 3000  # webhooks until the disk is full
WEBHOOKS = 10


@pytest.fixture
def disk(figures: Callable[[str], None]) -> Iterator[SmallDisk]:
    with make_small_disk(figures) as made:
        yield made


class ServeOnDisk(ServeProcess):
    """A `tick serve` with a small disk."""

    def __init__(self, disk: SmallDisk, options: str = "", **settings: str) -> None:
        super().__init__(options, **settings)
        self._disk = disk

    def command(self) -> list[str]:
        return self._disk.wrap(super().command())

    def read_rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Reads its database; a copy of it, where SQLite itself does not find it."""
        if self._disk.find(self.database) == self.database:
            return super().read_rows(sql)
        copy = self.folder / "copy.db"
        while True:
            for end in ("", "-wal"):
                shutil.copy(self._disk.find(Path(f"{self.database}{end}")), f"{copy}{end}")
            try:
                with closing(sqlite3.connect(copy)) as connection:
                    return list(connection.execute(sql))
            except sqlite3.DatabaseError:  # it was written to in between
                continue


@contextmanager
def serving(disk: SmallDisk, options: str = "", **settings: str) -> Iterator[ServeOnDisk]:
    process = ServeOnDisk(disk, options, **settings)
    try:
        process.start()
        disk.attach(process.pid)
        yield process
    finally:
        process.close()


def post_all(process: ServeProcess, count: int = WEBHOOKS) -> None:
    """So many new webhooks are answered 200."""
    assert {process.post(process.make_webhook(LONG)) for _ in range(count)} == {200}


def is_ready(process: ServeProcess) -> bool:
    status, told = process.read_readiness()
    return status == 200 and told["status"] == "ready"


def test_under_the_log(disk: SmallDisk) -> None:
    if isinstance(disk, LimitedFiles):
        pytest.skip("the database is a file as well; test_diagnostics.py has /dev/full instead")
    path = disk.folder / "log"
    with serving(disk, f"2>>{path}", LOG_LEVEL="debug", LOG_FORMAT="json") as process:
        post_all(process)
        disk.fill()
        post_all(process)
        process.wait_until(lambda: process.count_items("done") == 2 * WEBHOOKS)
        process.wait_until(lambda: process.read_metric("tick_log_lines_dropped_total") > 0)
        disk.free()
        post_all(process)
        log = disk.find(path)
        process.wait_until(lambda: b'"event": "log_lines_dropped"' in log.read_bytes())
        process.wait_until(lambda: process.count_items("done") == 3 * WEBHOOKS)
        lines = log.read_bytes().splitlines()
        told = next(at for at, line in enumerate(lines) if b'"event": "log_lines_dropped"' in line)
        assert [json.loads(line)["event"] for line in lines[told - 1 : -1]], "each after it is whole"


def test_under_the_database(disk: SmallDisk) -> None:
    with serving(disk, DATABASE_URL=f"sqlite://{disk.folder / 'tick.db'}") as process:
        stored = [process.make_webhook() for _ in range(WEBHOOKS)]
        assert {process.post(body) for body in stored} == {200}
        process.wait_until(lambda: is_ready(process))
        disk.fill()
        refused: list[bytes] = []
        for _ in range(MAX_TRIES):
            body = process.make_webhook(LONG)
            (stored if (status := process.post(body)) == 200 else refused).append(body)
            assert status in (200, 503)
            if len(refused) == WEBHOOKS:
                break
        assert len(refused) == WEBHOOKS
        process.wait_until(lambda: process.read_readiness()[0] == 503)
        assert "disk" in process.read_readiness()[1]["database"]
        assert process.get("/healthz").status_code == 200
        disk.free()
        process.wait_until(lambda: is_ready(process))
        assert {process.post(body) for body in refused} == {200}
        assert {process.post(body) for body in stored} == {200}  # delivered again, as Meta does
        everything = len(stored) + len(refused)
        process.wait_until(lambda: process.count_items("done") == everything)
        assert process.list_wamids() == {read_wamid(body) for body in (*stored, *refused)}


def read_wamid(body: bytes) -> str:
    wamid: str = json.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]["id"]
    return wamid


def test_under_redis(disk: SmallDisk, tmp_path: Path) -> None:
    """Tick's own, which can't append to its file, and then dies and can't be started."""
    if isinstance(disk, LimitedFiles):
        pytest.skip("that ends a Redis; tests/storage/redis/test_refusals.py has one that takes no writes")
    settings = {"DATA_DIR": str(disk.folder), "DATABASE_URL": f"sqlite://{tmp_path / 'tick.db'}"}
    with serving(disk, FILES_URL=str(tmp_path / "files"), **settings) as process:
        record = disk.find(disk.folder / "redis" / "pid")
        post_all(process)
        process.wait_until(lambda: is_ready(process))
        disk.fill()

        def is_degraded() -> bool:
            status, told = process.read_readiness()
            return (status, told.get("status")) == (200, "degraded") and "DATA_DIR" in told["redis"]

        process.wait_until(is_degraded)
        post_all(process)
        process.wait_until(lambda: process.read_metric('tick_trouble{subject="redis:refuses"}') == 1)
        first = int(record.read_text())
        os.kill(first, signal.SIGKILL)
        post_all(process)
        disk.free()
        process.wait_until(lambda: is_ready(process))
        process.wait_until(lambda: process.count_items("done") == 3 * WEBHOOKS)
        assert int(record.read_text()) != first


def test_under_the_files(disk: SmallDisk, tmp_path: Path) -> None:
    if isinstance(disk, LimitedFiles):
        pytest.skip("the database is a file as well; tests/bot/media/test_disk_reserve.py has the reserve")
    with serve_media_graph() as graph, serving(disk, FILES_URL=str(disk.folder), WHATSAPP_API_URL=graph) as process:
        disk.fill()
        assert process.post(make_picture_webhook("4711")) == 200
        process.wait_until(lambda: read_file(process)[0] == "waiting" and read_file(process)[1] != "")
        assert "make room there" in read_file(process)[1]
        alert = "SELECT severity FROM alert WHERE subject = 'files:disk' AND cleared_at IS NULL"
        process.wait_until(lambda: process.read_rows(alert) == [("red",)])
        assert process.count_items("done") == 1, "the message waits for no file"
        disk.free()
        process.wait_until(lambda: read_file(process)[0] == "stored")
        process.wait_until(lambda: process.read_rows(alert) == [])
        stored = disk.find(disk.folder / make_file_key(process.read_rows("SELECT id FROM file")[0][0]))
        assert stored.read_bytes() == FILE


def make_picture_webhook(media_id: str) -> bytes:
    head = MessageHead(ANN, "wamid.picture", int(time.time()))
    picture = Attached(media_id, "image/png", hashlib.sha256(FILE).digest())
    return bodies.build_messages_webhook(NUMBER, [ANN], [message_bodies.image(head, picture)])


def read_file(process: ServeProcess) -> tuple[str, str]:
    """Returns the state of the file, and the reason."""
    rows = process.read_rows("SELECT state, reason FROM file")
    return (rows[0][0], rows[0][1]) if rows else ("", "")
