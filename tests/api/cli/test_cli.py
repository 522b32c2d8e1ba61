"""The command line as an operator meets it: real processes, what they print, and how they end."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from api.admin import CommandRefused, add_agent, open_database, read_journal_item
from api.server.serving import get_port, listen_nearby
from api.settings_loader import load_storage_settings
from api.views.fate_text import IGNORED_SENTENCES, WAITING_SENTENCES, explain_fate
from api.web.credentials import Role, digest_key, is_password_right
from bot.whatsapp.webhook.items import IgnoredReason
from storage import kept_counts
from storage.desk_models import Agent, ApiKey, Audit
from storage.journal import NewItem, add_attempt, store
from storage.kept_counts import Counted
from storage.sql.columns import to_millis
from storage.statuses import Fate, PendingReason
from tests.api.cli.tick_command import KNOWN, environment, tick
from tests.support.servers import RedisServer

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test reads in its own process is what the command wrote."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def tables(tmp_path: Path, sqlite_template: Path) -> None:
    """The tables are there, as after a first start: to make them is the longest part of a short command."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(sqlite_template, tmp_path / "data")


def test_help_is_for_strangers(tmp_path: Path) -> None:
    done = tick(tmp_path, "--help")
    assert done.returncode == 0
    commands = "demo serve worker migrate agent key flows journal doctor backup restore bench"
    for command in commands.split():
        assert f"\n  {command} " in done.stdout
    assert tick(tmp_path, "no-such-command").returncode == 2


@pytest.mark.parametrize("command", [("serve",), ("worker",), ("serve", "--no-worker"), ("serve", "--processes", "2")])
def test_without_settings_nothing_starts(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = tick(tmp_path, *command)
    assert (done.returncode, done.stdout) == (2, "")
    no_file, *missing = done.stderr.splitlines()
    assert no_file.startswith("config.env is not in this folder: copy .env.example")
    assert [line.split(" is missing: ")[0] for line in missing] == list(KNOWN)
    assert not (tmp_path / "data").exists()


def test_one_wrong_setting_is_one_line(tmp_path: Path) -> None:
    done = tick(tmp_path, "serve", **(KNOWN | {"WHATSAPP_APP_SECRET": "changeme"}))
    line = "WHATSAPP_APP_SECRET still has a placeholder: App Dashboard > App settings > Basic > App secret\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = tick(tmp_path, "serve", PORT=port, **KNOWN)
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr


@pytest.mark.parametrize(
    ("database", "reason"),
    [("", "SQLite lets one process alone write"), ("mysql://tick:pw@127.0.0.1:1/tick", "needs a Redis server")],
)
def test_several_processes_are_refused_with_the_reason(tmp_path: Path, database: str, reason: str) -> None:
    done = tick(tmp_path, "serve", "--processes", "2", DATABASE_URL=database, **KNOWN)
    assert done.returncode == 1
    assert reason in done.stderr


def test_serve_says_where_it_is_and_ends_in_order_on_sigterm(tmp_path: Path) -> None:
    with listen_nearby("127.0.0.1", 17600) as free:
        port = get_port(free)
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "serve"],
        cwd=tmp_path, env=environment(tmp_path, PORT=str(port), **KNOWN), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        lines = list(read_until(process.stderr, f"Tick serves http://127.0.0.1:{port}\n"))
        query = urlencode({"hub.mode": "subscribe", "hub.verify_token": "canary-verify-token", "hub.challenge": "42"})
        with urlopen(f"http://127.0.0.1:{port}/api/whatsapp/webhook?{query}", timeout=10) as answer:
            assert answer.read() == b"42"
        process.terminate()
        lines += process.stderr.readlines()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    everything = "".join(lines)
    assert "Traceback" not in everything
    assert not [secret for secret in KNOWN.values() if secret in everything]


