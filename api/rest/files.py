"""Files over HTTP: read them, upload one, see where one stands and have it fetched again.

Invariants: bytes leave only for those who are signed in, checked at each request, in pieces, with headers under which
nothing that a stranger sent can act (`file_headers.py`); a file that is not there yet says why, and when it will be.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from quart import Response, request

from api.views.file_text import describe_file_state
from api.web.auth import GuardedBlueprint, Permission, caller, needs, takes_file
from api.web.fields import row_id
from api.web.file_headers import ANY_TYPE, HEAD_BYTES, NoSuchRange, byte_range, disposition, shown_type
from api.web.responses import Answer, Refusal, answer, gives, refusal
from api.web.uploads import UploadRefused, Uploads, take_uploads
from bot.clock import Clock
from bot.ids import IdMaker
from storage import audit, files
from storage.audit import Line
from storage.blobs.store import FileStore, NoFile, StoreDown, key_of
from storage.files import FileRow
from storage.sql.database import Database, Tx
from storage.statuses import FileState

SLOWEST_BYTES_PER_SECOND = 20_000
LEAST_SECONDS = 60.0
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "bytes",
}


class StoredFile(BaseModel):
    """A file, and where it stands. `told`: in words, "" when it is there."""

    id: str
    ticket_id: int | None
    reply_id: str | None
    direction: Literal["in", "out"]
    kind: str
    mime_type: str
    filename: str
    size: int | None
    state: FileState
    told: str
    created_at: datetime


def make_files(
    database: Database,
    store: FileStore,
    uploads: Uploads,
    ids: IdMaker,
    clock: Clock,
    ring: Callable[[], None] = lambda: None,
) -> GuardedBlueprint:
    """The routes under /api/files. `ring`: wakes this process's media transfer, if it has one."""
    blueprint = GuardedBlueprint("files", __name__, url_prefix="/api/files")
    blueprint.record_once(lambda state: take_uploads(state.app))  # type: ignore[arg-type]

    async def find(file_id: str) -> FileRow | None:
        async with database.reading() as tx:
            return await files.find(tx, row_id(file_id) or 0)

    @blueprint.get("/<file_id>")
    @needs(Permission.READ)
    async def read_file(file_id: str) -> Response:
        """The bytes. ?inline=1: to be shown in a page, which only a few types are."""
        row = await find(file_id)
        if row is None:
            return refusal(404)
        if row.state is not FileState.STORED or row.size is None:
            return refusal(409, describe_file_state(row))
        try:
            return await _bytes(store, row, row.size, inline=request.args.get("inline") == "1")
        except NoFile:
            return refusal(410, "Its bytes are no longer in the store of files")
        except StoreDown as error:
            return _store_down(error)

    @blueprint.get("/<file_id>/state")
    @needs(Permission.READ)
    @gives(Answer[StoredFile])
    @gives(Refusal, 404)
    async def read_state(file_id: str) -> Response:
        """Where a file stands."""
        row = await find(file_id)
        return refusal(404) if row is None else answer(Answer[StoredFile](data=shown(row)))

    @blueprint.post("/<file_id>/retry")
    @needs(Permission.CHANGE_TICKETS)
    @gives(Answer[StoredFile])
    @gives(Refusal, 404)
    @gives(Refusal, 409)
    async def retry(file_id: str) -> Response:
        """Have a file fetched now that could not be."""
        row = await find(file_id)
        if row is None:
            return refusal(404)
        if row.state not in (FileState.FAILED, FileState.WAITING, FileState.FETCHING):
            return refusal(
                409, f"Only a file that could not be fetched can be fetched again. {describe_file_state(row)}".strip()
            )
        now = clock()
        line = Line(ids.next(), now, caller().actor, "file.retry", row.file_id)

        async def again(tx: Tx) -> None:
            if await files.retry(tx, row.file_id, now):
                await audit.write(tx, line)

        await database.run(again)
        ring()
        tried = replace(row, state=FileState.WAITING) if row.state is FileState.FAILED else row
        return answer(Answer[StoredFile](data=shown(tried)))

    @blueprint.post("")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    @takes_file
    @gives(Answer[StoredFile], 201)
    @gives(Refusal, 413)
    @gives(Refusal, 422)
    async def upload() -> Response:
        """Upload a file, in a form, to be sent with a reply."""
        try:
            received = await uploads.receive(caller().actor, most_files=1)
        except UploadRefused as error:
            return refusal(error.status, str(error))
        except StoreDown as error:
            return _store_down(error)
        if not received.files:
            return refusal(422, "There is no file in the form: send it as the field file")
        return answer(Answer[StoredFile](data=shown(received.files[0])), 201)

    return blueprint


def shown(row: FileRow) -> StoredFile:
    """The file as the API tells of it."""
    return StoredFile(
        id=str(row.file_id),
        ticket_id=row.ticket_id,
        reply_id=None if row.reply_id is None else str(row.reply_id),
        direction=row.direction,
        kind=row.kind,
        mime_type=row.mime_type,
        filename=row.filename,
        size=row.size,
        state=row.state,
        told=describe_file_state(row),
        created_at=row.created_at,
    )


async def _bytes(store: FileStore, row: FileRow, size: int, *, inline: bool) -> Response:
    key, headers = key_of(row.file_id), {**HEADERS}
    try:
        part = byte_range(request.headers.get("Range", ""), size)
    except NoSuchRange:
        response = refusal(416, "The file has no such part")
        response.headers["Content-Range"] = f"bytes */{size}"
        return response
    head = b"".join([piece async for piece in await store.open(key, 0, min(HEAD_BYTES, size))])
    kind = shown_type(head, row.mime_type)
    inline = inline and kind != ANY_TYPE
    start, end = part or (0, size)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Disposition"] = disposition(inline, row.filename, row.file_id, kind)
    pieces = _nothing() if request.method == "HEAD" else await store.open(key, start, end)
    response = Response(pieces, 200 if part is None else 206, headers, content_type=kind if inline else ANY_TYPE)
    response.content_length = end - start
    response.timeout = LEAST_SECONDS + (end - start) / SLOWEST_BYTES_PER_SECOND
    return response


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for piece in none:
        yield piece


def _store_down(error: StoreDown) -> Response:
    response = refusal(503, str(error))
    response.headers["Retry-After"] = "15"
    return response
