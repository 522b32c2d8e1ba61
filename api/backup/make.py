"""Makes a backup: one archive of the database, the files that it names, and a manifest, while Tick runs or not.

Invariants
- The database is copied first, then every file that the copy names, so none is missing that came meanwhile; one that
  went meanwhile is counted and named.
- The archive has its name once all of it is on the disk, and not before: neither a full disk nor an interruption leaves
  half of one.
- No secret is in it: neither config.env nor a key that lets anybody in. It is its owner's alone all the same, since it
  has in it what customers wrote.
- The reserve of the disk stays free (`storage/blobs/disk_room.py`), so that a Tick on the same disk goes on.
"""

import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from api.backup.archive import DATABASE, FILES, MANIFEST, ArchiveWriter, WrongArchive, list_members
from api.backup.manifest import FORMAT, Manifest, make_line
from api.backup.places import BackupRefused, Places
from storage import backup_reads
from storage.blobs.disk_room import RESERVE, Reserve, measure_room
from storage.blobs.store import make_file_key
from storage.file_lock import lock_file
from storage.sql.migrate import find_newer_problem
from storage.sql.sqlite_copy import copy_database, measure_file

SCRATCH_SUFFIX = ".part"
MAX_NAMED_FILES = 20  # that are missing; the others are counted


@dataclass(slots=True)
class MadeBackup:
    """A backup that was made. `missing`: the files that the database names and that were not there, some of them."""

    manifest: Manifest
    size: int
    missing: list[str] = field(default_factory=list)


def make_backup(
    places: Places, target: Path, *, made_at: datetime, program: str, reserve: Reserve = RESERVE
) -> MadeBackup:
    """Makes the backup, in place of one that is there by this name. Raises BackupRefused, WrongDatabase, OSError."""
    if not places.database.exists():
        raise BackupRefused(f"There is nothing to back up: {places.database} is not there. DATA_DIR says where it is.")
    if target.is_dir() or not target.parent.is_dir():
        raise BackupRefused(f"{target} can't be the backup: name a file in a folder that is there.")
    if target.exists() and not _is_backup(target):
        raise BackupRefused(f"{target} is there, and is no backup: it is not overwritten.")
    check_room = _make_room_check(target.parent, reserve)
    with _open_scratch(target) as scratch:
        check_room(2 * measure_file(places.database))
        copy = scratch / DATABASE
        copy_database(places.database, copy, check_room)
        facts = backup_reads.read_facts(copy)
        if problem := find_newer_problem(facts.migrations):
            raise BackupRefused(str(problem))
        part = scratch / "archive"
        with part.open("xb") as file:
            writer = ArchiveWriter(file, written_at=int(made_at.timestamp()), on_piece=check_room)
            made = _write_members(writer, copy, places.files, scratch, facts, made_at, program)
            file.flush()
            os.fsync(file.fileno())
            made.size = file.tell()
        part.chmod(0o600)
        part.replace(target)
        _sync_folder(target.parent)
    return made


def _is_backup(file: Path) -> bool:
    try:
        with file.open("rb") as archive:
            return next(list_members(archive)).name == DATABASE
    except WrongArchive:
        return False


def _write_members(
    writer: ArchiveWriter,
    copy: Path,
    files: Path,
    scratch: Path,
    facts: backup_reads.CopyFacts,
    made_at: datetime,
    program: str,
) -> MadeBackup:
    """Writes all members, and last the manifest, whose lines are gathered in a file of their own."""
    missing: list[str] = []
    number, absent = 1, 0
    with (scratch / "members").open("w+b") as lines:
        with copy.open("rb") as database:
            lines.write(f"{make_line(writer.add(DATABASE, database))}\n".encode())
        for file_id, is_stored in backup_reads.list_files(copy):
            key = make_file_key(file_id)
            try:
                with (files / key).open("rb") as stored:
                    lines.write(f"{make_line(writer.add(FILES + key, stored))}\n".encode())
            except FileNotFoundError:
                if is_stored:
                    absent += 1
                    missing += [key] if len(missing) < MAX_NAMED_FILES else []
                continue
            number += 1
        manifest = Manifest(
            format=FORMAT,
            program=program,
            migration=max(facts.migrations, default=""),
            made_at=made_at,
            counts=facts.counts,
            members=number,
            missing=absent,
        )
        with (scratch / "manifest").open("w+b") as whole:
            whole.write(f"{manifest.to_json()}\n".encode())
            lines.seek(0)
            shutil.copyfileobj(lines, whole)
            _rewind(whole)
            writer.add(MANIFEST, whole)
    writer.end()
    return MadeBackup(manifest, 0, missing)


def _rewind(file: BinaryIO) -> None:
    file.flush()
    file.seek(0)


def _make_room_check(folder: Path, reserve: Reserve) -> Callable[..., None]:
    """Makes what raises BackupRefused where the disk of this folder has no room for so many bytes more."""

    def check_room(wanted_bytes: int = 0) -> None:
        room = measure_room(folder, reserve)
        if room.free_bytes - wanted_bytes < room.reserve_bytes:
            raise BackupRefused(
                f"There is not enough room for the backup in {folder}, and a part of the disk is left free for Tick "
                "itself. No backup was made: make room, or name a file on another disk."
            )

    return check_room


@contextmanager
def _open_scratch(target: Path) -> Iterator[Path]:
    """Makes a folder beside the target that goes whatever happens, and removes what a backup left that was killed."""
    prefix = f".{target.name}."
    for left in target.parent.glob(f"{glob.escape(prefix)}*{SCRATCH_SUFFIX}"):
        if lock := lock_file(left / "lock"):
            shutil.rmtree(left, ignore_errors=True)
            lock.close()
    scratch = Path(tempfile.mkdtemp(prefix=prefix, suffix=SCRATCH_SUFFIX, dir=target.parent))
    try:
        lock = lock_file(scratch / "lock")
        try:
            yield scratch
        finally:
            if lock is not None:
                lock.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