def read_change(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def test_a_worker_touches_its_heartbeat_file_with_redis_and_without(tmp_path: Path, tables: None) -> None:
    heart = tmp_path / "heart"
    redis = RedisServer()
    redis.start()
    worker = subprocess.Popen(
        [sys.executable, "-m", "api", "worker", "--heartbeat-file", str(heart)],
        cwd=tmp_path, env=environment(tmp_path, REDIS_URL=redis.url, **KNOWN), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(3):  # at the start, and then by itself
            before = read_change(heart)
            wait_until(lambda before=before: read_change(heart) > before)  # type: ignore[misc]
        redis.stop(signal.SIGKILL)
        for _ in range(3):  # the first may be of a beat that was under way; the others SQL has heard
            before = read_change(heart)
            wait_until(lambda before=before: read_change(heart) > before)  # type: ignore[misc]
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.wait()
        redis.close()


def test_a_heartbeat_file_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    done = tick(tmp_path, "worker", "--heartbeat-file", str(tmp_path / "nowhere" / "heart"), **KNOWN)
    assert done.returncode == 2
    assert "can't be written: name one in a folder" in done.stderr


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_until(lines: Iterable[str], wanted: str) -> Iterator[str]:
    """Yields the lines up to the `wanted` one, which must come."""
    for line in lines:
        yield line
        if line == wanted:
            return
    raise AssertionError(f"{wanted!r} was never said")


def test_the_demo_takes_the_next_port_and_says_so(tmp_path: Path) -> None:
    with listen_nearby("127.0.0.1", 17600) as taken:
        port = get_port(taken)
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "demo"],
            cwd=tmp_path, env=environment(tmp_path, PORT=str(port)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            found = re.fullmatch(rf"Port {port} is taken: this demo is on port (\d+)\.\n", first)
            assert found, first
            with urlopen(f"http://127.0.0.1:{found[1]}/simulator", timeout=30) as answer:
                assert answer.status == 200
            process.terminate()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first = tick(tmp_path, "migrate")
    assert first.returncode == 0
    assert first.stdout.startswith("Applied 0001")
    assert tick(tmp_path, "migrate").stdout == "Nothing to do: the database is up to date.\n"


def test_a_data_dir_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for command in (("demo",), ("migrate",)):
        done = tick(tmp_path, *command, DATA_DIR=str(tmp_path / "taken" / "data"))
        assert done.returncode == 1
        assert re.fullmatch(r"/.*/taken/data\S* can't be used: Not a directory\. DATA_DIR .*\n", done.stderr)


def test_a_file_that_is_no_database_stops_every_command(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tick.db").write_bytes(b"not a database" * 500)
    for command in (("migrate",), ("journal", "list")):
        done = tick(tmp_path, *command)
        assert done.returncode == 1
        assert done.stderr.startswith("The SQLite file of DATABASE_URL, or tick.db under DATA_DIR, can't be used")


def test_a_database_that_is_away_is_a_sentence_without_its_password(tmp_path: Path) -> None:
    for command in (("migrate",), ("journal", "list")):
        done = tick(tmp_path, *command, DATABASE_URL="mysql://tick:dbpassword@127.0.0.1:1/tick")
        assert done.returncode == 1
        assert done.stderr.startswith("The database can't be reached")
        assert "dbpassword" not in done.stdout + done.stderr


def test_a_database_that_lets_nobody_in_says_what_to_look_at(tmp_path: Path, mariadb_url: str) -> None:
    server, _, name = mariadb_url.rpartition("/")
    user, _, rest = server.partition("@")
    for url, told in (
        (f"{user}x@{rest}/{name}", "refuses the user or the password"),
        (f"{server}/tick_nowhere", "no database of the name"),
    ):
        done = tick(tmp_path, "migrate", DATABASE_URL=url)
        assert done.returncode == 1
        assert told in done.stderr


async def test_a_key_is_alone_on_the_last_line_and_only_its_digest_is_kept(tmp_path: Path) -> None:
    done = tick(tmp_path, "key", "create", "ci", "--role", "viewer")
    assert done.returncode == 0
    key = done.stdout.splitlines()[-1]
    assert key.startswith("tick_")
    assert len(key) > 40
    async with open_database(load_storage_settings()):
        (stored,) = await ApiKey.all()
        (audit,) = await Audit.all()
    assert (stored.name, stored.role, stored.digest) == ("ci", Role.VIEWER, digest_key(key))
    assert (audit.action, audit.object_id) == ("key.create", str(stored.id))
    assert key.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert tick(tmp_path, "key", "create", "ci", "--role", "god").returncode == 2


@pytest.mark.usefixtures("tables")
async def test_an_agent_is_added_once_with_a_password_that_is_not_on_the_command_line(tmp_path: Path) -> None:
    add = ("agent", "add", "Ana@example.com", "--name", "Ana", "--role", "admin")
    refused = tick(tmp_path, *add)
    assert (refused.returncode, "--password-stdin" in refused.stderr) == (2, True)
    assert tick(tmp_path, *add, "--password-stdin", given="correct horse battery\n").returncode == 0
    async with open_database(load_storage_settings()) as database:
        for email, password, reason in (
            ("ana@example.com", "correct horse battery", "already"),
            ("bo@example.com", "short", "12 characters"),
            ("bo", "correct horse battery", "doesn't look like one"),
        ):
            with pytest.raises(CommandRefused, match=reason):
                await add_agent(database, email=email, name="Bo", role=Role.AGENT, password=password, now=AT)
        (agent,) = await Agent.all()
    assert (agent.email, agent.role) == ("ana@example.com", Role.ADMIN)
    assert agent.password_hash.startswith("$argon2id$")
    assert is_password_right(agent.password_hash, "correct horse battery")
    assert not is_password_right(agent.password_hash, "correct horse batterz")


@pytest.mark.usefixtures("tables")
def test_a_terminal_is_asked_for_the_password_and_does_not_show_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "agent", "add", "ana@example.com", "--name", "Ana"],
        cwd=tmp_path, env=environment(tmp_path), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    output = b""
    try:
        for prompt in (b"Password: ", b"confirmation: "):
            while prompt not in output:
                output += os.read(ours, 1024)
            os.write(ours, b"correct horse battery\n")
        while b"can sign in as agent" not in output:
            output += os.read(ours, 1024)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"correct horse" not in output


async def dead_item(item_id: int, payload: str = "{}") -> None:
    """An item that failed five times, as a worker leaves it."""
    async with open_database(load_storage_settings()) as database, database.transaction() as tx:
        await store(
            tx,
            [NewItem(item_id, f"m:1:wamid.{item_id}", "message", 7, "p:15550001111", AT, AT, payload)],
        )
        await add_attempt(tx, [item_id], "ValueError: \x1b[31m too red")
        await tx.execute("UPDATE item SET fate = 'dead', closed_at = ? WHERE id = ?", [to_millis(AT), item_id])
        kept_counts.move(tx, Counted.ITEM, Fate.PENDING, Fate.DEAD)


@pytest.mark.usefixtures("tables")
async def test_the_journal_lists_shows_and_replays_what_died(tmp_path: Path) -> None:
    await dead_item(11)
    await dead_item(12)
    listed = tick(tmp_path, "journal", "list")
    assert listed.stderr == "received 2, done 0, ignored 0, dead 2, pending 0, duplicates 0\n"
    headings, *lines = [line.split("\t") for line in listed.stdout.splitlines()]
    assert headings == ["id", "kind", "received", "attempts", "why"]
    assert [line[0] for line in lines] == ["12", "11"]
    assert lines[0][4] == "Handling it failed: ValueError:  [31m too red"
    assert "\x1b" not in listed.stdout

    replayed = tick(tmp_path, "journal", "replay", "11", "99")
    assert (replayed.returncode, replayed.stdout) == (1, "11 is pending again\n")
    assert "99" in replayed.stderr
    assert tick(tmp_path, "journal", "replay", "--all").stdout == "12 is pending again\n"
    async with open_database(load_storage_settings()):
        item = await read_journal_item(11)
        assert (item.fate, item.late, item.attempts) == ("pending", True, 0)
        assert await Audit.filter(action="journal.replay").count() == 2


@pytest.mark.usefixtures("tables")
async def test_an_item_is_shown_as_it_is_and_steers_no_terminal(tmp_path: Path) -> None:
    await dead_item(11, '{"from": "15550001111", "text": {"body": "Grüße 🙏 \\u001b[31m\\u009b2J"}}')
    await dead_item(12, "no JSON \x1b[2J at all")
    shown = tick(tmp_path, "journal", "show", "11").stdout
    assert '  "payload": {\n    "from": "15550001111",\n    "text": {\n      "body": "Grüße 🙏 \\u001b[31m' in shown
    item = json.loads(shown)
    assert item["payload"]["text"]["body"] == "Grüße 🙏 \x1b[31m\x9b2J"
    assert (item["effects"], item["error"]) == (None, "ValueError: \x1b[31m too red")
    assert not [character for character in shown if "\x7f" <= character <= "\x9f" or character == "\x1b"]
    assert json.loads(tick(tmp_path, "journal", "show", "12").stdout)["payload"] == "no JSON \x1b[2J at all"


def test_each_reason_of_an_item_has_a_sentence() -> None:
    assert set(WAITING_SENTENCES) == set(PendingReason)
    assert set(IGNORED_SENTENCES) == set(IgnoredReason)
    assert explain_fate("group", "") == "It was written in a group, and groups are not supported (group)"
    assert explain_fate("", "") == ""


def test_a_number_that_no_item_can_have_is_a_mistake_of_whoever_typed_it(tmp_path: Path) -> None:
    for command in ("show", "replay"):
        done = tick(tmp_path, "journal", command, "9" * 23)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Overflow" not in done.stderr


def test_flows_are_drawn(tmp_path: Path) -> None:
    done = tick(tmp_path, "flows")
    assert done.returncode == 0
    assert "stateDiagram-v2" in done.stdout
    for state in ("new_issue", "pick_type", "describe", "confirm", "follow_up"):
        assert state in done.stdout
    assert tick(tmp_path, "flows", "nonsense").returncode == 2


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    tick(tmp_path, "migrate")
    for path in (tmp_path / "data").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
