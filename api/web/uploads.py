"""Files that agents send in forms: from the socket to the store, piece by piece.

Invariants: a piece is taken from the socket when the one before is in the store, so memory is the same for any file;
who sends the form is admitted before the first byte of a file is kept; what is too long, too slow, of a wrong type or
cut off leaves nothing behind; a row announces the bytes before the first of them is kept, so that whatever happens to
this process, the clean-up finds them; the file is `stored` only once all of it is, with its line in the audit.
"""

import asyncio
import contextlib
import hashlib
import mimetypes
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from quart import Quart, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, RequestTimeout
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from api.server.serving import LINGER_SECONDS, READ_SECONDS
from bot.clock import Clock
from bot.ids import IdMaker
from bot.whatsapp.messages.limits import Unsendable
from bot.whatsapp.messages.media_kinds import MEDIA_RULES, choose_media_kind
from bot.whatsapp.sanitize import clean_file_name, clean_mime_type
from storage import audit, files
from storage.audit import Line
from storage.blobs.store import FileStore, StoreDown, key_of
from storage.files import FileRow
from storage.sql.database import Database, DatabaseDown, Tx
from storage.statuses import FileState

PATHS = re.compile(r"/api/files|/desk/tickets/[0-9]+/replies")
BODY = "tick.upload"
PIECE_BYTES = 64 * 1024
MOST_PARTS = 40
MOST_FIELD_BYTES = 300_000  # of all fields together: the longest answer in the longest writing is 262 kB
MOST_BYTES = MEDIA_RULES["document"].max_bytes
ALL_SECONDS = 900.0
log = structlog.get_logger(__name__)


class UploadRefused(Exception):
    """The form can't be taken. `status` is HTTP's; the text is a sentence for who sent it."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


@dataclass(frozen=True, slots=True)
class Received:
    """A form: its fields, and its files, which are stored and have rows."""

    fields: Mapping[str, str]
    files: list[FileRow]


def take_uploads(app: Quart) -> None:
    """Puts the door for large forms in front of the application."""
    app.asgi_app = _Door(app.asgi_app)  # type: ignore[method-assign,assignment]  # Quart's own place for it


class Uploads:
    """Takes forms with files in them."""

    def __init__(self, database: Database, store: FileStore, ids: IdMaker, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._ids = ids
        self._clock = clock

    async def receive(
        self, actor: str, admit: Callable[[Mapping[str, str]], None] | None = None, *, most_files: int = 10
    ) -> Received:
        """The form of this request. `admit` is called once, with the fields before the first file, and may raise.
        Raises UploadRefused, StoreDown, and HTTP's errors for what is no form."""
        form, fields, kept = _Form(), dict[str, str](), list[FileRow]()
        admitted = admit is None
        try:
            async with asyncio.timeout(ALL_SECONDS):
                while not isinstance(event := await form.event(), Epilogue):
                    if isinstance(event, Field):
                        fields[event.name or ""] = await form.text()
                    elif isinstance(event, File):
                        if not event.filename:  # an <input type=file> that was left empty
                            await form.skip()
                            continue
                        if admit is not None and not admitted:
                            admit(fields)
                            admitted = True
                        if len(kept) == most_files:
                            raise UploadRefused(422, f"There are more than {most_files} files in the form.")
                        await self._keep(event, form, kept)
            if admit is not None and not admitted:
                admit(fields)
            await self._file(actor, kept)
        except BaseException as error:
            await self._drop(kept)
            if isinstance(error, TimeoutError):
                raise RequestTimeout from None
            raise
        return Received(fields, kept)

    async def _keep(self, part: File, form: "_Form", kept: list[FileRow]) -> None:
        file_id, name = self._ids.next(), clean_file_name(part.filename)
        claimed = part.headers.get("content-type", "")
        if claimed in ("", "application/octet-stream"):
            claimed = mimetypes.guess_type(name)[0] or claimed
        kind_of_file = clean_mime_type(claimed)
        digest, size = hashlib.sha256(), 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in form.pieces():
                size += len(piece)
                if size > MOST_BYTES:
                    raise UploadRefused(413, f"The file is larger than {MOST_BYTES // 2**20} MB.")
                digest.update(piece)
                yield piece

        try:
            kind = choose_media_kind(kind_of_file, 1)  # before a hundred megabytes of it are read
            now = self._clock()
            row = FileRow(file_id, "out", kind, FileState.LOOSE, now, now, mime_type=kind_of_file, filename=name)
            kept.append(row)
            await self._database.run(lambda tx: files.insert(tx, [row]))
            await self._store.put(key_of(file_id), pieces())
            kind = choose_media_kind(kind_of_file, size)  # now that it is known how large it is
        except Unsendable as error:
            raise UploadRefused(422, str(error)) from None
        kept[-1] = replace(
            row, kind=kind, state=FileState.STORED, size=size, sha256=digest.hexdigest(), stored_at=self._clock()
        )

    async def _drop(self, rows: list[FileRow]) -> None:
        try:
            for row in rows:
                await self._store.delete(key_of(row.file_id))
            await self._database.run(lambda tx: files.forget(tx, [row.file_id for row in rows]))
        except (StoreDown, DatabaseDown) as error:
            log.warning("upload_left_to_the_clean_up", error=str(error))

    async def _file(self, actor: str, rows: list[FileRow]) -> None:
        lines = [
            Line(
                self._ids.next(),
                row.created_at,
                actor,
                "file.upload",
                row.file_id,
                f"{row.filename} ({row.size} bytes)",
            )
            for row in rows
        ]

        async def write(tx: Tx) -> None:
            if lines and not await audit.landed(tx, lines[0].audit_id):
                for row in rows:
                    await files.uploaded(tx, row)
                for line in lines:
                    await audit.write(tx, line)

        if rows:
            await self._database.run(write)


