"""Deletes files that nothing has taken, hour after hour: agents' uploads and what customers sent.

Invariants
- Nothing that goes wrong here stops the loop.
"""

import asyncio

import structlog

from bot.clock import Clock
from bot.media.orphaned_uploads import INTERVAL_SECONDS, delete_orphaned_uploads
from bot.media.unclaimed_files import delete_unclaimed_files
from storage.blobs.store import FileStore
from storage.sql.database import Database, DatabaseDown

log = structlog.get_logger(__name__)


class Leftovers:
    """Deletes for one process."""

    def __init__(self, *, database: Database, store: FileStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Deletes what is left over, until `stop` is set."""
        while not stop.is_set():
            for delete in (delete_orphaned_uploads, delete_unclaimed_files):
                try:
                    await delete(self._database, self._store, self._clock())
                except DatabaseDown as error:
                    log.warning("database_down", error=str(error))
                except Exception:
                    log.exception("leftovers_failed")
            try:
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                pass
