"""What a process loads, and what it refuses to start on."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.bootstrap import WrongRedis, open_resources
from api.settings import Settings
from bot.clock import utc_now
from bot.ids import IdMaker
from storage import audit
from storage.audit import AuditLine
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
