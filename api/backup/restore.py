"""Restores a backup where nothing is: takes it apart aside, looks at all of it, and only then puts it in place.

Invariants
- Nothing that is there is touched: there must be no database, and no file in the folders.
- Nothing is put in place before each member has the size and the hash that the manifest gives.
- The database comes last, and is settled by then (`bot/restoration.py`): a Tick that starts on it sends nothing twice.
- What was interrupted half-way keeps Tick from starting there, until the folder is emptied.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

from api.backup.archive import CUT_OFF, DATABASE, FILES, MANIFEST, Place, WrongArchive, list_members, read_member
from api.backup.manifest import Manifest, read_manifest, read_members, show
from api.backup.places import BackupRefused, Places
from bot.ids import IdMaker
from bot.restoration import Settled, settle_earlier_state
from storage.blobs.disk_room import RESERVE, Reserve, measure_room
from storage.file_lock import lock_file
from storage.sql.database import Database, DatabaseSettings
from storage.sql.migrate import apply, find_newer_problem, refuse_newer
from storage.sql.sqlite_copy import check_whole, make_one_file, open_file
from storage.sql.sqlite_lock import HALF_RESTORED, find_lock

SETTLE_SECONDS = 600.0
IGNORED = frozenset({"lost+found"})  # that the root of a disk has


@dataclass(frozen=True, slots=True)
class Overview:
    """What an archive says of itself, with where its manifest lies, and how many bytes its members have."""

    manifest: Manifest
    place: Place
    total: int


async def restore_backup(
    archive: Path, places: Places, *, at: datetime, actor: str, reserve: Reserve = RESERVE
) -> tuple[Manifest, Settled]:
    """Restores the backup. Raises BackupRefused, WrongArchive, WrongDatabase, OSError; then nothing is in place."""
    with ExitStack() as stack:
        stack.enter_context(_claim(places))
        file = stack.enter_context(_open_archive(archive))
        overview = _look_through(file)
        _check_room(places, overview.total, reserve)
        aside, files = stack.enter_context(_make_asides(places))
        _take_apart(file, overview, aside, files)
        with open_file(aside / DATABASE) as database:
            check_whole(database, archive)
        settled = await _settle(aside / DATABASE, overview.manifest, at=at, actor=actor)
        make_one_file(aside / DATABASE)
        os.sync()  # all of it is on the disk before any of it has its name
        for folder in sorted(files.iterdir()):
            folder.rename(places.files / folder.name)
        (aside / DATABASE).rename(places.database)
    os.sync()
    return overview.manifest, settled


@contextmanager
def _claim(places: Places) -> Iterator[None]:
    """Keeps Tick out of the place meanwhile. Raises BackupRefused where it is at work, or something is there."""
    folder, lock_path = places.database.parent, find_lock(places.database)
    for one in (folder, places.files):
        if one.exists() and not one.is_dir():
            raise BackupRefused(f"{one} is no folder: set DATA_DIR to one of Tick's own.")
    was_there, was_locked = folder.exists(), lock_path.exists()
    if was_locked:
        _lock(lock_path, places).close()
    ours = {lock_path.name, *([places.files.name] if places.files.parent == folder else [])}
    _refuse_unless_empty(folder, ours)
    _refuse_unless_empty(places.files, set())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(lock_path, places)
    try:
        yield
    finally:
        if not places.database.exists() and not was_locked:
            lock_path.unlink()
            if not was_there:
                folder.rmdir()
        lock.close()


def _lock(path: Path, places: Places) -> TextIO:
    lock = lock_file(path)
    if lock is None:
        raise BackupRefused(
            f"Tick runs on {places.database}: a backup is restored into an empty folder, where none runs."
        )
    return lock


def _refuse_unless_empty(folder: Path, expected: set[str]) -> None:
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if HALF_RESTORED in found:
        raise BackupRefused(f"A backup was restored half-way into {folder}: empty that folder, and restore it again.")
    if left := sorted(found - expected - IGNORED):
        raise BackupRefused(
            f"{folder} is not empty ({left[0]} is there), and nothing there is overwritten: move it away, or set "
            "DATA_DIR to another folder."
        )


@contextmanager
def _open_archive(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():
        raise BackupRefused(f"{path} is not there, or is no file.")
    with path.open("rb") as file:
        yield file


def _look_through(file: BinaryIO) -> Overview:
    """Looks at the headers and the manifest. Raises WrongArchive."""
    total, number, last = 0, 0, None
    for place in list_members(file):
        if not _may_follow(last, place):
            raise WrongArchive("This archive has its parts in an order that Tick does not write. Nothing was restored.")
        last, total, number = place, total + place.size, number + 1
    if last is None or last.name != MANIFEST:
        raise WrongArchive(CUT_OFF)
    file.seek(last.offset)
    manifest = read_manifest(file)
    if manifest.members != number - 1:
        raise WrongArchive("The backup is damaged: it has more or fewer parts than it says. Take another copy of it.")
    if manifest.migration and find_newer_problem([manifest.migration]):
        raise WrongArchive(
            f"This backup was made by a newer version of Tick ({show(manifest.program)}, with the migration "
            f"{show(manifest.migration)}): install that version, or a newer one, and restore it with that."
        )
    return Overview(manifest, last, total)


def _may_follow(last: Place | None, place: Place) -> bool:
    """Whether a member is where Tick writes it: the database first, the files by their ids, the manifest last. So no
    name comes twice."""
    if last is None:
        return place.name == DATABASE
    return place.name != DATABASE and _get_rank(last.name) < _get_rank(place.name)


def _get_rank(name: str) -> str:
    return {DATABASE: "", MANIFEST: "~"}.get(name, name.rpartition("/")[2])


def _check_room(places: Places, total: int, reserve: Reserve) -> None:
    room = measure_room(places.database.parent, reserve)
    if room.free_bytes - total < room.reserve_bytes:
        raise BackupRefused(
            f"There is not enough room in {places.database.parent}: the backup needs {total // 1024**2 + 1} MB, and a "
            "part of the disk is left free."
        )


@contextmanager
def _make_asides(places: Places) -> Iterator[tuple[Path, Path]]:
    """Makes a folder aside for the database and one for the files, each on the disk where they will be; they go
    whatever happens, and so does whatever an error left of the rest."""
    had_files = places.files.exists()
    asides = places.database.parent / HALF_RESTORED, places.files / HALF_RESTORED
    try:
        places.files.mkdir(parents=True, exist_ok=True, mode=0o700)
        for aside in asides:
            aside.mkdir(mode=0o700)
        yield asides
    except BaseException:
        if places.files.exists() and not places.database.exists():
            for path in places.files.iterdir():  # it was empty before
                if path.name not in IGNORED:
                    shutil.rmtree(path, ignore_errors=True)
            if not had_files:
                places.files.rmdir()
        raise
    finally:
        for aside in reversed(asides):
            shutil.rmtree(aside, ignore_errors=True)


def _take_apart(file: BinaryIO, overview: Overview, aside: Path, files: Path) -> None:
    """Writes the members to where they are aside. Raises WrongArchive where one is not as the manifest has it."""
    with open(file.name, "rb") as listing:
        listing.seek(overview.place.offset)
        manifest = read_manifest(listing)
        for place, member in zip(list_members(file), read_members(listing, manifest.members), strict=False):
            target = aside / DATABASE if place.name == DATABASE else files / place.name.removeprefix(FILES)
            target.parent.mkdir(exist_ok=True, mode=0o700)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                sha256 = read_member(file, place, out.write)
            if (member.name, member.size, member.sha256) != (place.name, place.size, sha256):
                raise WrongArchive(
                    f"The backup is damaged: {place.name} is not as it was when the backup was made. Take another copy "
                    "of it."
                )


async def _settle(file: Path, manifest: Manifest, *, at: datetime, actor: str) -> Settled:
    """Brings the database to this version's shape, and settles what was under way in it."""
    database = await Database.open(DatabaseSettings(f"sqlite://{file}", pool_size=1))
    try:
        await refuse_newer(database)
        await apply(database)
        what = (
            f"The database was restored from the backup of {manifest.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: what "
            "came after it is gone."
        )
        async with database.transaction(SETTLE_SECONDS) as tx:
            return await settle_earlier_state(tx, what, actor=actor, make_id=IdMaker(lambda: at).next, at=at)
    finally:
        await database.close()