class _Form:
    """The form of this request, event by event."""

    def __init__(self) -> None:
        boundary = request.mimetype_params.get("boundary", "")
        body: Any = request.scope.get(BODY)
        if not boundary or body is None:
            raise UploadRefused(422, "Send the file in a form, with Content-Type: multipart/form-data.")
        self._body: AsyncIterator[bytes] = body
        self._decoder = MultipartDecoder(
            boundary.encode("latin-1", "replace"), 4 * PIECE_BYTES + MOST_FIELD_BYTES, max_parts=MOST_PARTS
        )
        self._text_left = MOST_FIELD_BYTES

    async def event(self) -> Event:
        """What comes next; raises BadRequest when it is no form."""
        while True:
            try:
                event = self._decoder.next_event()
            except ValueError:  # a UnicodeDecodeError is one
                raise BadRequest from None
            if not isinstance(event, NeedData):
                return event
            try:
                self._decoder.receive_data(await anext(self._body))
            except StopAsyncIteration:
                self._decoder.receive_data(None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What the part holds."""
        while isinstance(event := await self.event(), Data):
            if event.data:
                yield event.data
            if not event.more_data:
                return
        raise BadRequest

    async def text(self) -> str:
        """A field's value."""
        held = bytearray()
        async for piece in self.pieces():
            held += piece
            if len(held) > self._text_left:
                raise RequestEntityTooLarge
        self._text_left -= len(held)
        return held.decode("utf-8", "replace")

    async def skip(self) -> None:
        """The part is of no interest."""
        async for piece in self.pieces():
            if piece:
                raise UploadRefused(422, "One of the files has no name.")


class _Door:
    """ASGI: large forms are not read ahead. The framework is told that there is no body, and the view pulls it."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if BODY not in scope and _is_large(scope):
            body = _Body(receive)
            await self._application({**scope, BODY: body}, body.after, body.before(send))
        else:
            await self._application(scope, receive, send)


def _is_large(scope: Mapping[str, Any]) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST" or not PATHS.fullmatch(scope["path"]):
        return False
    kinds = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
    return len(kinds) == 1 and kinds[0].lower().startswith(b"multipart/form-data")


class _Body:
    """What the socket has, pulled."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._begun = False
        self._ended = asyncio.Event()
        self._left = b""

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        while not self._left:
            if self._ended.is_set():
                raise StopAsyncIteration
            try:
                message = await asyncio.wait_for(self._receive(), READ_SECONDS)
            except TimeoutError:
                raise RequestTimeout from None
            if message["type"] != "http.request":
                raise BadRequest  # hung up: nobody reads the answer
            self._left = bytes(message.get("body", b""))
            if not message.get("more_body", False):
                self._ended.set()
        piece, self._left = self._left[:PIECE_BYTES], self._left[PIECE_BYTES:]
        return piece

    def before(self, send: Any) -> Any:
        """`send` for a client that may be refused before it has sent all: the rest is heard out as of any request, or
        it is told that this connection is over."""

        async def told(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                with contextlib.suppress(BadRequest, RequestTimeout, TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        async for _ in self:
                            pass
                if not self._ended.is_set():
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        return told

    async def after(self) -> Any:
        """What the framework is told: an empty body, and later that the other side has gone."""
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._ended.wait()
        return await self._receive()
