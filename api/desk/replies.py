"""Serves the forms with which agents write to a customer: answers, requests, reactions, and what is sent or fetched
again.

Invariants
- What an agent wrote comes back to them whatever goes wrong.
- A form that is sent twice acts once: it carries an idempotency id, which was made with the page.
"""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError
from quart import Response

from api.desk.composer import check_message, read_composer_draft
from api.desk.errors import CHOOSE_AN_EMOJI
from api.desk.form_ids import read_form_id
from api.desk.forms import FormRefused, form_field, sent_form
from api.desk.pages import AnyResponse, go_to
from api.desk.services import desk_services
from api.desk.ticket_page import show_ticket_page
from api.services import services
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import Emoji, read_id
from bot.agents.replies import Request
from storage import files
from storage.file_fetches import FETCHED_ON_DEMAND

# What a customer is asked where the agent wrote nothing.
USUAL_QUESTIONS: Mapping[Request, str] = {
    "location": "Where are you? Please share your location.",
    "contact": "May we have your phone number?",
}
NO_ID = 0  # no row has it
_EMOJI: TypeAdapter[str] = TypeAdapter(Emoji)

blueprint = GuardedBlueprint("replies", __name__, url_prefix="/desk/tickets/<ticket:ticket_id>")


@blueprint.post("")
@needs(Permission.WRITE_TO_CUSTOMERS)
async def choose_quote(ticket_id: int) -> Response:
    """Shows the page again with a message to be quoted, and all that was written so far."""
    draft = replace(read_composer_draft(), quoted_id=read_id(form_field("quote_this")))
    return await show_ticket_page(ticket_id, draft=draft)


@blueprint.post("/replies")
@needs(Permission.WRITE_TO_CUSTOMERS)
async def answer_customer(ticket_id: int) -> AnyResponse:
    """Answers the customer, with files or without."""
    if problem := sent_form().upload_problem:
        raise FormRefused(f"The answer was not sent. {problem}")
    draft = read_composer_draft()
    has_files_alone = draft.file_ids and not draft.text.strip()
    await services().replies.write(
        caller().actor,
        ticket_id,
        "" if has_files_alone else check_message(draft.text),
        author_name=await _find_author_name(),
        file_ids=draft.file_ids,
        quoted_id=draft.quoted_id,
        idempotency_id=read_form_id(ticket_id),
    )
    return go_to(f"/desk/tickets/{ticket_id}#end")


@blueprint.post("/ask")
@needs(Permission.WRITE_TO_CUSTOMERS)
async def ask_customer(ticket_id: int) -> AnyResponse:
    """Asks for a location or a contact, in the agent's words or in ours."""
    wanted = _read_request()
    text = form_field("message")
    await services().replies.ask(
        caller().actor,
        ticket_id,
        wanted,
        text=check_message(text if text.strip() else USUAL_QUESTIONS[wanted]),
        author_name=await _find_author_name(),
        idempotency_id=read_form_id(ticket_id, "ask_idempotency_id"),
    )
    return go_to(f"/desk/tickets/{ticket_id}#end")


@blueprint.post("/replies/<reply_id>/reaction")
@needs(Permission.WRITE_TO_CUSTOMERS)
async def react(ticket_id: int, reply_id: str) -> AnyResponse:
    """Reacts to a message of the customer."""
    emoji, idempotency_id = _read_emoji(), read_form_id(ticket_id)
    await services().replies.react(caller().actor, read_id(reply_id) or NO_ID, emoji, idempotency_id=idempotency_id)
    return go_to(f"/desk/tickets/{ticket_id}#entry-{reply_id}")


@blueprint.post("/replies/<reply_id>/send-again")
@needs(Permission.WRITE_TO_CUSTOMERS)
async def send_again(ticket_id: int, reply_id: str) -> AnyResponse:
    """Sends an answer again of which it is not known whether the customer has it."""
    idempotency_id = read_form_id(ticket_id)
    await services().replies.send_again(caller().actor, read_id(reply_id) or NO_ID, idempotency_id=idempotency_id)
    return go_to(f"/desk/tickets/{ticket_id}#entry-{reply_id}")


@blueprint.post("/files/<file_id>/retry")
@needs(Permission.CHANGE_TICKETS)
async def fetch_file_again(ticket_id: int, file_id: str) -> AnyResponse:
    """Has a file of the customer fetched now that could not be, or that was left at Meta."""
    async with services().database.reading() as tx:
        found = await files.find(tx, read_id(file_id) or NO_ID)
    if found is None or found.ticket_id != ticket_id or found.state not in FETCHED_ON_DEMAND:
        raise FormRefused("This file can't be fetched again.", status=409)
    await services().files.retry(caller().actor, found.file_id)
    return go_to(f"/desk/tickets/{ticket_id}")


def _read_request() -> Request:
    wanted = next((request for request in USUAL_QUESTIONS if request == form_field("for")), None)
    if wanted is None:
        raise FormRefused("Choose what to ask for.")
    return wanted


def _read_emoji() -> str:
    try:
        return _EMOJI.validate_python(form_field("emoji"))
    except ValidationError:
        raise FormRefused(CHOOSE_AN_EMOJI) from None


async def _find_author_name() -> str:
    agent = await desk_services().sessions.find_agent()
    return agent.name if agent else ""
