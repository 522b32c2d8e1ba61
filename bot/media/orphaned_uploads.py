"""Uploads that no answer ever carried: a day later they go, with their bytes.

Invariants: what an answer carries is never touched, also when it is sent at this very moment; the bytes go before the
row that names them, so what is cut short is found again; a few are taken at a time, and others work in between.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from storage import files
from storage.blobs.store import FileStore, StoreDown, key_of
from storage.sql.database import Database

UNSENT = timedelta(hours=24)
TIDY_SECONDS = 3600.0
MOST_AT_ONCE = 50
MOST_BATCHES = 200
PAUSE_SECONDS = 0.1
log = structlog.get_logger(__name__)


async def clear_unsent(database: Database, store: FileStore, now: datetime) -> None:
    """Deletes the uploads that are a day old and unsent. Raises DatabaseDown."""
    for _ in range(MOST_BATCHES):
        loose = await database.run(lambda tx: files.loosen(tx, now - UNSENT, MOST_AT_ONCE))
        if not loose:
            return
        try:
            for file_id in loose:
                await store.delete(key_of(file_id))
        except StoreDown as error:  # they stay loose, and are found again in an hour
            log.warning("unsent_files_stay", error=str(error))
            return
        await database.run(lambda tx, gone=loose: files.forget(tx, gone))  # type: ignore[misc]
        log.info("unsent_files_deleted", count=len(loose))
        await asyncio.sleep(PAUSE_SECONDS)  # others want the database too
