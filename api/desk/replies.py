"""The forms with which agents write to a customer: answers, requests, reactions, what is sent or fetched again.

Invariants: what an agent wrote comes back to them whatever goes wrong; a form that is sent twice acts once.
"""

from dataclasses import replace

from pydantic import TypeAdapter, ValidationError
from quart import Response
from werkzeug.wrappers import Response as AnyResponse

from api.desk.errors import CHOOSE_AN_EMOJI, SENTENCES
from api.desk.guard import form_field, upload_refused
from api.desk.pages import go_to
from api.desk.sessions import Sessions
from api.desk.ticket import TicketPage, read_draft
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import Emoji, Text, read_id
from bot.agents.errors import ErrorCode, MessageNotFound
from bot.agents.files import FileCommands
from bot.agents.replies import ReplyCommands, Request
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS
from storage import files
from storage.sql.database import Database
from storage.statuses import FileState

TEXT: TypeAdapter[str] = TypeAdapter(Text)
EMOJI: TypeAdapter[str] = TypeAdapter(Emoji)
TOO_LONG = "The answer is too long."
NOTHING = "There is nothing to read in the answer yet."
ASKED: dict[Request, str] = {
    "location": "Where are you? Please share your location.",
    "contact": "May we have your phone number?",
}


def add_writing(
    blueprint: GuardedBlueprint,
    sessions: Sessions,
    ticket_page: TicketPage,
    commands: ReplyCommands,
    file_commands: FileCommands,
    database: Database,
) -> None:
    """The routes for what agents write."""

    async def author() -> str:
        agent = await sessions.find_agent()
        return agent.name if agent else ""

    @blueprint.post("/desk/tickets/<ticket:ticket_id>")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    async def compose(ticket_id: int) -> Response:
        """The page again, with a message to be quoted, and all that was written so far."""
        draft = replace(read_draft(), quoted_id=read_id(form_field("quote_this")))
        return await ticket_page.show(ticket_id, draft=draft)

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/replies")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    async def answer(ticket_id: int) -> Response | AnyResponse:
        """Answers the customer."""
        draft = read_draft()
        if says := upload_refused():
            return await ticket_page.show(ticket_id, 422, f"The answer was not sent. {says}", draft)
        try:
            message = TEXT.validate_python(draft.text) if draft.text.strip() or not draft.file_ids else ""
            await commands.write(
                caller().actor,
                ticket_id,
                message,
                author_name=await author(),
                file_ids=draft.file_ids,
                quoted_id=draft.quoted_id,
                idempotency_id=read_id(form_field("idempotency_id")),
            )
        except ValidationError:
            says = TOO_LONG if len(draft.text) > MAX_TEXT_CHARACTERS else NOTHING
            return await ticket_page.show(ticket_id, 422, says, draft)
        return go_to(f"/desk/tickets/{ticket_id}#end")

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/ask")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    async def request_it(ticket_id: int) -> Response | AnyResponse:
        """Asks for a location or a contact, in the agent's words or in ours."""
        draft = read_draft()
        wanted = next((each for each in ASKED if each == form_field("for")), None)
        if wanted is None:
            return await ticket_page.show(ticket_id, 422, "Choose what to ask for.", draft)
        try:
            text = TEXT.validate_python(draft.text if draft.text.strip() else ASKED[wanted])
            await commands.ask(
                caller().actor,
                ticket_id,
                wanted,
                text=text,
                author_name=await author(),
                idempotency_id=read_id(form_field("ask_idempotency_id")),
            )
        except ValidationError:
            return await ticket_page.show(
                ticket_id, 422, TOO_LONG if len(draft.text) > MAX_TEXT_CHARACTERS else NOTHING, draft
            )
        return go_to(f"/desk/tickets/{ticket_id}#end")

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/replies/<reply_id>/reaction")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    async def react(ticket_id: int, reply_id: str) -> Response | AnyResponse:
        """Reacts to a message of the customer."""
        try:
            emoji = EMOJI.validate_python(form_field("emoji"))
            idempotency_id = read_id(form_field("idempotency_id"))
            await commands.react(caller().actor, read_id(reply_id) or 0, emoji, idempotency_id=idempotency_id)
        except ValidationError:
            return await ticket_page.show(ticket_id, 422, CHOOSE_AN_EMOJI)
        return go_to(f"/desk/tickets/{ticket_id}#said-{reply_id}")

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/replies/<reply_id>/send-again")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    async def send_again(ticket_id: int, reply_id: str) -> Response | AnyResponse:
        """Sends an answer again of which it is not known whether the customer has it."""
        try:
            idempotency_id = read_id(form_field("idempotency_id"))
            await commands.send_again(caller().actor, read_id(reply_id) or 0, idempotency_id=idempotency_id)
        except MessageNotFound:
            return await ticket_page.show(ticket_id, 409, SENTENCES[ErrorCode.NOT_IN_DOUBT])
        return go_to(f"/desk/tickets/{ticket_id}#said-{reply_id}")

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/files/<file_id>/retry")
    @needs(Permission.CHANGE_TICKETS)
    async def fetch_again(ticket_id: int, file_id: str) -> Response | AnyResponse:
        """Has a file fetched again that could not be."""
        async with database.reading() as tx:
            found = await files.find(tx, read_id(file_id) or 0)
        if found is None or found.ticket_id != ticket_id or found.state is not FileState.FAILED:
            return await ticket_page.show(ticket_id, 409, "This file can't be fetched again.")
        await file_commands.retry(caller().actor, found.file_id)
        return go_to(f"/desk/tickets/{ticket_id}")
