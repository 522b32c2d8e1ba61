"""The media vault: brings customers' files to our store in the background, and agents' files to Meta.

Invariants: a message never waits for its file; a file that is slow, broken or refused costs other files nothing but one
of a few places, and those that were tried before have places of their own; every fetch ends in a state of the file's
row; what is the account's trouble, or our own store's, is held against no file. Memory is bounded by the places.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.clock import Clock
from bot.media.orphaned_uploads import TIDY_SECONDS, clear_unsent
from bot.whatsapp.errors import ACTIONS, Action
from bot.whatsapp.graph.client import GraphClient
from bot.whatsapp.graph.media import AccountStopped, Located, MediaFailed, locate
from bot.whatsapp.graph.media_download import AddressGone, Downloads
from bot.whatsapp.graph.media_hosts import MediaRefused
from bot.whatsapp.messages.media_kinds import upload_type
from storage import files
from storage.blobs.store import FileStore, NoFile, StoreDown, key_of
from storage.files import Fetched, FileRow
from storage.sql.database import Database, DatabaseDown
from storage.statuses import FileState

FRESH_AT_ONCE = 6
TRIED_AT_ONCE = 3
LEASE = timedelta(seconds=30)
KEEP_SECONDS = 8.0
SWEEP_SECONDS = 2.0
EXPIRE_SECONDS = 60.0
STORE_DOWN_SECONDS = 15.0
WAITS_SECONDS = (10, 60, 300, 1800, 3600, 4 * 3600)  # after the first failure, the second ...; the last for all others
UPLOAD_LIFE = timedelta(days=29)  # Meta keeps an upload for 30
UPLOAD_MARGIN = timedelta(hours=1)
log = structlog.get_logger(__name__)


class UploadFailed(Exception):
    """Meta has not got an agent's file. `reason` is a sentence; `retry_seconds`: when to try again, None for never;
    `refused`: Meta had the file and did not keep it, which may be the file's own fault."""

    def __init__(self, reason: str, retry_seconds: float | None, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_seconds = retry_seconds
        self.refused = refused


class Vault:
    """One process's share of the fetching. `owner` is random for each start of the process."""

    def __init__(
        self,
        database: Database,
        store: FileStore,
        graph: GraphClient,
        downloads: Downloads,
        clock: Clock,
        owner: str,
    ) -> None:
        self._database = database
        self._store = store
        self._graph = graph
        self._downloads = downloads
        self._clock = clock
        self._owner = owner
        self._rung = asyncio.Event()
        self._running: dict[int, tuple[FileRow, asyncio.Task[None]]] = {}
        self._pause: tuple[datetime, float] | None = None  # since when, and for how many seconds
        self._probing = False
        self._expired_at: datetime | None = None

    def ring(self) -> None:
        """There is something to fetch."""
        self._rung.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Fetches until `stop`; what is under way then is given back."""
        keeping = asyncio.create_task(self._keep())
        tidying = asyncio.create_task(self._tidy())
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self.ring())
        try:
            while not stop.is_set():
                self._rung.clear()
                seconds = await self._safely(self._look)
                try:
                    async with asyncio.timeout(SWEEP_SECONDS if seconds is None else seconds):
                        await self._rung.wait()
                except TimeoutError:
                    pass
        finally:
            under_way = [task for _, task in self._running.values()]
            for task in (*under_way, keeping, tidying, stopping):
                task.cancel()
            await asyncio.gather(*under_way, keeping, tidying, stopping, return_exceptions=True)

    async def _safely(self, work: Callable[[], Coroutine[Any, Any, float | None]]) -> float | None:
        """The loop outlives whatever goes wrong in one round of it."""
        try:
            return await work()
        except DatabaseDown as error:
            log.warning("database_down", error=str(error))
        except Exception:
            log.exception("vault_failed")
        return None

    async def _look(self) -> float:
        """Takes what is due and what there is room for; returns the seconds until it must look again."""
        now = self._clock()
        if self._pause is not None and (left := _left(now, *self._pause)) > 0:
            return min(left, SWEEP_SECONDS)
        if self._expired_at is None or _left(now, self._expired_at, EXPIRE_SECONDS) <= 0:
            await self._database.run(lambda tx: files.expire(tx, now))
            self._expired_at = now
        tried = sum(row.attempts > 1 for row, _ in self._running.values())
        room = {True: FRESH_AT_ONCE - (len(self._running) - tried), False: TRIED_AT_ONCE - tried}
        if self._probing:  # after a pause one file shows whether it is over
            room = dict.fromkeys(room, 0 if self._running else 1)
        found: list[int] = []
        async with self._database.reading() as tx:
            for fresh, places in room.items():
                if places > 0:
                    due = await files.due(tx, now, places + len(self._running), fresh=fresh)
                    found += [file_id for file_id in due if file_id not in self._running][:places]
        found = found[:1] if self._probing else found
        if not found:
            return SWEEP_SECONDS
        rows = await self._database.run(lambda tx: files.claim(tx, found, self._owner, now, now + LEASE))
        for row in rows:
            task = asyncio.create_task(self._fetch(row))
            self._running[row.file_id] = (row, task)
            task.add_done_callback(lambda _, file_id=row.file_id: self._ended(file_id))  # type: ignore[misc]
        return SWEEP_SECONDS

    def _ended(self, file_id: int) -> None:
        self._running.pop(file_id, None)
        self.ring()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            held, until = list(self._running), self._clock() + LEASE
            try:
                await self._database.run(lambda tx: files.keep(tx, held, self._owner, until))  # noqa: B023 - run here
            except DatabaseDown as error:
                log.warning("database_down", error=str(error))

    async def _tidy(self) -> None:
        while True:
            await self._safely(lambda: clear_unsent(self._database, self._store, self._clock()))
            await asyncio.sleep(TIDY_SECONDS)

    async def _fetch(self, row: FileRow) -> None:
        try:
            fetched = await self._outcome(row)
        except asyncio.CancelledError:
            await self._finish(Fetched(row, FileState.WAITING, row.reason, burnt=False))
            raise
        await self._finish(fetched)

    async def _finish(self, fetched: Fetched) -> None:
        at = self._clock()
        try:
            settled = await self._database.run(lambda tx: files.finish(tx, fetched, at))
        except DatabaseDown as error:  # its lease runs out, and it is fetched again
            log.warning("database_down", error=str(error))
            return
        log.info("file", file_id=fetched.row.file_id, state=fetched.state, reason=fetched.reason, settled=settled)

    async def _outcome(self, row: FileRow) -> Fetched:
        try:
            located = await locate(self._graph, row.media_id)
            try:
                fetched = await self._bring(row, located)
            except AddressGone:
                fetched = await self._bring(row, await locate(self._graph, row.media_id))
        except AccountStopped as error:
            return self._paused(row, str(error), error.wait_seconds)
        except StoreDown as error:
            return self._paused(row, str(error), STORE_DOWN_SECONDS)
        except MediaRefused as error:
            fetched = Fetched(row, FileState.REFUSED, str(error))
        except MediaFailed as error:
            fetched = self._failed(row, str(error), error.wait_seconds)
        except Exception:
            log.exception("file_failed", file_id=row.file_id)
            fetched = self._failed(row, "Something in this program broke over it; its log says what.", 0)
        self._pause, self._probing = None, False
        return fetched

    async def _bring(self, row: FileRow, located: Located) -> Fetched:
        download = self._downloads.of(located, self._graph.settings.access_token, row.sha256)
        async with aclosing(download.pieces()) as pieces:
            await self._store.put(key_of(row.file_id), pieces)
        return Fetched(row, FileState.STORED, size=download.size, sha256=download.sha256, mime_type=located.mime_type)

    def _failed(self, row: FileRow, reason: str, wait_seconds: float) -> Fetched:
        now = self._clock()
        if row.media_until is not None and row.media_until <= now:  # or it would be due again at once
            return Fetched(row, FileState.EXPIRED, reason)
        wait = max(wait_seconds, WAITS_SECONDS[min(row.attempts, len(WAITS_SECONDS)) - 1])
        due_at = now + timedelta(seconds=wait)
        return Fetched(row, FileState.FAILED, reason, due_at=min(due_at, row.media_until or due_at))

    def _paused(self, row: FileRow, reason: str, wait_seconds: float) -> Fetched:
        """No file's fault: all of them wait, and then one is tried."""
        now = self._clock()
        self._pause, self._probing = (now, wait_seconds), True
        due_at = now + timedelta(seconds=wait_seconds)
        return Fetched(row, FileState.WAITING, reason, due_at=due_at, burnt=False)

    async def media_id_of(self, file_id: int) -> str:
        """Meta's id of an agent's file, uploaded when Meta has it no more, or not yet; raises UploadFailed."""
        async with self._database.reading() as tx:
            row = await files.find(tx, file_id)
        if row is None or row.direction != "out" or row.size is None:
            raise UploadFailed("There is no such file any more.", None)
        if row.media_id and row.media_until is not None and row.media_until - UPLOAD_MARGIN > self._clock():
            return row.media_id
        media_id = await self._upload(row, row.size)
        until = self._clock() + UPLOAD_LIFE
        await self._database.run(lambda tx: files.set_media_id(tx, file_id, media_id, until))
        return media_id

    async def _upload(self, row: FileRow, size: int) -> str:
        try:
            pieces = await self._store.open(key_of(row.file_id))
        except NoFile:
            raise UploadFailed("Its bytes are no longer in the store of files.", None) from None
        except StoreDown as error:
            raise UploadFailed(str(error), STORE_DOWN_SECONDS) from None
        name = upload_type(row.mime_type)
        answer = await self._graph.upload(pieces, mime_type=name, filename=row.filename, size=size)
        if (refused := answer.error) is not None:
            reason = ACTIONS[131053].reason if refused.code == 100 else refused.reason
            again = refused.action in (Action.RETRY, Action.RETRY_AFTER, Action.STOP)
            retries = refused.action is Action.RETRY
            raise UploadFailed(reason, refused.wait_seconds if again else None, refused=retries)
        media_id = answer.value.get("id")
        if not isinstance(media_id, str) or not media_id or len(media_id) > 128 or not media_id.isascii():
            reason = answer.failure or "Meta took the file and gave no id for it."
            raise UploadFailed(reason, WAITS_SECONDS[0], refused=answer.sent)
        return media_id


def _left(now: datetime, since: datetime, seconds: float) -> float:
    """What is left of so many seconds; nothing, when the clock was put back meanwhile."""
    passed = (now - since).total_seconds()
    return seconds - passed if passed >= 0 else 0.0
