"""`tick backup` and `tick restore` as an operator meets them: what they say, and how they end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.blobs.store import make_file_key
from tests.api.backup.stocked_tick import execute, read, stock
from tests.api.cli.tick_command import environment, tick

MYSQL = {"DATABASE_URL": "mysql://tick:pw@127.0.0.1:1/tick"}
BUCKET = {"FILES_URL": "s3://bucket/prefix"}


def test_a_backup_is_made_and_restored(tmp_path: Path, sqlite_template: Path) -> None:
    places = stock(tmp_path / "data", sqlite_template, {0x77: b"photo"})
    execute(
        places,
        "INSERT INTO outbox (id, customer_id, version, origin, payload, status, reason, owner, attempts, resent, "
        "due_at, created_at, status_at) VALUES (5, 1, 7, 'agent', '{}', 'queued', '', '', 0, 0, 0, 0, 0)",
    )
    done = tick(tmp_path, "backup", "b.tar")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Wrote b.tar, ")
    assert ": 1 tickets of 0 customers and 1 files, as of 20" in done.stdout
    assert "config.env is not in it" in done.stderr

    done = tick(tmp_path, "restore", "b.tar")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not empty (tick.db is there), and nothing there is overwritten" in done.stderr
    shutil.rmtree(tmp_path / "data")
    done = tick(tmp_path, "restore", "b.tar")
    assert done.returncode == 0, done.stderr
    assert f"Restored 1 tickets and 1 files into {tmp_path / 'data'}, as of 20" in done.stdout
    assert "1 of agents wait for a person, 0 of the bot are given up." in done.stdout
    assert "Bring back config.env" in done.stdout
    assert read(places, "SELECT status, reason FROM outbox") == [("unknown", "went_back")]

    execute(places, "UPDATE outbox SET status = 'queued'")  # as if it had been loaded by other means
    done = tick(tmp_path, "restore", "--loaded")
    assert done.returncode == 0, done.stderr
    assert "1 of agents wait for a person" in done.stdout
    assert read(places, "SELECT status, reason FROM outbox") == [("unknown", "went_back")]


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "said"),
    [
        (("backup", "b.tar"), MYSQL, 1, "names MySQL or MariaDB: docs/BACKUP.md has the commands for those"),
        (("restore", "b.tar"), BUCKET, 1, "names a bucket: docs/BACKUP.md has what to do"),
        (("restore",), {}, 2, "Name the archive to restore, or --loaded"),
        (("restore", "nowhere.tar"), {}, 1, "nowhere.tar is not there, or is no file"),
    ],
    ids=["MySQL", "S3", "no archive", "nowhere"],
)
def test_what_cannot_be_done_is_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], code: int, said: str
) -> None:
    done = tick(tmp_path, *arguments, **settings)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert not (tmp_path / "data").exists()


def hear_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and what that starts too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_backup_leaves_no_archive(tmp_path: Path, sqlite_template: Path, sign: signal.Signals) -> None:
    places = stock(tmp_path / "data", sqlite_template, {0x77: b""})
    file = places.files / make_file_key(0x77)
    file.unlink()
    os.mkfifo(file)  # nobody writes into it, so the backup waits half-way
    command = [sys.executable, "-m", "api", "backup", "b.tar"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, preexec_fn=hear_interrupts
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".b.tar.*.part/members")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sign)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tmp_path / "b.tar").exists()
    left = [name for name in os.listdir(tmp_path) if name != "data"]
    assert (left == []) == (sign is not signal.SIGKILL)
