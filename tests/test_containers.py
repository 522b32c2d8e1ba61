"""What holds for the image and for docker-compose.yml, as far as it can be told without an engine to run them."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import SecretStr

from api.settings import Settings
from bot.worker.worker import STOP_SECONDS
from tests.support.places import ROOT

PHONE_NUMBER_ID = "WHATSAPP_PHONE_NUMBER_ID"
SECRETS = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
OPTIONAL = {
    name for name in SECRETS if name.startswith("AWS_") or name.endswith("_OLD")
}  # a file would have to be there
OURS = ("migrate", "web", "worker")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def run_compose(docker_compose: str, *arguments: str, **given: str) -> "subprocess.CompletedProcess[str]":
    """docker-compose on the example, with these variables set and none of the tester's own."""
    command = [docker_compose, "--env-file", ".env.example", *arguments]
    environment = {"PATH": os.environ["PATH"]} | given
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return read


def test_the_file_is_valid(docker_compose: str) -> None:
    done = run_compose(docker_compose, "config", "--quiet", **{PHONE_NUMBER_ID: "5550100"})
    assert (done.returncode, done.stderr) == (0, "")


def test_every_setting_is_handed_on_and_a_secret_as_a_file(services: dict[str, Any]) -> None:
    settings = {name.upper() for name in Settings.model_fields}
    wanted = {f"{name}_FILE" if name in SECRETS - OPTIONAL - {"REDIS_URL"} else name for name in settings}
    for service in ("web", "worker"):
        assert set(services[service]["environment"]) == wanted, service


def test_migrate_is_given_the_secret_of_the_database_alone(services: dict[str, Any]) -> None:
    assert services["migrate"]["secrets"] == ["database_url"]
    handed = set(services["migrate"]["environment"])
    takeover = {"TAKEOVER_COUNTRY", "TAKEOVER_TIME_ZONE"}
    assert handed == {"DATABASE_URL_FILE", "DATA_DIR", "FILES_URL", "LOG_LEVEL", "LOG_FORMAT"} | takeover


def test_what_is_missing_is_named(docker_compose: str) -> None:
    done = run_compose(docker_compose, "config")
    assert done.returncode != 0
    assert done.stderr.strip().endswith(f"{PHONE_NUMBER_ID} is missing, see .env.example")


def test_every_container_is_hardened_and_bounded(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] > 0, name
        assert service["mem_limit"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert name in OURS or service["user"] not in ("", "root"), name


def test_a_worker_is_as_healthy_as_its_own_heartbeat(services: dict[str, Any], tmp_path: Path) -> None:
    worker = services["worker"]
    assert worker["command"][-2:] == ["--heartbeat-file", "/tmp/heartbeat"]
    _, script = worker["healthcheck"]["test"]
    here = script.replace("$$", "$").replace("/tmp/heartbeat", str(tmp_path / "heartbeat"))
    codes = [subprocess.run(["/bin/sh", "-c", here], capture_output=True).returncode]
    (tmp_path / "heartbeat").touch()
    codes.append(subprocess.run(["/bin/sh", "-c", here]).returncode)
    os.utime(tmp_path / "heartbeat", (0, 0))
    codes.append(subprocess.run(["/bin/sh", "-c", here]).returncode)
    assert [code == 0 for code in codes] == [False, True, False]


def test_a_container_is_given_longer_to_stop_than_a_worker_takes(services: dict[str, Any]) -> None:
    for name in ("web", "worker"):
        seconds = float(services[name]["stop_grace_period"].removesuffix("s"))
        assert seconds > 2 * STOP_SECONDS, "a round, and then the deliveries"


def test_the_image_is_pinned_and_runs_without_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases[0])
    assert re.search(r"groupadd .*--gid (\d+) ", DOCKERFILE)
    assert re.search(r"^USER tick$", DOCKERFILE, re.MULTILINE)


class Health(http.server.BaseHTTPRequestHandler):
    """Answers /healthz with the status that its server has by then."""

    def do_GET(self) -> None:
        self.send_response(self.server.health if self.path == "/healthz" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        pass


def test_the_images_check_asks_at_the_port_of_the_settings() -> None:
    found = re.search(r"^HEALTHCHECK .*\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    _, *arguments = json.loads(found[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever).start()
    codes, given = [], {"PORT": str(server.server_port)}
    try:
        for server.health in (200, 503):  # type: ignore[attr-defined]
            codes.append(subprocess.run([sys.executable, *arguments], env=given).returncode)
    finally:
        server.shutdown()
        server.server_close()
    refused = subprocess.run([sys.executable, *arguments], env=given, capture_output=True).returncode
    assert [code == 0 for code in (*codes, refused)] == [True, False, False]


def test_the_image_holds_no_pip_with_which_another_could_be_installed() -> None:
    """ensurepip carries one of its own, beside the one that is uninstalled."""
    assert re.search(r"pip uninstall --yes .* pip setuptools", DOCKERFILE)
    assert re.search(r"rm -r .*import ensurepip", DOCKERFILE)


def test_the_image_has_what_runs_and_not_what_builds(tmp_path: Path) -> None:
    """The Dockerfile's own commands divide the pins."""
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    commands = re.findall(r"(sed (?:-i )?(?:-n )?'[^']+' \S+(?: > \S+)?) \\$", DOCKERFILE, re.MULTILINE)
    assert len(commands) == 3
    subprocess.run(["/bin/sh", "-ec", "\n".join(commands)], cwd=tmp_path, check=True)
    names = {
        file: re.findall(r"^([a-z0-9-]+)==", (tmp_path / file).read_text(), re.MULTILINE)
        for file in ("building.txt", "running.txt")
    }
    assert names["building.txt"] == ["setuptools"]
    assert {"quart", "granian", "tortoise-orm"} <= set(names["running.txt"])
    assert not {"setuptools", "pip", "pytest", "mypy"} & set(names["running.txt"])
