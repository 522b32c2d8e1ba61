"""A DATA_DIR with tickets and files in it, as a Tick leaves it, and what a test does with its backups."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from api.backup.make import MadeBackup, make_backup
from api.backup.places import Places
from api.backup.restore import restore_backup
from bot.restoration import Settled
from storage.blobs.disk_room import RESERVE, Reserve
from storage.blobs.store import make_file_key

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MILLIS = int(AT.timestamp() * 1000)


def get_places(data: Path) -> Places:
    return Places(data / "tick.db", data / "files")


def stock(data: Path, template: Path, files: dict[int, bytes]) -> Places:
    """Makes a DATA_DIR with a ticket and these files, by their ids."""
    data.mkdir(mode=0o700)
    shutil.copy(template, data / "tick.db")
    places = get_places(data)
    execute(places, "INSERT INTO conversation (customer_id, version, body) VALUES (1, 7, '[]')")
    add_ticket(places, 1)
    for file_id, content in files.items():
        path = places.files / make_file_key(file_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        add_file(places, file_id)
    return places


def add_ticket(places: Places, ticket_id: int) -> None:
    execute(
        places,
        "INSERT INTO ticket (id, customer_id, name, description, issue_type, status, whatsapp_enabled, "
        "whatsapp_notifications, created_at, updated_at) "
        "VALUES (?, 1, 'Ann', 'It burns', 'hardware', 'new', 1, 1, ?, ?)",
        ticket_id,
        MILLIS,
        MILLIS,
    )


def add_file(places: Places, file_id: int, state: str = "stored") -> None:
    execute(
        places,
        "INSERT INTO file (id, direction, kind, state, due_at, created_at, media_id, mime_type, filename, sha256, "
        "reason, attempts, owner) VALUES (?, 'in', 'image', ?, ?, ?, '', '', '', '', '', 0, '')",
        file_id,
        state,
        MILLIS,
        MILLIS,
    )


def execute(places: Places, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(places.database)) as database, database:
        database.execute(sql, values)


def read(places: Places, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(places.database)) as database:
        return list(database.execute(sql))


def back_up(places: Places, target: Path) -> MadeBackup:
    return make_backup(places, target, made_at=AT, program="1.2.3")


def restore(archive: Path, data: Path, reserve: Reserve = RESERVE) -> Settled:
    _, settled = asyncio.run(restore_backup(archive, get_places(data), at=AT, actor="me", reserve=reserve))
    return settled


def list_all(folder: Path) -> list[str]:
    """Returns all paths below a folder, "" for itself; none where it is not there."""
    if not folder.exists():
        return []
    return sorted(
        os.path.relpath(os.path.join(root, name), folder) for root, a, b in os.walk(folder) for name in (*a, *b)
    )
