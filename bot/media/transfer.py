"""Moves media between Meta and the file store: fetches customers' files in the background, and uploads agents' files.

Invariants
- A message never waits for its file.
- A file that is slow, broken or refused costs other files nothing but one of a few slots; files that were tried before
  have slots of their own. The slots bound the memory too.
- Every fetch ends in a state of the file's row.
- What is the account's trouble, or our own store's, is held against no file: all wait, and then one is tried.
- No more of a customer's files are stored in a day than their budget (`file_budget.py`), and none where the disk has
  nothing but its reserve left (`storage/blobs/folder.py`).

Source: Meta, business-phone-numbers/media (GET /{media-id}).
"""

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from bot.clock import Clock
from bot.media.file_budget import FileBudget
from bot.media.uploader import STORE_DOWN_SECONDS, MediaUploader
from bot.whatsapp.graph.client import GraphClient
from bot.whatsapp.graph.media import AccountStopped, MediaFailed, MediaLocation, locate_media
from bot.whatsapp.graph.media_download import Downloads, MediaUrlExpired
from bot.whatsapp.graph.media_hosts import MediaRefused
from storage import file_fetches
from storage.blobs.store import FileStore, StoreDown, make_file_key
from storage.file_fetches import FetchOutcome
from storage.files import FileRow
from storage.sql.database import Database, DatabaseDown
from storage.statuses import FileState

MAX_NEW_FETCHES = 6  # at once, of files that were never tried
MAX_REPEATED_FETCHES = 3  # at once, of files that were
LEASE = timedelta(seconds=30)
RENEW_SECONDS = 8.0  # well within the lease, also when one renewal fails
SWEEP_SECONDS = 2.0
EXPIRE_SECONDS = 60.0
RETRY_SECONDS = (10, 60, 300, 1800, 3600, 4 * 3600)  # after the first failure, the second ...; the last for all others
log = structlog.get_logger(__name__)


class _Pause(NamedTuple):
    """Nothing is fetched for so many seconds after `since`."""

    since: datetime
    seconds: float


class _Fetch(NamedTuple):
    """A fetch that is under way; `row` is the file's as it was claimed."""

    row: FileRow
    task: asyncio.Task[None]


