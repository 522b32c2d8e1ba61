"""Answers every error of the desk with a page: on the ticket's page where there is one, with what the agent wrote.

Invariants
- ANSWERS and ANSWERS_BY_VIEW are the one table of what an error of the agents' commands is at the desk.
- Whatever goes wrong inside leaves as a page, too, and tells nothing of the inside.
"""

from collections.abc import Mapping
from typing import NamedTuple

from quart import Response, request
from werkzeug.exceptions import HTTPException

from api.desk.composer import ComposerDraft, read_composer_draft
from api.desk.forms import FormRefused
from api.desk.pages import show_refusal
from api.desk.ticket_page import show_ticket_page
from api.views.ticket_text import STATUS_LABELS
from api.web.auth import GuardedBlueprint
from api.web.responses import ROWS_HELD
from bot.agents.errors import AgentError, ErrorCode, IllegalStatusChange, TicketNotFound
from storage.sql.database import DatabaseDown, RowsHeld

CHOOSE_AN_EMOJI = "Choose an emoji, and a message of the customer."


class ErrorAnswer(NamedTuple):
    """What the desk answers an error with: HTTP's status, and the sentence on the ticket's page. {reason} is the
    error's own sentence, {current} and {wanted} are the statuses of a change that is not legal."""

    status: int
    sentence: str


NOT_IN_DOUBT = ErrorAnswer(409, "Nothing of this answer waits to be sent again.")
# A code that is not here is answered by a page of its own: there is no ticket to show.
ANSWERS: Mapping[ErrorCode, ErrorAnswer] = {
    ErrorCode.UNUSABLE_VALUE: ErrorAnswer(422, "The answer was not sent: {reason}."),
    ErrorCode.ILLEGAL_STATUS_CHANGE: ErrorAnswer(409, "A ticket that is {current} can't become {wanted}."),
    ErrorCode.WINDOW_CLOSED: ErrorAnswer(
        409, "The customer has not written for 24 hours: WhatsApp takes this only after they have."
    ),
    ErrorCode.NOT_ON_WHATSAPP: ErrorAnswer(409, "This ticket has no customer on WhatsApp."),
    ErrorCode.NOT_IN_DOUBT: NOT_IN_DOUBT,
}
# What the same code is where a view has a better word for it.
ANSWERS_BY_VIEW: Mapping[tuple[str, ErrorCode], ErrorAnswer] = {
    ("react", ErrorCode.UNUSABLE_VALUE): ErrorAnswer(422, CHOOSE_AN_EMOJI),
    ("send_again", ErrorCode.NOT_FOUND): NOT_IN_DOUBT,
}


def add_error_handlers(blueprint: GuardedBlueprint) -> None:
    """Has every error in a view of this blueprint, or of one nested in it, answered with a page."""
    blueprint.register_error_handler(AgentError, answer_agent_error)
    blueprint.register_error_handler(FormRefused, answer_refused_form)
    blueprint.register_error_handler(HTTPException, answer_http_error)
    blueprint.register_error_handler(RowsHeld, answer_held_rows)
    blueprint.register_error_handler(DatabaseDown, answer_database_down)


async def answer_agent_error(error: AgentError) -> Response:
    """Answers an error of the agents' commands."""
    found = find_answer(error, (request.endpoint or "").rpartition(".")[2])
    if found is None:
        return show_refusal(404)
    draft = read_composer_draft()
    if error.code is ErrorCode.UNUSABLE_VALUE:
        draft = ComposerDraft(text=draft.text)  # it was the quote or a file: with them the next try would fail alike
    return await _show_on_ticket_page(found, draft)


async def answer_refused_form(error: FormRefused) -> Response:
    """Answers a form that asks for what can't be done."""
    return await _show_on_ticket_page(ErrorAnswer(error.status, error.sentence), read_composer_draft())


async def answer_http_error(error: HTTPException) -> Response:
    """Answers an error that is HTTP's own, or an exception that nobody expected, which comes as a 500."""
    return show_refusal(error.code or 500)


async def answer_held_rows(_error: RowsHeld) -> Response:
    """Answers while another session holds what the agent wanted to change: what they wrote stays on the page."""
    if "ticket_id" not in (request.view_args or {}):
        return show_refusal(503, f"{ROWS_HELD}.")
    return await _show_on_ticket_page(ErrorAnswer(503, f"{ROWS_HELD}."), read_composer_draft())


async def answer_database_down(_error: DatabaseDown) -> Response:
    """Answers while the database can't be reached."""
    return show_refusal(503)


def find_answer(error: AgentError, view: str) -> ErrorAnswer | None:
    """Finds what the ticket's page says of an error in this view; None where there is no ticket to show."""
    found = ANSWERS_BY_VIEW.get((view, error.code)) or ANSWERS.get(error.code)
    if found is None:
        return None
    words = {"reason": error.sentence}
    if isinstance(error, IllegalStatusChange):
        words |= {"current": STATUS_LABELS[error.current].lower(), "wanted": STATUS_LABELS[error.wanted].lower()}
    return ErrorAnswer(found.status, found.sentence.format(**words))


async def _show_on_ticket_page(answer: ErrorAnswer, draft: ComposerDraft) -> Response:
    ticket_id = (request.view_args or {})["ticket_id"]
    try:
        return await show_ticket_page(ticket_id, status=answer.status, problem=answer.sentence, draft=draft)
    except TicketNotFound:
        return show_refusal(404)
    except DatabaseDown:
        return show_refusal(503)
