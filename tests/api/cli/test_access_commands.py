"""The commands that let people and programs in, and take that away, beside a service that runs."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.cli.tick_command import KNOWN, tick
from tests.api.doctor.working_setup import TickServer
from tests.support.plain_http import NO_AUTHORITIES
from tests.support.servers import started

PASSWORD = "correct horse battery\n"
AT = r"\d{4}-\d\d-\d\d \d\d:\d\dZ"
Command = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path, sqlite_template: Path) -> Command:
    """Runs a command that must do its work; returns what it printed."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(sqlite_template, tmp_path / "data")

    def run(*arguments: str, given: str = "") -> str:
        done = tick(tmp_path, *arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def read_table(printed: str) -> list[list[str]]:
    return [line.split("\t") for line in printed.splitlines()]


def test_keys_are_listed_with_what_became_of_them(tmp_path: Path, command: Command) -> None:
    made = tick(tmp_path, "key", "create", "till", "--role", "agent", "--expires", "2099-12-31")
    assert "role agent. It works until 2100-01-01 00:00Z." in made.stderr
    key = made.stdout.splitlines()[-1]
    command("key", "create", "old till", "--role", "viewer", "--expires", "1")
    for wrong in ("never", "0", "2020-01-01"):
        refused = tick(tmp_path, "key", "create", "x", "--role", "viewer", "--expires", wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
    assert command("key", "revoke", "old till").startswith("The key 'old till' (tick_")
    assert "was revoked before" in command("key", "revoke", "old till")
    refused = tick(tmp_path, "key", "revoke", key)
    assert (refused.returncode, "command line" in refused.stderr, key in refused.stderr) == (1, True, False)
    headings, first, second = read_table(command("key", "list"))
    assert headings == ["id", "name", "role", "begins with", "state", "created", "last used"]
    assert first[1:5] == ["till", "agent", f"{key[:12]}...", "works until 2100-01-01 00:00Z"]
    assert first[6] == "never"
    assert re.fullmatch(f"revoked {AT}", second[4])


def test_agents_are_listed_with_what_became_of_them(tmp_path: Path, command: Command) -> None:
    command("agent", "add", "ann@example.com", "--name", "Ann", "--role", "admin", "--password-stdin", given=PASSWORD)
    command("agent", "add", "bo@example.com", "--name", "Bo", "--password-stdin", given=PASSWORD)
    assert (
        command("agent", "disable", "bo@example.com") == "bo@example.com can't sign in any more, and is signed out.\n"
    )
    assert command("agent", "disable", "bo@example.com") == "bo@example.com was disabled before.\n"
    headings, ann, bo = read_table(command("agent", "list"))
    assert headings == ["e-mail", "name", "role", "state", "last sign-in", "signed in"]
    assert ann == ["ann@example.com", "Ann", "admin", "may sign in", "never", "no"]
    assert re.fullmatch(f"disabled {AT}", bo[3])
    for arguments in (("disable", "ann@example.com"), ("role", "ann@example.com", "viewer")):
        refused = tick(tmp_path, "agent", *arguments)
        assert refused.returncode == 1
        assert refused.stderr.startswith("ann@example.com is the last admin, and can't ")
    assert command("agent", "enable", "bo@example.com") == "bo@example.com can sign in again.\n"
    assert command("agent", "role", "bo@example.com", "admin") == "bo@example.com is admin now.\n"
    assert command("agent", "role", "ann@example.com", "viewer") == "ann@example.com is viewer now.\n"
    assert command("agent", "sign-out", "bo@example.com") == "bo@example.com was not signed in anywhere.\n"
    assert "has another password" in command("agent", "password", "bo@example.com", "--password-stdin", given=PASSWORD)
    assert tick(tmp_path, "agent", "password", "bo@example.com").returncode == 2  # there is no terminal to ask on


@pytest.fixture
def server() -> Iterator[TickServer]:
    server = TickServer(KNOWN)
    with started(server):
        yield server


def test_a_running_service_hears_of_it_and_no_redis_is_started(server: TickServer) -> None:
    def run(*arguments: str) -> str:
        done = tick(server.folder, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    def call(key: str) -> int:
        bearer = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{server.url}/api/tickets", headers=bearer, timeout=30, verify=NO_AUTHORITIES).status_code

    before = (server.data / "redis" / "socket").read_text()
    key = run("key", "create", "till", "--role", "agent")
    assert call(key) == 200
    run("key", "revoke", "till")
    assert call(key) == 401
    assert (server.data / "redis" / "socket").read_text() == before
