"""What a process loads, and what it refuses to start on."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.bootstrap import WrongRedis, open_resources
from api.settings import Settings
from bot.clock import utc_now
from bot.ids import IdMaker
from storage import alerts, audit, restored
from storage.audit import AuditLine
from storage.sql.sqlite_copy import copy_database
from storage.statuses import AuditAction
from tests.support.places import ROOT
from tests.support.servers import RedisServer

WEB = ("granian", "jinja2", "quart", "quart_auth", "quart_schema", "segno", "werkzeug")


def make_settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    return Settings(
        whatsapp_phone_number_id="106540352242922",
        whatsapp_access_token=SecretStr("EAAB0access0of0tests"),
        whatsapp_verify_token=SecretStr("verify-of-these-tests"),
        whatsapp_app_secret=SecretStr("the-app-secret"),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        data_dir=folder,
    )


def test_a_worker_alone_loads_nothing_of_the_web() -> None:
    code = f"import sys, api.bootstrap; print([name for name in {WEB!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


async def test_a_redis_that_takes_no_writes_refuses_the_start(
    migrated_sqlite_url: str, redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    settings = make_settings(migrated_sqlite_url, redis_url, tmp_path)
    async with open_resources(settings):
        pass
    assert redis_server.ask("CONFIG SET maxmemory 1").startswith(b"+OK")
    try:
        with pytest.raises(WrongRedis, match=r"Redis server of REDIS_URL takes no writes.*maxmemory"):
            async with open_resources(settings):
                pass
    finally:
        assert redis_server.ask("CONFIG SET maxmemory 0").startswith(b"+OK")


async def test_a_start_on_a_clock_that_was_put_back_goes_on_from_what_is_stored(
    migrated_sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    """The machine's clock was put back by an hour while Tick stood still."""
    settings = make_settings(migrated_sqlite_url, redis_url, tmp_path)
    an_hour_ahead = utc_now() + timedelta(hours=1)
    stored_id = IdMaker(lambda: an_hour_ahead).next()
    async with open_resources(settings) as resources:
        line = AuditLine(stored_id, an_hour_ahead, "tests", AuditAction.TAKEOVER, 0)
        await resources.database.run(lambda tx: audit.write(tx, line))
        assert resources.clock() < an_hour_ahead
    async with open_resources(settings) as resources:
        assert resources.ids.next() > stored_id
        assert an_hour_ahead <= resources.clock() < an_hour_ahead + timedelta(minutes=10)


async def test_a_database_that_went_back_is_told_before_anything_is_sent(
    migrated_sqlite_url: str, redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(migrated_sqlite_url.removeprefix("sqlite://"))) as database, database:
        database.execute("INSERT INTO conversation (customer_id, version, body) VALUES (7, 3, '[]')")
    redis_server.ask("SET tick:conv:7 9")
    async with open_resources(make_settings(migrated_sqlite_url, redis_url, tmp_path)) as resources:
        async with resources.database.reading() as tx:
            told = await alerts.find(tx, restored.SUBJECT)
        assert told is not None
        assert "Redis knows newer ones of 1 conversations" in told.message
    assert redis_server.ask("EXISTS tick:conv:7").startswith(b":0")


async def test_a_copy_of_the_file_alone_is_known_and_no_other(
    migrated_sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    file = Path(migrated_sqlite_url.removeprefix("sqlite://"))
    async with open_resources(make_settings(migrated_sqlite_url, redis_url, tmp_path)) as resources:
        async with resources.database.transaction() as tx:
            await tx.insert("conversation", ("customer_id", "version", "body"), [(7, 3, "[]")])
        torn, whole, backup = (copy_file(file, tmp_path / name) for name in ("torn", "whole", "backup"))
        copy_file(file.with_name(f"{file.name}-wal"), whole.parent)
        backup.unlink()
        copy_database(file, backup, lambda: None)
    closed = copy_file(file, tmp_path / "closed")
    told = {}
    for copy in (torn, whole, backup, closed):
        for _ in range(2):
            settings = make_settings(f"sqlite://{copy}", redis_url, tmp_path)
            async with open_resources(settings) as resources, resources.database.reading() as tx:
                went_back = await alerts.find(tx, restored.SUBJECT)
                told[copy.parent.name] = went_back.message if went_back else ""
                versions = await tx.fetch("SELECT version FROM conversation")
                assert [row[0] for row in versions] == ([] if copy == torn else [3])
    assert told.pop("torn").startswith("The file of the database was copied here without its -wal file")
    assert set(told.values()) == {""}


def copy_file(file: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(file, folder))
