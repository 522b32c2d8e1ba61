"""The doctor names the right thing first, for set-ups broken in every way, with the real program and real servers."""

import asyncio
import io
import json
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from rich.console import Console

from api.doctor.finding import Outcome
from api.doctor.report import Report
from api.doctor.run import examine_files
from api.doctor.terminal import print_report
from api.simulator.bodies import sign
from api.simulator.faults import Fault
from api.web.credentials import Role, digest_key, make_key, shorten_key
from bot.clock import utc_now
from tests.api.doctor.broken_setups import ALL, RIGHT, Broken
from tests.api.doctor.reverse_proxy import run_reverse_proxy
from tests.api.doctor.working_setup import (
    APP_SECRET,
    CANARIES,
    LockedRedis,
    Meta,
    TickServer,
    make_right_settings,
    run_meta,
)
from tests.support.places import ROOT
from tests.support.plain_http import plain_http
from tests.support.servers import MariaDBServer, RedisServer, free_port

WEBHOOK = "/api/whatsapp/webhook"
OLD_SECRET = "canary-old-app-secret"


@dataclass
class World:
    """A working set-up, and the servers to break it with. `database`: the name of a migrated one."""

    meta: Meta
    tick: TickServer
    other: TickServer
    mariadb: MariaDBServer
    database: str
    places: dict[str, str]

    def config(self, folder: Path, **changed: str | None) -> Path:
        """Writes a file of settings that are right but for these."""
        right = make_right_settings(self.meta) | {"PORT": str(self.tick.port), "DATA_DIR": str(self.tick.data)}
        given = right | {"PUBLIC_URL": self.tick.url} | changed
        path = folder / "config.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in given.items() if value is not None))
        path.chmod(0o600)
        return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    redis_server: RedisServer,
    mariadb_server: MariaDBServer,
    mariadb_tables: tuple[str, list[str]],
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("doctor")
    redis_server.flush()
    async with run_meta(folder / "meta") as meta:
        right = make_right_settings(meta)
        tick = TickServer(right)
        changed = {"TRUSTED_PROXIES": "127.0.0.1", "WHATSAPP_VERIFY_TOKEN": "canary-other-token"}
        changed |= {"WHATSAPP_APP_SECRET_OLD": OLD_SECRET, "REDIS_URL": redis_server.url}
        other = TickServer(right | changed, "--no-worker")
        locked = LockedRedis()
        evicting = RedisServer("--maxmemory-policy", "allkeys-lru")
        with ExitStack() as stack:
            for served in (tick, other):
                served.data.mkdir()
                shutil.copy(sqlite_template, served.data)
            for server in (tick, other, locked, evicting):
                stack.callback(server.close)
                server.start()
            name, empty = mariadb_tables[0], mariadb_server.new_database()
            (folder / "file").write_text("not a database, and not a folder either\n" * 100)
            quiet = Path(shutil.copy(sqlite_template, folder / "quiet.db"))
            write_arrivals(quiet, datetime.now(UTC) - timedelta(days=4), days=12, every=timedelta(hours=6))
            places = {
                "graph": meta.graph,
                "meta_port": str(meta.port),
                "tick_port": str(tick.port),
                "other": other.url,
                "other_port": str(other.port),
                "free_port": str(free_port()),
                "redis": redis_server.url,
                "locked_redis_port": str(locked.port),
                "evicting_redis_port": str(evicting.port),
                "mariadb": mariadb_server.url(name),
                "mariadb_port": str(mariadb_server.port),
                "empty_mariadb": mariadb_server.url(empty),
                "file": str(folder / "file"),
                "quiet": str(quiet),
                "nowhere": str(folder / "nowhere"),
            }
            yield World(meta, tick, other, mariadb_server, name, places)
            mariadb_server.drop_database(empty)


