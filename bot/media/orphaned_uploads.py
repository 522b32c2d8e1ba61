"""Deletes orphaned uploads: files that an agent uploaded a day ago or earlier, and that no reply ever carried.

Invariants
- What a reply carries is never touched, also when the reply is sent at this very moment.
- The bytes go before the row that names them, so what is cut short is found again.
- A few are deleted at a time, and others use the database in between.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from storage import files
from storage.blobs.store import FileStore, StoreDown, make_file_key
from storage.sql.database import Database

MIN_AGE = timedelta(hours=24)  # an agent may still be writing the reply
INTERVAL_SECONDS = 3600.0
MAX_UPLOADS_PER_BATCH = 50  # one transaction
MAX_BATCHES = 200  # what is left goes an hour later
PAUSE_SECONDS = 0.1
log = structlog.get_logger(__name__)


async def delete_orphaned_uploads(database: Database, store: FileStore, now: datetime) -> None:
    """Deletes the uploads that are orphaned at `now`, bytes and rows. Raises DatabaseDown."""
    for _ in range(MAX_BATCHES):
        orphaned = await database.run(lambda tx: files.loosen_unsent(tx, now - MIN_AGE, MAX_UPLOADS_PER_BATCH))
        if not orphaned:
            return
        try:
            for file_id in orphaned:
                await store.delete(make_file_key(file_id))
        except StoreDown as error:  # they stay orphaned, and are found again in an hour
            log.warning("orphaned_uploads_stay", error=str(error))
            return
        await database.run(lambda tx, gone=orphaned: files.delete_loose(tx, gone))  # type: ignore[misc]
        log.info("orphaned_uploads_deleted", count=len(orphaned))
        await asyncio.sleep(PAUSE_SECONDS)
