"""Serves files over REST: sends them, takes uploads, says where one stands and has it fetched again.

Invariants
- Bytes leave only for those who are signed in, checked at each request, in pieces, with headers under which nothing
  that a stranger sent can act (`file_headers.py`).
- A file that is not there yet says why, and when it will be.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field
from quart import Response, abort, request
from quart_schema import DataSource, document_headers, document_querystring, document_request, document_response

from api.services import services
from api.views.file_text import describe_file_state
from api.web.auth import GuardedBlueprint, Permission, caller, needs, takes_file
from api.web.fields import ID_SCHEMA, read_id
from api.web.file_headers import (
    HEAD_BYTES,
    INLINE_TYPES,
    NoSuchRange,
    choose_inline_type,
    make_content_disposition,
    parse_range,
)
from api.web.multipart import UploadRefused
from api.web.openapi import answers_with, describe_blueprint, make_id_schema
from api.web.responses import Answer, Refusal, refuse, respond
from bot.whatsapp.messages.media_types import ANY_TYPE
from storage import files
from storage.blobs.store import NoFile, StoreDown, make_file_key
from storage.file_fetches import FETCHED_ON_DEMAND
from storage.files import FileRow
from storage.statuses import FileState

# A reader slower than this is cut off: who reads a byte now and then would keep a connection for ever.
MIN_BYTES_PER_SECOND = 20_000
MIN_TIMEOUT_SECONDS = 60.0
RETRIABLE = FETCHED_ON_DEMAND | {FileState.WAITING, FileState.FETCHING}
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "bytes",
}
SENT_TYPES = (ANY_TYPE, *INLINE_TYPES)
blueprint = GuardedBlueprint("files", __name__, url_prefix="/api/files")
describe_blueprint(
    blueprint, "Files", file_id=make_id_schema("The id of a file, as a reply, a ticket or an upload has it.")
)


class StoredFile(BaseModel):
    """A file, and where it stands."""

    id: str = Field(description="The file's id.", json_schema_extra=ID_SCHEMA)
    ticket_id: int | None = Field(description="The number of the ticket that it is on.")
    reply_id: str | None = Field(description="The id of the reply that it came with.")
    direction: Literal["in", "out"] = Field(description="`in`: from a customer; `out`: for one.")
    kind: str = Field(description="As what WhatsApp shows it.", examples=["image"])
    mime_type: str = Field(description="What it is said to be.", examples=["image/jpeg"])
    filename: str = Field(description="Its name, as whoever sent it had it.", examples=["printer.jpg"])
    size: int | None = Field(description="Its bytes; null while that is not known.")
    state: FileState = Field(description="Where it stands; its bytes can be read once it is `stored`.")
    told: str = Field(description='Why it is not there, as a sentence; "" when it is.')
    created_at: datetime = Field(description="When it was announced, in UTC.")


class UploadForm(BaseModel):
    """A form with one file."""

    file: bytes = Field(description="The file, with its name and its content type.")


class FileQuery(BaseModel):
    """How to send a file."""

    inline: Literal["1"] | None = Field(default=None, description="To be shown in a page, which only some types are.")


class FileHeaders(BaseModel):
    """Which part of a file to send."""

    range: str | None = Field(default=None, description="One part of it.", examples=["bytes=0-1023"])


@blueprint.get("/<file_id>")
@needs(Permission.READ)
@document_querystring(FileQuery)
@document_headers(FileHeaders)
@answers_with(200, *SENT_TYPES, description="The bytes. All but pictures, sounds and videos come as octet-stream.")
@answers_with(206, *SENT_TYPES, description="The part that the header `Range` asks for; `Content-Range` says which.")
@document_response(Refusal, 409)
@document_response(Refusal, 410)
@document_response(Refusal, 416)
async def read_file(file_id: str) -> Response:
    """Read the bytes of a file, or of a part of it."""
    row = await _find(file_id)
    if row.state is not FileState.STORED or row.size is None:
        return refuse(409, describe_file_state(row))
    return await _send(row, row.size, inline=request.args.get("inline") == "1")


@blueprint.get("/<file_id>/state")
@needs(Permission.READ)
@document_response(Answer[StoredFile])
@document_response(Refusal, 404)
async def read_file_state(file_id: str) -> Response:
    """See where a file stands."""
    return _respond_with_file(await _find(file_id))


@blueprint.post("/<file_id>/retry")
@needs(Permission.CHANGE_TICKETS)
@document_response(Answer[StoredFile])
@document_response(Refusal, 404)
@document_response(Refusal, 409)
async def fetch_file_again(file_id: str) -> Response:
    """Have a file fetched now that could not be, or that was left at Meta because its customer had sent so many."""
    row = await _find(file_id)
    if row.state not in RETRIABLE:
        reason = f"Only a file that could not be fetched can be fetched again. {describe_file_state(row)}"
        return refuse(409, reason.strip())
    await services().files.retry(caller().actor, row.file_id)
    if row.state in FETCHED_ON_DEMAND:
        row = replace(row, state=FileState.WAITING)
    return _respond_with_file(row)


@blueprint.post("")
@needs(Permission.WRITE_TO_CUSTOMERS)
@takes_file
@document_request(UploadForm, source=DataSource.FORM_MULTIPART)
@document_response(Answer[StoredFile], 201)
async def upload_file() -> Response:
    """Upload a file, in a form, to be sent with a reply."""
    received = await services().uploads.receive(caller().actor.name, max_files=1)
    if not received.files:
        return refuse(422, "There is no file in the form: send it as the field file")
    return _respond_with_file(received.files[0], 201)


@blueprint.errorhandler(UploadRefused)
async def refuse_upload(error: UploadRefused) -> Response:
    """The form can't be taken, for a reason that its sender can fix."""
    return refuse(error.status, str(error))


