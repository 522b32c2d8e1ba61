"""Serves replies over REST: answers the customer on a ticket, reacts to them, shows all that was said.

Invariants
- A reply says where it stands and why: `delivery` is that of the messages that carry it, the least advanced where it
  took several. A customer's own words have none.
- What a customer changed afterwards still says what it said.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from quart import Response
from quart_schema import document_response, validate_request

from api.rest.errors import read_message_id
from api.services import services
from api.views.file_text import describe_file_state
from api.views.thread import ThreadEntry, read_entry, read_thread
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import ID_SCHEMA, Emoji, Id, Ids, OptionalLine, TicketId
from api.web.openapi import describe_blueprint, make_id_schema
from api.web.responses import Answer, Body, Refusal, respond
from bot.agents.errors import TicketNotFound
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS, clean
from flows.language.matching import is_blank
from storage import replies, tickets
from storage.files import FileRow
from storage.replies import StoredReply
from storage.statuses import FileState, OutboxStatus

blueprint = GuardedBlueprint("replies", __name__, url_prefix="/api/replies")
describe_blueprint(blueprint, "Replies", reply_id=make_id_schema("The id of a reply, as the list has it."))


class NewReply(Body):
    """An answer to the customer of a ticket."""

    ticket_id: TicketId = Field(description="The number of the ticket.", examples=[42])
    file_ids: Ids = Field(default=[], description="Files that were uploaded before, to be sent with it.")
    message: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, validate_default=True)] = Field(
        default="", description="What the customer reads; with files it may be empty.", examples=["We are on our way."]
    )
    author: OptionalLine = Field(default=None, description="The name of who answers.", examples=["Dana"])
    quote: Id | None = Field(default=None, description="The id of the customer's message that this one answers.")

    @field_validator("message")
    @classmethod
    def check_message(cls, text: str, info: ValidationInfo) -> str:
        """Checks that there is something to read, unless there are files, which speak for themselves."""
        text = clean(text).strip()
        if is_blank(text):
            if not info.data.get("file_ids"):
                raise ValueError("must hold something to read, unless there are files")
            return ""
        return text


class NewReaction(Body):
    """A reaction to a message of the customer."""

    emoji: Emoji = Field(description='One emoji, or "" to take the last one back.')


class FileShown(BaseModel):
    """A file on a ticket; its bytes are at /api/files/{id} once `state` is `stored`."""

    id: str = Field(description="The file's id.", json_schema_extra=ID_SCHEMA)
    name: str = Field(description="Its name, as whoever sent it had it.", examples=["printer.jpg"])
    mime_type: str = Field(description="What it is said to be.", examples=["image/jpeg"])
    size: int | None = Field(description="Its bytes; null while that is not known.")
    state: FileState = Field(description="Where it stands.")
    reason: str | None = Field(description="Why it is not there, as a sentence; null when it is.")


class Reply(BaseModel):
    """Something said on a ticket."""

    id: str = Field(description="The reply's id.", json_schema_extra=ID_SCHEMA)
    ticket_id: int = Field(description="The number of its ticket.")
    kind: Literal["message", "note"] = Field(description="A note is for agents, and is not sent to the customer.")
    author: Literal["customer", "agent", "bot"] = Field(description="Whose side said it.")
    message: str = Field(description="What was said; of what is no text, words in brackets.")
    changed: Literal["edited", "revoked"] | None = Field(description="What its writer did to it later.")
    late: bool = Field(description="Whether it came after what was said later.")
    files: list[FileShown] = Field(description="The files that came with it.")
    quoted: str | None = Field(description="The id of the reply that it answers.")
    whatsapp_message_id: str | None = Field(description="WhatsApp's id of it.", examples=["wamid.HBgLMTU1NTAwMDEyMzQ"])
    delivery: OutboxStatus | None = Field(description="Where it stands on its way; null for what is not sent.")
    reason: str | None = Field(description="Why `delivery` is what it is, as a sentence.")
    created_at: datetime = Field(description="When it was said, in UTC.")


class Reaction(BaseModel):
    """A reaction on its way."""

    id: str = Field(description="The reaction's id.", json_schema_extra=ID_SCHEMA)
    delivery: OutboxStatus | None = Field(description="Where it stands on its way.")


@blueprint.post("")
@needs(Permission.WRITE_TO_CUSTOMERS)
@validate_request(NewReply)
@document_response(Answer[Reply], 201)
@document_response(Refusal, 404)
@document_response(Refusal, 422)
async def add_reply(data: NewReply) -> Response:
    """Answer the customer on a ticket."""
    sent = await services().replies.write(
        caller().actor,
        data.ticket_id,
        data.message,
        author_name=data.author or "",
        file_ids=[int(file_id) for file_id in data.file_ids],
        quoted_id=int(data.quote) if data.quote else None,
    )
    return await respond_with_reply(sent.reply, 201)


@blueprint.get("/<ticket:ticket_id>")
@needs(Permission.READ)
@document_response(Answer[list[Reply]])
@document_response(Refusal, 404)
async def list_replies(ticket_id: int) -> Response:
    """Read all that was said on a ticket, the oldest first."""
    async with services().database.reading() as tx:
        ticket = await tickets.find(tx, ticket_id)
        if ticket is None:
            raise TicketNotFound
        thread = await read_thread(tx, ticket)
    return respond(Answer[list[Reply]](data=[_show_reply(entry) for entry in thread.entries]))


@blueprint.post("/<reply_id>/reaction")
@needs(Permission.WRITE_TO_CUSTOMERS)
@validate_request(NewReaction)
@document_response(Answer[Reaction])
@document_response(Refusal, 404)
@document_response(Refusal, 409)
@document_response(Refusal, 422)
async def react_to_message(reply_id: str, data: NewReaction) -> Response:
    """React to a message of the customer."""
    sent = await services().replies.react(caller().actor, read_message_id(reply_id), data.emoji)
    return respond(Answer[Reaction](data=Reaction(id=str(sent.outbox_id), delivery=sent.delivery)))


@blueprint.post("/<reply_id>/send-again")
@needs(Permission.WRITE_TO_CUSTOMERS)
@document_response(Answer[Reply])
@document_response(Refusal, 404)
@document_response(Refusal, 409)
async def send_reply_again(reply_id: str) -> Response:
    """Send a reply again of which it is not known whether the customer has it. They may get it twice."""
    return await respond_with_reply(await services().replies.send_again(caller().actor, read_message_id(reply_id)))


async def respond_with_reply(reply: StoredReply, status: int = 200) -> Response:
    """Answers with a reply of an agent as it now stands."""
    async with services().database.reading() as tx:
        entry = await read_entry(tx, reply)
    return respond(Answer[Reply](data=_show_reply(entry)), status)


def show_file(row: FileRow) -> FileShown:
    """Shows a file of a ticket."""
    return FileShown(
        id=str(row.file_id),
        name=row.filename,
        mime_type=row.mime_type,
        size=row.size,
        state=row.state,
        reason=describe_file_state(row) or None,
    )


def _show_reply(entry: ThreadEntry) -> Reply:
    reply = entry.reply
    return Reply.model_validate(
        {
            "id": str(reply.reply_id),
            "ticket_id": reply.ticket_id,
            "kind": reply.kind,
            "author": replies.find_side(reply),
            "message": reply.message,
            "changed": reply.changed or None,
            "late": reply.late,
            "files": [show_file(row) for row in entry.files],
            "quoted": str(entry.quoted.reply_id) if entry.quoted else None,
            "whatsapp_message_id": entry.wamid,
            "delivery": entry.delivery,
            "reason": entry.reason or None,
            "created_at": reply.written_at,
        }
    )
