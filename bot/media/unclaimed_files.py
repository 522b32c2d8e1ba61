"""Deletes customers' files that nothing has taken for 30 days: no ticket, no reply, no draft of a report.

Invariants
- What the customer's conversation names is never touched, however old it is, nor what a ticket or a reply has.
- The bytes go before the row that names them, so what is cut short is found again.
- A few are deleted at a time, and others use the database in between.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from storage import fence, files
from storage.blobs.store import FileStore, StoreDown, make_file_key
from storage.files import UnclaimedFile
from storage.sql.database import Database

MIN_AGE = timedelta(days=30)
MAX_FILES_PER_BATCH = 50  # one transaction
MAX_BATCHES = 200  # what is left goes an hour later
PAUSE_SECONDS = 0.1
log = structlog.get_logger(__name__)


async def delete_unclaimed_files(database: Database, store: FileStore, now: datetime) -> None:
    """Deletes the files that are unclaimed at `now`, bytes and rows. Raises DatabaseDown."""
    last_id = 0
    for _ in range(MAX_BATCHES):
        async with database.reading() as tx:
            found = await files.list_unclaimed(tx, now - MIN_AGE, after_id=last_id, limit=MAX_FILES_PER_BATCH)
        if not found:
            return
        last_id = found[-1].file_id
        if unnamed := await _drop_named(database, found):
            loose = await database.run(lambda tx, these=unnamed: files.loosen_unclaimed(tx, these))  # type: ignore[misc]
            try:
                for file_id in loose:
                    await store.delete(make_file_key(file_id))
            except StoreDown as error:  # they stay loose, and are found again in an hour
                log.warning("unclaimed_files_stay", error=str(error))
                return
            await database.run(lambda tx, gone=loose: files.delete_loose(tx, gone))  # type: ignore[misc]
            log.info("unclaimed_files_deleted", count=len(loose))
        await asyncio.sleep(PAUSE_SECONDS)


async def _drop_named(database: Database, found: Sequence[UnclaimedFile]) -> list[int]:
    """Returns the ids of those whose customer's conversation does not name them: not in a draft, nor in anything else
    that waits there for its place. A file that came so long ago is named by nothing that is still to come."""
    async with database.reading() as tx:
        states = await fence.load_lane_states(tx, {file.customer_id for file in found})
    return [
        file.file_id
        for file in found
        if file.customer_id not in states or not file.media_id or file.media_id not in states[file.customer_id].body
    ]