def write_arrivals(path: Path, until: datetime, *, days: int, every: timedelta) -> None:
    """Writes webhooks into the journal that came over so many days, at equal distances, the last at `until`."""
    count = int(timedelta(days=days) / every)
    times = [int((until - every * at).timestamp() * 1000) for at in range(count)]
    rows = [(at, f"m:{at}", "message", at, at, "{}", "done") for at in sorted(times)]
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO item (id, key, kind, address, meta_at, received_at, payload, fate, reason, attempts, late, "
            "duplicates) VALUES (?, ?, ?, '', ?, ?, ?, ?, '', 0, 0, 0)",
            rows,
        )
    connection.close()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, ran: Callable[[str], None]) -> None:
    """Keeps the tester's own settings out of these set-ups."""
    for suite in ("sqlite", "mariadb", "redis"):
        ran(suite)
    for name in ("DATABASE_URL", "REDIS_URL", "DATA_DIR", "PUBLIC_URL", "PORT", "HOST"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def set_at_meta(world: World, public_url: str, changed: dict[str, object]) -> Iterator[None]:
    """Sets up Meta's side as an operator does, with PUBLIC_URL as the callback, but for what is `changed`."""
    setup = world.meta.simulator.setup
    wanted = {"callback_url": public_url + WEBHOOK} | changed
    kept = {name: getattr(setup, name) for name in wanted}
    for name, value in wanted.items():
        setattr(setup, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(setup, name, value)


@contextmanager
def break_mariadb(world: World, broken: Broken) -> Iterator[None]:
    """Runs the SQL that breaks the MariaDB, and repairs it when the block ends."""
    before, after = (statement.format(name=world.database) for statement in broken.sql)
    if before:
        world.mariadb.execute(before)
    try:
        yield
    finally:
        if after:
            world.mariadb.execute(after)


@asynccontextmanager
async def make_setup(world: World, broken: Broken, folder: Path) -> AsyncIterator[Path]:
    """Makes the broken set-up until the block ends; yields its file of settings."""
    ports = {"tick": world.tick.port, "other": world.other.port, "meta": world.meta.port}
    async with run_reverse_proxy(broken.front or "pass", ports[broken.target], folder, broken.certificate) as front:
        places = world.places | {"front": front}
        changed = {name: value and value.format(**places) for name, value in broken.settings.items()}
        config = world.config(folder, **changed)
        config.chmod(broken.mode)
        public = changed.get("PUBLIC_URL") or world.tick.url
        with set_at_meta(world, public, broken.at_meta), break_mariadb(world, broken):
            yield config


def print_to_text(report: Report, width: int = 80, *, colours: bool = False) -> str:
    """Returns the report as a terminal of this width shows it."""
    output = io.StringIO()
    print_report(report, Console(file=output, width=width, highlight=False, force_terminal=colours))
    return output.getvalue()


def assert_no_secret(*outputs: str) -> None:
    for output in outputs:
        for canary in CANARIES:
            assert canary not in output


@pytest.mark.parametrize("broken", ALL, ids=lambda broken: broken.name.replace(" ", "-"))
@pytest.mark.asyncio(loop_scope="module")
async def test_the_right_thing_is_named_first(world: World, broken: Broken, tmp_path: Path) -> None:
    async with make_setup(world, broken, tmp_path) as config:
        report = await examine_files(config, utc_now, answer_seconds=broken.seconds)
    plain = print_to_text(report)
    first = report.first_failing
    assert first is not None, plain
    assert first.name == broken.first, plain
    assert broken.reason in first.reason
    assert broken.fix in first.fix
    assert first.outcome is (Outcome.WARNING if broken.warns else Outcome.FAILED)
    assert not (broken.warns and report.waiting), plain
    assert "code None" not in plain
    assert f"Start with {first.title}" in plain or first.name.startswith("settings")
    assert max(len(line) for line in plain.splitlines() if "curl " not in line) <= 80
    assert_no_secret(plain, print_to_text(report, colours=True), report.to_json(), repr(report))


@pytest.mark.parametrize(("settings", "at_meta", "faults", "name", "words"), RIGHT)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_set_up_that_is_right_has_nothing_to_fix(
    world: World,
    tmp_path: Path,
    settings: dict[str, str | None],
    at_meta: dict[str, object],
    faults: list[Fault],
    name: str,
    words: str,
) -> None:
    config = world.config(tmp_path, **settings)
    with set_at_meta(world, world.tick.url, at_meta):
        for fault in faults:
            world.meta.simulator.faults.add(fault)
        report = await examine_files(config, utc_now)
    plain = print_to_text(report)
    assert [check for check in report.checks if not check.ok] == []
    assert words in next(check.reason for check in report.checks if check.name == name)
    assert "Everything is as it should be" in plain
    assert_no_secret(plain, report.to_json())


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_that_may_not_be_asked_about_itself_is_asked_about_as_the_app(
    world: World, tmp_path: Path
) -> None:
    config = world.config(tmp_path)
    with set_at_meta(world, world.tick.url, {}):
        world.meta.simulator.faults.add(Fault(then="code", code=100))
        right = await examine_files(config, utc_now)
        world.meta.simulator.faults.add(Fault(then="code", code=100))
        with set_at_meta(world, world.tick.url, {"scopes": {"whatsapp_business_messaging"}}):
            wrong = await examine_files(config, utc_now)
    assert [check for check in right.checks if not check.ok] == []
    assert wrong.first_failing is not None
    assert wrong.first_failing.name == "permissions"


@pytest.mark.asyncio(loop_scope="module")
async def test_webhooks_of_the_old_app_secret_are_taken_and_counted(world: World, tmp_path: Path) -> None:
    async with plain_http(world.other.url, timeout=30) as http:
        statuses = [
            (await http.post(WEBHOOK, content=b"[]", headers={"X-Hub-Signature-256": sign(b"[]", secret)})).status_code
            for secret in (APP_SECRET, OLD_SECRET, "a third secret", "")
        ]
    assert statuses == [200, 200, 401, 401]
    settings = {"PORT": world.places["other_port"], "PUBLIC_URL": None, "REDIS_URL": world.places["redis"]}
    config = world.config(tmp_path, **settings, WHATSAPP_APP_SECRET_OLD=OLD_SECRET)
    report = await examine_files(config, utc_now)
    [reason] = [check.reason for check in report.checks if check.name == "old_app_secret"]
    assert "It was needed once since the Tick at" in reason
    assert_no_secret(print_to_text(report))


@pytest.mark.asyncio(loop_scope="module")
async def test_the_doctor_leaves_no_trace(world: World, tmp_path: Path) -> None:
    nowhere = tmp_path / "data"
    config = world.config(tmp_path, DATA_DIR=str(nowhere), PORT=world.places["free_port"], PUBLIC_URL=None)
    report = await examine_files(config, utc_now)
    checks = {check.name: check for check in report.checks}
    assert "made when Tick first starts" in checks["database"].reason
    assert checks["worker"].reason == "Not looked at until server is fixed."
    assert not nowhere.exists()
    with sqlite3.connect(world.tick.data / "tick.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM item").fetchone() == (0,)
    connection.close()
    assert world.mariadb.execute(f"SHOW TABLES FROM `{world.places['empty_mariadb'].rpartition('/')[2]}`") == ()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_report_is_for_those_who_manage_tick(world: World) -> None:
    keys = {role: make_key() for role in Role}
    with sqlite3.connect(world.tick.data / "tick.db") as connection:
        rows = [(at, role, role, shorten_key(key), digest_key(key)) for at, (role, key) in enumerate(keys.items(), 1)]
        connection.executemany(
            "INSERT INTO api_key (id, name, role, prefix, digest, created_at) VALUES (?, ?, ?, ?, ?, 0)", rows
        )
    connection.close()
    async with plain_http(world.tick.url, timeout=30) as http:

        async def ask(role: Role | None) -> httpx.Response:
            headers = {"Authorization": f"Bearer {keys[role]}"} if role else {}
            return await http.get("/api/whatsapp/doctor", headers=headers)

        with set_at_meta(world, world.tick.url, {}):
            right, at_once = await asyncio.gather(ask(Role.ADMIN), ask(Role.ADMIN))
        with set_at_meta(world, world.tick.url, {"quality": "RED"}):
            wrong = await ask(Role.ADMIN)
        refused = [(await ask(role)).status_code for role in (None, Role.VIEWER, Role.AGENT)]
    assert refused == [401, 403, 403]
    assert right.json()["data"] == at_once.json()["data"]
    assert [check for check in right.json()["data"]["checks"] if not check["ok"]] == []
    failing = [check for check in wrong.json()["data"]["checks"] if not check["ok"]]
    assert (wrong.status_code, wrong.json()["data"]["ok"], [check["name"] for check in failing]) == (
        200,
        False,
        ["quality"],
    )
    assert_no_secret(right.text, wrong.text)


async def doctor(folder: Path, *options: str) -> tuple[int, str, str]:
    """The command, as an operator calls it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", "doctor", *options,
        cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_command_prints_json_and_ends_with_0(world: World, tmp_path: Path) -> None:
    world.config(tmp_path)
    with set_at_meta(world, world.tick.url, {}):
        code, out, err = await doctor(tmp_path, "--json")
    report = json.loads(out)
    assert (code, err, report["ok"]) == (0, "", True)
    assert {frozenset(check) for check in report["checks"]} == {frozenset({"name", "ok", "outcome", "reason", "fix"})}
    assert_no_secret(out)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_command_says_what_to_do_and_ends_with_1(world: World, tmp_path: Path) -> None:
    world.config(tmp_path, PORT="{free_port}".format(**world.places), PUBLIC_URL="http://127.0.0.1:1").rename(
        tmp_path / "other.env"
    )
    code, out, err = await doctor(tmp_path, "--config", "other.env")
    assert (code, err) == (1, "")
    assert "NO server: Tick is not running" in out
    assert out.rstrip().endswith("Then run `tick doctor` again.")
    assert_no_secret(out)
