"""Uploads agents' files to Meta when a message needs them, once for all messages that carry the same file.

Invariants
- A file is uploaded again only when Meta's id for it has expired or is about to.

Source: Meta, business-phone-numbers/media (POST /{phone-number-id}/media; an id lives thirty days).
"""

from datetime import timedelta

from bot.clock import Clock
from bot.whatsapp.errors import ERROR_POLICIES, Action
from bot.whatsapp.graph.client import GraphClient, GraphResponse
from bot.whatsapp.graph.response import GraphError
from bot.whatsapp.messages.media_types import normalize_mime_type
from storage import files
from storage.blobs.store import FileStore, NoFile, StoreDown, make_file_key
from storage.files import FileRow
from storage.sql.database import Database

UPLOAD_LIFE = timedelta(days=29)  # Meta keeps an upload for 30
UPLOAD_MARGIN = timedelta(hours=1)  # the message may wait before it goes out
STORE_DOWN_SECONDS = 15.0
NO_ANSWER_SECONDS = 10.0
MAX_MEDIA_ID_CHARACTERS = 128  # as the column takes it
INVALID_PARAMETER_CODE = 100  # of the Graph API
UPLOAD_ERROR_CODE = 131053


class UploadFailed(Exception):
    """Meta has not got an agent's file.

    `reason`: a sentence. `retry_seconds`: when to try again, None for never. `refused`: Meta had the file and did not
    keep it, which may be the file's own fault.
    """

    def __init__(self, reason: str, retry_seconds: float | None, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_seconds = retry_seconds
        self.refused = refused


class MediaUploader:
    """Uploads files for one process."""

    def __init__(self, *, database: Database, store: FileStore, graph: GraphClient, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._graph = graph
        self._clock = clock

    async def ensure_uploaded(self, file_id: int) -> str:
        """Returns Meta's id of an agent's file, which is uploaded unless Meta has it. Raises UploadFailed."""
        async with self._database.reading() as tx:
            row = await files.find(tx, file_id)
        if row is None or row.direction != "out" or row.size is None:
            raise UploadFailed("There is no such file any more.", None)
        if row.media_id and row.media_until is not None and row.media_until - UPLOAD_MARGIN > self._clock():
            return row.media_id
        media_id = await self._upload(row, row.size)
        expires_at = self._clock() + UPLOAD_LIFE
        await self._database.run(lambda tx: files.set_media_id(tx, file_id, media_id, expires_at))
        return media_id

    async def _upload(self, row: FileRow, size: int) -> str:
        try:
            pieces = await self._store.open(make_file_key(row.file_id))
        except NoFile:
            raise UploadFailed("Its bytes are no longer in the store of files.", None) from None
        except StoreDown as error:
            raise UploadFailed(str(error), STORE_DOWN_SECONDS) from None
        mime_type = normalize_mime_type(row.mime_type)
        answer = await self._graph.upload(pieces, mime_type=mime_type, filename=row.filename, size=size)
        return _read_media_id(answer)


def _read_media_id(answer: GraphResponse) -> str:
    """Returns the id in Meta's answer to an upload; raises UploadFailed when it has none."""
    if answer.error is not None:
        raise _to_upload_failed(answer.error)
    media_id = answer.value.get("id")
    if isinstance(media_id, str) and media_id and len(media_id) <= MAX_MEDIA_ID_CHARACTERS and media_id.isascii():
        return media_id
    reason = answer.failure or "Meta took the file and gave no id for it."
    raise UploadFailed(reason, NO_ANSWER_SECONDS, refused=answer.sent)


def _to_upload_failed(error: GraphError) -> UploadFailed:
    reason = ERROR_POLICIES[UPLOAD_ERROR_CODE].reason if error.code == INVALID_PARAMETER_CODE else error.reason
    may_pass = error.action in (Action.RETRY, Action.RETRY_AFTER, Action.STOP)
    return UploadFailed(reason, error.wait_seconds if may_pass else None, refused=error.action is Action.RETRY)