class MediaTransfer:
    """One process's share of moving media. `owner` is random for each start of the process."""

    def __init__(
        self,
        *,
        database: Database,
        store: FileStore,
        graph: GraphClient,
        downloads: Downloads,
        clock: Clock,
        budget: FileBudget,
        owner: str,
    ) -> None:
        self._database = database
        self._store = store
        self._graph = graph
        self._downloads = downloads
        self._clock = clock
        self._budget = budget
        self._owner = owner
        self._uploader = MediaUploader(database=database, store=store, graph=graph, clock=clock)
        self._rung = asyncio.Event()
        self._running: dict[int, _Fetch] = {}
        self._pause: _Pause | None = None
        self._is_probing = False
        self._expired_at: datetime | None = None

    def ring(self) -> None:
        """Wakes the loop, because there is something to fetch."""
        self._rung.set()

    async def ensure_uploaded(self, file_id: int) -> str:
        """Returns Meta's id of an agent's file, which is uploaded unless Meta has it. Raises UploadFailed."""
        return await self._uploader.ensure_uploaded(file_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Fetches files until `stop` is set; what is under way then is given back."""
        renewing = asyncio.create_task(self._renew_leases())
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self.ring())
        try:
            while not stop.is_set():
                self._rung.clear()
                seconds = await self._start_safely()
                try:
                    async with asyncio.timeout(SWEEP_SECONDS if seconds is None else seconds):
                        await self._rung.wait()
                except TimeoutError:
                    pass
        finally:
            tasks = [*(fetch.task for fetch in self._running.values()), renewing, stopping]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_safely(self) -> float | None:
        """Starts fetches, and outlives whatever goes wrong with it."""
        try:
            return await self._start_fetches()
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
        except Exception:
            log.exception("media_transfer_failed")
        return None

    async def _start_fetches(self) -> float:
        """Claims files that are due, as many as there are slots for, and starts to fetch them.

        Returns the seconds after which it must look again.
        """
        now = self._clock()
        if self._pause is not None and (left := _count_seconds_left(now, *self._pause)) > 0:
            return min(left, SWEEP_SECONDS)
        if self._expired_at is None or _count_seconds_left(now, self._expired_at, EXPIRE_SECONDS) <= 0:
            await self._database.run(lambda tx: file_fetches.expire(tx, now))
            self._expired_at = now
        if due := await self._find_due(now):
            rows = await self._database.run(lambda tx: file_fetches.claim(tx, due, self._owner, now, now + LEASE))
            for row in rows:
                task = asyncio.create_task(self._fetch(row))
                self._running[row.file_id] = _Fetch(row, task)
                task.add_done_callback(lambda _, file_id=row.file_id: self._end_fetch(file_id))  # type: ignore[misc]
        return SWEEP_SECONDS

    async def _find_due(self, now: datetime) -> list[int]:
        repeated = sum(fetch.row.attempts > 1 for fetch in self._running.values())
        slots_by_fresh = {
            True: MAX_NEW_FETCHES - (len(self._running) - repeated),
            False: MAX_REPEATED_FETCHES - repeated,
        }
        if self._is_probing:  # after a pause one file shows whether it is over
            slots_by_fresh = dict.fromkeys(slots_by_fresh, 0 if self._running else 1)
        found: list[int] = []
        async with self._database.reading() as tx:
            for fresh, slots in slots_by_fresh.items():
                if slots > 0:
                    due = await file_fetches.find_due(tx, now, slots + len(self._running), fresh=fresh)
                    found += [file_id for file_id in due if file_id not in self._running][:slots]
        return found[:1] if self._is_probing else found

    def _end_fetch(self, file_id: int) -> None:
        self._running.pop(file_id, None)
        self.ring()

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            file_ids, until = list(self._running), self._clock() + LEASE
            try:
                await self._database.run(lambda tx: file_fetches.renew(tx, file_ids, self._owner, until))  # noqa: B023 - run here
            except DatabaseDown as error:
                log.warning("database_down", error=str(error))

    async def _fetch(self, row: FileRow) -> None:
        try:
            fetched = await self._try_fetch(row)
        except asyncio.CancelledError:
            await self._finish(FetchOutcome(row, FileState.WAITING, row.reason, is_attempt=False))
            raise
        await self._finish(fetched)

    async def _finish(self, fetched: FetchOutcome) -> None:
        at = self._clock()
        try:
            if fetched.state is FileState.DEFERRED:
                settled = await self._budget.defer(fetched, at)
            else:
                settled = await self._database.run(lambda tx: file_fetches.finish(tx, fetched, at))
        except DatabaseDown as error:  # its lease runs out, and it is fetched again
            log.warning("database_down", error=str(error))
            return
        except Exception:  # likewise, of its customer by then
            log.exception("file_not_settled", file_id=fetched.row.file_id)
            return
        log.info("file", file_id=fetched.row.file_id, state=fetched.state, reason=fetched.reason, settled=settled)

    async def _try_fetch(self, row: FileRow) -> FetchOutcome:
        """Fetches one file, and says what became of it; raises nothing but CancelledError."""
        try:
            located = await locate_media(self._graph, row.media_id)
            size = self._downloads.limits.max_bytes if located.size is None else located.size
            if not await self._budget.reserve(row, size):
                return self._budget.make_outcome(row, located.size)
            try:
                fetched = await self._download(row, located)
            except MediaUrlExpired:
                fetched = await self._download(row, await locate_media(self._graph, row.media_id))
        except AccountStopped as error:
            return self._pause_all(row, str(error), error.wait_seconds)
        except StoreDown as error:
            return self._pause_all(row, str(error), STORE_DOWN_SECONDS)
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
            return FetchOutcome(row, FileState.WAITING, row.reason, is_attempt=False)
        except MediaRefused as error:
            fetched = FetchOutcome(row, FileState.REFUSED, str(error))
        except MediaFailed as error:
            fetched = self._fail(row, str(error), error.wait_seconds)
        except Exception:
            log.exception("file_failed", file_id=row.file_id)
            fetched = self._fail(row, "Something in this program broke over it; its log says what.", 0)
        self._pause, self._is_probing = None, False
        return fetched

    async def _download(self, row: FileRow, located: MediaLocation) -> FetchOutcome:
        download = self._downloads.prepare(located, self._graph.settings.access_token, row.sha256)
        async with aclosing(download.pieces()) as pieces:
            await self._store.put(make_file_key(row.file_id), pieces)
        return FetchOutcome(
            row, FileState.STORED, size=download.size, sha256=download.sha256, mime_type=located.mime_type
        )

    def _fail(self, row: FileRow, reason: str, wait_seconds: float) -> FetchOutcome:
        now = self._clock()
        if row.media_until is not None and row.media_until <= now:  # or it would be due again at once
            return FetchOutcome(row, FileState.EXPIRED, reason)
        wait_seconds = max(wait_seconds, RETRY_SECONDS[min(row.attempts, len(RETRY_SECONDS)) - 1])
        due_at = now + timedelta(seconds=wait_seconds)
        return FetchOutcome(row, FileState.FAILED, reason, due_at=min(due_at, row.media_until or due_at))

    def _pause_all(self, row: FileRow, reason: str, wait_seconds: float) -> FetchOutcome:
        """Pauses all fetching for what is no file's fault; after that, one file is tried."""
        now = self._clock()
        self._pause, self._is_probing = _Pause(now, wait_seconds), True
        due_at = now + timedelta(seconds=wait_seconds)
        return FetchOutcome(row, FileState.WAITING, reason, due_at=due_at, is_attempt=False)


def _count_seconds_left(now: datetime, since: datetime, seconds: float) -> float:
    """Returns what is left of so many seconds; nothing, when the clock was put back meanwhile."""
    passed = (now - since).total_seconds()
    return seconds - passed if passed >= 0 else 0.0