@blueprint.errorhandler(NoFile)
async def refuse_lost_file(_error: NoFile) -> Response:
    """There is a row of the file, and no bytes."""
    return refuse(410, "Its bytes are no longer in the store of files")


@blueprint.errorhandler(StoreDown)
async def refuse_for_now(error: StoreDown) -> Response:
    """The store can't be reached just now."""
    response = refuse(503, str(error))
    response.headers["Retry-After"] = "15"
    return response


async def _find(file_id: str) -> FileRow:
    async with services().database.reading() as tx:
        row = await files.find(tx, read_id(file_id) or 0)
    if row is None:
        abort(404)
    return row


def _respond_with_file(row: FileRow, status: int = 200) -> Response:
    shown = StoredFile(
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
    return respond(Answer[StoredFile](data=shown), status)


async def _send(row: FileRow, size: int, *, inline: bool) -> Response:
    """Sends the file, or the part of it that is asked for; raises NoFile, StoreDown."""
    store, key, headers = services().store, make_file_key(row.file_id), {**HEADERS}
    try:
        part = parse_range(request.headers.get("Range", ""), size)
    except NoSuchRange:
        response = refuse(416, "The file has no such part")
        response.headers["Content-Range"] = f"bytes */{size}"
        return response
    head = b"".join([piece async for piece in await store.open(key, 0, min(HEAD_BYTES, size))])
    kind = choose_inline_type(head, row.mime_type)
    inline = inline and kind != ANY_TYPE
    start, end = part or (0, size)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    named_as = row.mime_type if kind == ANY_TYPE else kind
    headers["Content-Disposition"] = make_content_disposition(inline, row.filename, row.file_id, named_as)
    pieces = _read_nothing() if request.method == "HEAD" else await store.open(key, start, end)
    response = Response(pieces, 200 if part is None else 206, headers, content_type=kind if inline else ANY_TYPE)
    response.content_length = end - start
    response.timeout = MIN_TIMEOUT_SECONDS + (end - start) / MIN_BYTES_PER_SECOND
    return response


async def _read_nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for piece in none:
        yield piece
