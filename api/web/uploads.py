"""Takes the files that agents send in forms, from the socket to the store, and writes down what was taken.

Invariants
- Who sends the form is admitted before the first byte of a file is kept.
- What is too long, too slow, of a wrong type or cut off leaves nothing behind.
- The type of a file is decided once its first bytes are here, and before the others are read.
- A row announces the bytes before the first of them is kept, so that the clean-up finds them whatever happens to this
  process. The file is `stored` only once all of it is, with its line in the audit.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from werkzeug.exceptions import RequestTimeout
from werkzeug.sansio.multipart import Epilogue, Field, File

from api.web.multipart import MultipartForm, UploadRefused
from bot.clock import Clock
from bot.ids import IdMaker
from bot.whatsapp.messages.limits import Unsendable
from bot.whatsapp.messages.media_kinds import MEDIA_RULES, choose_media_kind
from bot.whatsapp.messages.media_types import HEAD_BYTES, recognize_mime_type
from bot.whatsapp.sanitize import clean_file_name, clean_mime_type
from storage import audit, files
from storage.audit import AuditLine
from storage.blobs.store import FileStore, StoreDown, make_file_key
from storage.files import FileRow
from storage.sql.database import Database, DatabaseDown, Tx
from storage.statuses import AuditAction, FileState

MAX_FILE_BYTES = MEDIA_RULES["document"].max_bytes
MAX_UPLOAD_SECONDS = 900.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """A form with its files, which are stored and have rows by now."""

    fields: Mapping[str, str]
    files: list[FileRow]


class Uploads:
    """Takes forms with files in them, for one process."""

    def __init__(self, *, database: Database, store: FileStore, ids: IdMaker, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._ids = ids
        self._clock = clock

    async def receive(
        self,
        actor: str,
        admit: Callable[[Mapping[str, str]], None] | None = None,
        *,
        max_files: int = 10,
        max_seconds: float = MAX_UPLOAD_SECONDS,
    ) -> Received:
        """Takes the form of this request. `admit` is called once, with the fields before the first file, and may raise.
        Raises UploadRefused, StoreDown, and HTTP's errors for what is no form, or takes longer than `max_seconds`."""
        form, fields, stored = MultipartForm(), dict[str, str](), list[FileRow]()
        is_admitted = admit is None
        try:
            async with asyncio.timeout(max_seconds):
                while not isinstance(event := await form.next_event(), Epilogue):
                    if isinstance(event, Field):
                        fields[event.name or ""] = await form.read_text()
                    elif isinstance(event, File):
                        if not event.filename:  # an <input type=file> that was left empty
                            await form.skip_empty()
                            continue
                        if admit is not None and not is_admitted:
                            admit(fields)
                            is_admitted = True
                        if len(stored) == max_files:
                            sentence = f"The form takes at most {max_files} file{'s' * (max_files > 1)}."
                            raise UploadRefused(422, sentence)
                        await self._store_file(event, form, stored)
            if admit is not None and not is_admitted:
                admit(fields)
            await self._record(actor, stored)
        except BaseException as error:
            await self._discard(stored)
            if isinstance(error, TimeoutError):
                raise RequestTimeout from None
            raise
        return Received(fields, stored)

    async def _store_file(self, part: File, form: MultipartForm, stored: list[FileRow]) -> None:
        """Brings one file into the store, and its row to `stored`: first announced, then whole."""
        file_id, name = self._ids.next(), clean_file_name(part.filename)
        pieces = form.pieces()
        start = await _read_start(pieces)
        claimed = clean_mime_type(part.headers.get("content-type", ""))
        mime_type = recognize_mime_type(claimed, name, start[:HEAD_BYTES])
        digest, size = hashlib.sha256(), 0

        async def measured_pieces() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in _chain(start, pieces):
                size += len(piece)
                if size > MAX_FILE_BYTES:
                    raise UploadRefused(413, f"The file is larger than {MAX_FILE_BYTES // 2**20} MB.")
                digest.update(piece)
                yield piece

        try:
            kind = choose_media_kind(mime_type, len(start), start)  # before a hundred megabytes of it are read
            now = self._clock()
            row = FileRow(
                file_id=file_id,
                direction="out",
                kind=kind,
                state=FileState.LOOSE,
                due_at=now,
                created_at=now,
                mime_type=mime_type,
                filename=name,
            )
            stored.append(row)
            await self._database.run(lambda tx: files.insert(tx, [row]))
            await self._store.put(make_file_key(file_id), measured_pieces())
            kind = choose_media_kind(mime_type, size, start)  # now that it is known how large it is
        except Unsendable as error:
            raise UploadRefused(422, str(error)) from None
        stored[-1] = replace(
            row, kind=kind, state=FileState.STORED, size=size, sha256=digest.hexdigest(), stored_at=self._clock()
        )

    async def _discard(self, rows: list[FileRow]) -> None:
        try:
            for row in rows:
                await self._store.delete(make_file_key(row.file_id))
            await self._database.run(lambda tx: files.delete_loose(tx, [row.file_id for row in rows]))
        except (StoreDown, DatabaseDown) as error:
            log.warning("upload_left_to_the_clean_up", error=str(error))

    async def _record(self, actor: str, rows: list[FileRow]) -> None:
        lines = [
            AuditLine(
                audit_id=self._ids.next(),
                at=row.created_at,
                actor=actor,
                action=AuditAction.FILE_UPLOAD,
                object_id=row.file_id,
                detail=f"{row.filename} ({row.size} bytes)",
            )
            for row in rows
        ]

        async def write(tx: Tx) -> None:
            if lines and not await audit.is_committed(tx, lines[0].audit_id):
                for row in rows:
                    await files.mark_uploaded(tx, row)
                for line in lines:
                    await audit.write(tx, line)

        if rows:
            await self._database.run(write)


async def _read_start(pieces: AsyncIterator[bytes]) -> bytes:
    """Reads the first HEAD_BYTES of a file, and what came with them; all of a shorter one."""
    start = bytearray()
    async for piece in pieces:
        start += piece
        if len(start) >= HEAD_BYTES:
            break
    return bytes(start)


async def _chain(start: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields what was read of a file already, then the rest."""
    if start:
        yield start
    async for piece in pieces:
        yield piece
