"""A backup holds all that the database names, is whole or not there, and is restored where nothing is."""

import json
import os
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from api.backup.make import make_backup
from api.backup.places import BackupRefused, Places
from storage.blobs.disk_room import Reserve
from storage.blobs.store import make_file_key
from storage.errors import OperatorError
from storage.file_lock import lock_file
from storage.sql.sqlite_copy import copy_database
from storage.sql.sqlite_lock import DatabaseInUse, find_lock, lock_database
from tests.api.backup.stocked_tick import (
    AT,
    add_file,
    add_ticket,
    back_up,
    execute,
    get_places,
    list_all,
    read,
    restore,
    stock,
)

FILES = {0x1234567890ABCDEF: b"a photo" * 1000, 0x1234567890ABCDF0: b""}


@pytest.fixture
def places(tmp_path: Path, sqlite_template: Path) -> Places:
    return stock(tmp_path / "data", sqlite_template, FILES)


def test_what_is_backed_up_is_restored(places: Places, tmp_path: Path) -> None:
    execute(places, "INSERT INTO desk_session (digest, agent_id, expires_at) VALUES ('d', 1, 9999999999999)")
    made = back_up(places, tmp_path / "b.tar")
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert (made.size, made.missing) == ((tmp_path / "b.tar").stat().st_size, [])
    assert list_all(tmp_path)[0] == "b.tar"
    assert not [name for name in list_all(tmp_path) if name.endswith(".part")]

    restore(tmp_path / "b.tar", tmp_path / "other" / "data")

    restored = get_places(tmp_path / "other" / "data")
    assert read(restored, "SELECT id, description FROM ticket") == [(1, "It burns")]
    for file_id, content in FILES.items():
        assert (restored.files / make_file_key(file_id)).read_bytes() == content
    assert sorted(os.listdir(restored.database.parent)) == ["files", "tick.db", "tick.db.lock"]
    assert stat.S_IMODE(restored.database.stat().st_mode) == 0o600
    assert stat.S_IMODE(restored.files.stat().st_mode) == 0o700
    assert read(restored, "SELECT version FROM conversation") == [(1_000_007,)]
    assert read(restored, "SELECT * FROM desk_session") == []
    lock_database(restored.database).close()


def test_another_program_reads_the_archive_and_its_manifest(places: Places, tmp_path: Path) -> None:
    back_up(places, tmp_path / "b.tar")
    listed = subprocess.run(["tar", "-tf", tmp_path / "b.tar"], capture_output=True, text=True, check=True).stdout
    keys = [f"files/{make_file_key(file_id)}" for file_id in FILES]
    assert listed.split() == ["tick.db", *keys, "manifest.jsonl"]
    command = ["tar", "-xOf", str(tmp_path / "b.tar"), "manifest.jsonl"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    head = json.loads(lines[0])
    assert head["format"] == 1
    assert (head["program"], head["made_at"], head["members"]) == ("1.2.3", "2026-03-04T05:06:07+00:00", 3)
    assert head["counts"]["ticket"] == 1
    assert [json.loads(line)["name"] for line in lines[1:]] == ["tick.db", *keys]


def test_the_archive_has_no_secret_in_it(places: Places, tmp_path: Path) -> None:
    (places.database.parent / "config.env").write_text("WHATSAPP_ACCESS_TOKEN=EAAcanary")
    back_up(places, tmp_path / "b.tar")
    assert b"EAAcanary" not in (tmp_path / "b.tar").read_bytes()


def test_what_is_only_in_the_wal_is_in_the_backup_and_in_no_copy_of_the_file_alone(
    places: Places, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(places.database)) as open_since:
        open_since.execute("PRAGMA journal_mode = WAL")
        open_since.execute("SELECT 1 FROM ticket").fetchall()
        for number in range(2, 8):
            add_ticket(places, number)
        (tmp_path / "copy.db").write_bytes(places.database.read_bytes())
        copy_database(places.database, tmp_path / "backup.db", lambda: None)
    counts = [
        read(Places(tmp_path / name, tmp_path), "SELECT COUNT(*) FROM ticket") for name in ("copy.db", "backup.db")
    ]
    assert counts == [[(1,)], [(7,)]]


def test_a_backup_ends_while_others_commit_between_all_of_its_steps(places: Places, tmp_path: Path) -> None:
    """SQLite's own way to copy in steps begins anew after each commit of somebody else's."""
    execute(places, "CREATE TABLE ballast (content BLOB)")
    for _ in range(8):
        execute(places, "INSERT INTO ballast VALUES (zeroblob(4000000))")
    with closing(sqlite3.connect(places.database)) as open_since:
        open_since.execute("PRAGMA journal_mode = WAL")
        steps: list[int] = []

        def commit() -> None:
            steps.append(len(steps))
            assert len(steps) < 50, "it begins anew again and again"
            add_ticket(places, 100 + len(steps))  # which waits for nothing

        copy_database(places.database, tmp_path / "copy.db", commit)
    assert len(steps) >= 8
    assert read(Places(tmp_path / "copy.db", tmp_path), "SELECT COUNT(*) FROM ticket") == [(1,)]


def test_files_that_come_or_go_meanwhile(places: Places, tmp_path: Path) -> None:
    gone, being_written = 0x22, 0x33
    add_file(places, gone)
    add_file(places, being_written, "loose")
    (places.files / "ff").mkdir(exist_ok=True)
    (places.files / "ff" / "00000000000000ff").write_bytes(b"of a row that came after the copy")
    made = back_up(places, tmp_path / "b.tar")
    assert (made.missing, made.manifest.missing, made.manifest.members) == ([make_file_key(gone)], 1, 3)


def test_a_full_disk_and_an_interruption_leave_nothing(places: Places, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    target = tmp_path / "to" / "b.tar"
    target.write_bytes(b"")
    with pytest.raises(BackupRefused, match="is no backup: it is not overwritten"):
        back_up(places, target)
    target.unlink()
    folder = places.files / make_file_key(next(iter(FILES)))
    folder.unlink()
    folder.mkdir()  # which fails half-way, as a disk does
    with pytest.raises(OSError, match="Is a directory"):
        back_up(places, target)
    assert list_all(tmp_path / "to") == []

    left = tmp_path / "to" / ".b.tar.killed.part"
    left.mkdir()
    (left / "tick.db").write_bytes(b"half")
    busy = tmp_path / "to" / ".b.tar.busy.part"
    busy.mkdir()
    folder.rmdir()
    with lock_file(busy / "lock"):  # type: ignore[union-attr]  # nobody else has it
        back_up(places, target)
    assert list_all(tmp_path / "to") == [".b.tar.busy.part", ".b.tar.busy.part/lock", "b.tar"]


def test_a_part_of_the_disk_stays_free(places: Places, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    all_of_it = Reserve(share=1.0, max_bytes=1 << 60)
    with pytest.raises(BackupRefused, match="not enough room for the backup in"):
        make_backup(places, tmp_path / "to" / "b.tar", made_at=AT, program="", reserve=all_of_it)
    back_up(places, tmp_path / "b.tar")
    with pytest.raises(BackupRefused, match="the backup needs 1 MB"):
        restore(tmp_path / "b.tar", tmp_path / "to" / "data", reserve=all_of_it)
    assert list_all(tmp_path / "to") == []


def test_a_backup_takes_the_place_of_the_one_before(places: Places, tmp_path: Path) -> None:
    back_up(places, tmp_path / "b.tar")
    add_ticket(places, 2)
    assert back_up(places, tmp_path / "b.tar").manifest.counts["ticket"] == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nowhere/b.tar", "name a file in a folder that is there"),
        ("data", "name a file in a folder that is there"),
        ("data/tick.db", "is no backup: it is not overwritten"),
    ],
)
def test_what_can_be_no_backup_is_refused(places: Places, tmp_path: Path, wrong: str, said: str) -> None:
    with pytest.raises(BackupRefused, match=said):
        back_up(places, tmp_path / wrong)
    assert read(places, "SELECT id FROM ticket") == [(1,)]


def test_there_is_no_backup_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="There is nothing to back up"):
        make_backup(get_places(tmp_path), tmp_path / "b.tar", made_at=AT, program="")


