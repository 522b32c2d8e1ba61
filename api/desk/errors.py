"""Says on the ticket's page why a change could not be made, and gives back what the agent wrote."""

from collections.abc import Mapping

from quart import Response, request

from api.desk.guard import form_field
from api.desk.pages import Pages
from api.desk.ticket import Draft, TicketPage, read_draft
from api.views.ticket_text import STATUS_LABELS
from api.web.auth import GuardedBlueprint
from bot.agents.errors import AgentError, ErrorCode, IllegalStatusChange, TicketNotFound
from storage.sql.database import DatabaseDown

CHOOSE_AN_EMOJI = "Choose an emoji, and a message of the customer."
SENTENCES: Mapping[ErrorCode, str] = {
    ErrorCode.WINDOW_CLOSED: "The customer has not written for 24 hours: WhatsApp takes this only after they have.",
    ErrorCode.NOT_ON_WHATSAPP: "This ticket has no customer on WhatsApp.",
    ErrorCode.NOT_IN_DOUBT: "Nothing of this answer waits to be sent again.",
}


def add_agent_errors(blueprint: GuardedBlueprint, pages: Pages, ticket_page: TicketPage) -> None:
    """Answers every error of the agents' commands, for all routes under /desk/tickets."""

    @blueprint.errorhandler(AgentError)
    async def show_agent_error(error: AgentError) -> Response:
        if error.code is ErrorCode.NOT_FOUND:
            return pages.refuse(404)
        is_unusable = error.code is ErrorCode.UNUSABLE_VALUE
        # what can't be used was a quote or a file: the words alone go back, or the next try would fail alike
        draft = Draft(form_field("message")) if is_unusable else read_draft()
        ticket_id = (request.view_args or {})["ticket_id"]
        try:
            return await ticket_page.show(ticket_id, 422 if is_unusable else 409, describe(error), draft)
        except TicketNotFound:
            return pages.refuse(404)
        except DatabaseDown:
            return pages.refuse(503)


def describe(error: AgentError) -> str:
    """Puts an error into words for the agent at the desk."""
    if isinstance(error, IllegalStatusChange):
        current, wanted = STATUS_LABELS[error.current].lower(), STATUS_LABELS[error.wanted].lower()
        return f"A ticket that is {current} can't become {wanted}."
    if error.code is ErrorCode.UNUSABLE_VALUE:
        is_reaction = error.field == "id"
        return CHOOSE_AN_EMOJI if is_reaction else f"The answer was not sent: {error.sentence}."
    return SENTENCES[error.code]
