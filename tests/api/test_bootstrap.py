"""What a process loads, and what it refuses to start on."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.bootstrap import WrongRedis, open_resources
from api.settings import Settings
from tests.support.places import ROOT
from tests.support.servers import RedisServer

WEB = ("granian", "jinja2", "quart", "quart_auth", "quart_schema", "segno", "werkzeug")


def test_a_worker_alone_loads_nothing_of_the_web() -> None:
    code = f"import sys, api.bootstrap; print([name for name in {WEB!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


async def test_a_redis_that_takes_no_writes_refuses_the_start(
    migrated_sqlite_url: str, redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    settings = Settings(
        whatsapp_phone_number_id="106540352242922",
        whatsapp_access_token=SecretStr("EAAB0access0of0tests"),
        whatsapp_verify_token=SecretStr("verify-of-these-tests"),
        whatsapp_app_secret=SecretStr("the-app-secret"),
        database_url=SecretStr(migrated_sqlite_url),
        redis_url=SecretStr(redis_url),
        data_dir=tmp_path,
    )
    async with open_resources(settings):
        pass
    assert redis_server.ask("CONFIG SET maxmemory 1").startswith(b"+OK")
    try:
        with pytest.raises(WrongRedis, match=r"Redis server of REDIS_URL takes no writes.*maxmemory"):
            async with open_resources(settings):
                pass
    finally:
        assert redis_server.ask("CONFIG SET maxmemory 0").startswith(b"+OK")
