"""What an operator is told whose database is another version's, or another process's."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.api.cli.tick_command import KNOWN, environment, tick
from tests.support.servers import free_port

COMMANDS = (("serve",), ("migrate",), ("key", "list"))  # of those that open it in the same way, one


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A DATA_DIR with Tick's tables."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(sqlite_template, folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_of_a_newer_version_is_refused_by_every_command(
    tmp_path: Path, data: Path, command: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(data / "tick.db")) as database, database:
        database.execute(
            "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', '9999_tomorrow', 0)"
        )
    done = tick(tmp_path, *command, PORT=str(free_port()), **KNOWN)
    assert done.returncode == 1
    told = " ".join((done.stdout + done.stderr).split())
    assert "newer than this version of Tick: it has the migration 9999_tomorrow" in told
    assert "or restore a backup from before it" in told


def test_a_second_serve_is_refused_also_with_a_redis_of_its_own(tmp_path: Path, data: Path, redis_url: str) -> None:
    with serving(tmp_path, REDIS_URL=redis_url):
        for changed in ({"REDIS_URL": redis_url}, {"DATA_DIR": str(tmp_path / "other")}):
            settings = KNOWN | {"PORT": str(free_port()), "DATABASE_URL": f"sqlite://{data / 'tick.db'}"} | changed
            done = tick(tmp_path, "serve", **settings)
            told = f"Tick already runs on {data / 'tick.db'}: stop it first, or give this one another DATA_DIR."
            assert (done.returncode, done.stderr.splitlines()[-1]) == (1, told)
        assert tick(tmp_path, "key", "list").returncode == 0


@contextmanager
def serving(folder: Path, **changed: str) -> Iterator[None]:
    settings = environment(folder, PORT=str(free_port()), **(KNOWN | changed))
    command = [sys.executable, "-m", "api", "serve"]
    process = subprocess.Popen(command, cwd=folder, env=settings, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert any(line.startswith("Tick serves ") for line in process.stderr)
        yield
    finally:
        process.terminate()
        process.communicate()
