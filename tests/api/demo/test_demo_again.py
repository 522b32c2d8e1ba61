"""A demo that is started again goes on where it was: its clock, its port, and what the doctor says of it."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api.demo.state import DemoState, load_demo_state, save_demo_state
from bot.clock import utc_now
from tests.api.cli.tick_command import tick
from tests.support.demo_process import Demo
from tests.support.plain_http import NO_AUTHORITIES

A_DAY = 25 * 3600.0


@pytest.fixture
def demo() -> Iterator[Demo]:
    demo = Demo()
    yield demo
    demo.close()


def run_doctor(demo: Demo) -> dict[str, dict[str, str]]:
    """The report of `tick doctor` in the demo's folder, by the names of the checks."""
    done = tick(demo.folder, "doctor", "--json", PORT=str(demo.port), DATA_DIR="data")
    assert done.stderr == ""
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_restart_keeps_the_clock_and_the_port_and_the_doctor_knows_the_demo(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", demo.port)):
        demo.start()
    url = demo.url
    port = urlsplit(url).port
    assert port != demo.port
    with httpx.Client(verify=NO_AUTHORITIES, timeout=30) as http:
        advanced = http.post(f"{url}/simulator/api/clock", json={"advance_seconds": A_DAY}).json()
        bearer = {"Authorization": f"Bearer {demo.key}"}
        served = http.get(f"{url}/api/whatsapp/doctor", headers=bearer).json()["data"]
        assert [check for check in served["checks"] if not check["ok"]] == []
        found = run_doctor(demo)
        assert [check for check in found.values() if not check["ok"]] == []
        assert found["settings"]["reason"].startswith("They are the demo's own")
        assert found["clock"]["reason"] == "It agrees with Meta's."
        assert found["webhooks_lately"]["reason"].endswith(
            f"write to it at http://127.0.0.1:{port}/simulator to see one."
        )
        demo.stop()
        stopped = run_doctor(demo)
        named = tick(demo.folder, "doctor", "--json", PORT=str(demo.port), DATA_DIR="data/demo")
        assert json.loads(named.stdout)["checks"][0]["reason"].startswith("They are the demo's own")
        assert stopped["server"]["fix"] == "Start `tick demo`, and read what it says."
        demo.start()
        assert (demo.url, f"This demo is on port {port}, as it was before." in demo.output) == (url, True)
        again = http.get(f"{url}/simulator/api/clock").json()
    assert again["data"]["now"] > advanced["data"]["now"]


def test_where_nothing_is_set_up_and_no_demo_was_started_the_doctor_says_what_is_missing(tmp_path: Path) -> None:
    assert "There is no demo in" in tick(tmp_path, "doctor", "--demo").stderr
    done = tick(tmp_path, "doctor")
    assert "WHATSAPP_PHONE_NUMBER_ID is missing" in done.stdout
    assert not (tmp_path / "data").exists()


def test_the_state_is_kept_and_what_is_no_state_is_passed_over(tmp_path: Path) -> None:
    kept = DemoState(ahead_seconds=A_DAY, wanted_port=5000, port=5003)
    save_demo_state(tmp_path, kept)
    assert load_demo_state(tmp_path) == kept
    assert (kept.now(utc_now) - utc_now()).total_seconds() == pytest.approx(A_DAY, abs=5)
    assert (kept.choose_port(5000), kept.choose_port(8080), DemoState().choose_port(5000)) == (5003, 8080, 5000)
    for text in ("", "{", "[]", "{}", '{"ahead_seconds": NaN, "wanted_port": 1, "port": 1}', '{"ahead_seconds": "x"}'):
        (tmp_path / "state.json").write_text(text)
        assert load_demo_state(tmp_path) == DemoState()
    save_demo_state(tmp_path / "nowhere", kept)  # the demo goes on without