def test_nothing_is_restored_where_something_is(places: Places, tmp_path: Path) -> None:
    back_up(places, tmp_path / "b.tar")
    with pytest.raises(BackupRefused, match=r"is not empty \(tick.db is there\)"):
        restore(tmp_path / "b.tar", places.database.parent)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "notes.txt").write_text("mine")
    with pytest.raises(BackupRefused, match=r"is not empty \(notes.txt is there\)"):
        restore(tmp_path / "b.tar", tmp_path / "new")
    assert list_all(tmp_path / "new") == ["notes.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupRefused, match="is no folder"):
        restore(tmp_path / "b.tar", tmp_path / "file")


def test_nothing_is_restored_where_tick_runs_and_tick_does_not_start_where_something_is_restored(
    places: Places, tmp_path: Path
) -> None:
    back_up(places, tmp_path / "b.tar")
    empty = get_places(tmp_path / "new")
    empty.database.parent.mkdir()
    with lock_database(empty.database), pytest.raises(BackupRefused, match="Tick runs on"):
        restore(tmp_path / "b.tar", tmp_path / "new")
    (tmp_path / "new" / ".restore").mkdir()  # as a restore leaves it that was killed
    with pytest.raises(DatabaseInUse, match="restored half-way"):
        lock_database(empty.database)
    with pytest.raises(BackupRefused, match="restored half-way"):
        restore(tmp_path / "b.tar", tmp_path / "new")
    assert find_lock(empty.database).exists()


def test_an_older_database_is_backed_up_as_it_is_and_restored_into_todays_shape(places: Places, tmp_path: Path) -> None:
    """Before an upgrade, say: what makes the backup changes nothing."""
    newest = "0015_worker_pulse"
    execute(places, "DELETE FROM tortoise_migrations WHERE name = '0015_worker_pulse'")
    execute(places, "DROP TABLE worker_pulse")
    made = back_up(places, tmp_path / "b.tar")
    assert made.manifest.migration == "0014_answering"
    assert (newest,) not in read(places, "SELECT name FROM tortoise_migrations")
    restore(tmp_path / "b.tar", tmp_path / "new")
    assert (newest,) in read(get_places(tmp_path / "new"), "SELECT name FROM tortoise_migrations")


def test_a_newer_database_is_not_backed_up(places: Places, tmp_path: Path) -> None:
    execute(places, "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', '9999_tomorrow', 0)")
    with pytest.raises(OperatorError, match="newer than this version of Tick"):
        back_up(places, tmp_path / "b.tar")


def test_a_damaged_database_is_not_backed_up(places: Places, tmp_path: Path) -> None:
    content = bytearray(places.database.read_bytes())
    content[4096 * 3 : 4096 * 5] = b"x" * 8192
    places.database.write_bytes(content)
    with pytest.raises(OperatorError, match=r"is damaged|can't be read as a database"):
        back_up(places, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()
