"""The demo's settings name nothing of the real service, whatever is set for it, and keep the demo's own secrets."""

import os
import stat
from pathlib import Path

import pytest

from api.demo.settings import DEMO_PHONE_NUMBER_ID, load_demo_settings, replace_port

REAL_SECRETS = {
    "WHATSAPP_ACCESS_TOKEN": "EAAtesttoken123",
    "WHATSAPP_VERIFY_TOKEN": "my_verify_token_123",
    "WHATSAPP_APP_SECRET": "test-app-secret",
}
REAL_SERVICE = REAL_SECRETS | {
    "WHATSAPP_PHONE_NUMBER_ID": "not digits",
    "DATABASE_URL": "nonsense",
    "REDIS_URL": "nonsense",
    "HOST": "192.0.2.1",
    "TICK_FLOW": "instant",
}


@pytest.fixture(autouse=True)
def real_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets what an operator of the real service has set, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("WHATSAPP_", "DATABASE_", "REDIS_", "TICK_", "DATA_DIR", "DESK_", "HOST", "PORT", "LOG_")):
            monkeypatch.delenv(name)
    for name, value in REAL_SERVICE.items():
        monkeypatch.setenv(name, value)


def test_the_demo_ignores_the_real_service_and_keeps_its_secrets() -> None:
    first = load_demo_settings()
    assert first.whatsapp_phone_number_id == DEMO_PHONE_NUMBER_ID
    assert first.database == f"sqlite://{Path.cwd() / 'data' / 'demo' / 'tick.db'}"
    assert (first.redis, first.host, first.tick_flow) == ("", "127.0.0.1", "instant")
    assert not set(REAL_SECRETS.values()) & set(first.list_secrets())
    kept = Path("data/demo/secrets.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert load_demo_settings().list_secrets() == first.list_secrets()
    kept.write_text("{")
    assert load_demo_settings().list_secrets() != first.list_secrets()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_at_its_port_the_demo_is_its_own_graph_api() -> None:
    settings = replace_port(load_demo_settings(), 5001)
    assert (settings.port, settings.whatsapp_api_url) == (5001, "http://127.0.0.1:5001/simulator/graph/v25.0")
