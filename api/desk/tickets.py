"""Serves tickets as agents see them in a browser: the list, one ticket, and the form that moves it.

Invariants
- Only moves that are legal are offered; the others are refused by the command all the same.
"""

from quart import Response, request

from api.desk.forms import FormRefused, form_field
from api.desk.pages import AnyResponse, go_to, show_page
from api.desk.ticket_page import show_ticket_page
from api.services import services
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from bot.whatsapp.sanitize import clean_line
from storage import tickets
from storage.statuses import TicketStatus
from storage.tickets import MAX_DEPTH, TicketFilter

TICKETS_PER_PAGE = 25
MAX_PAGE = MAX_DEPTH // TICKETS_PER_PAGE
MAX_PAGE_DIGITS = 8
MAX_TOPIC_CHARACTERS = 50  # as its column has

blueprint = GuardedBlueprint("tickets", __name__)


@blueprint.get("/desk")
@needs(Permission.READ)
async def list_tickets() -> Response:
    """Lists tickets, the newest first."""
    status, page = _read_status(request.args.get("status", "")), _read_page(request.args.get("page", ""))
    topic = clean_line(request.args.get("topic", ""), MAX_TOPIC_CHARACTERS)
    offset = (page - 1) * TICKETS_PER_PAGE
    async with services().database.reading() as tx:
        wanted = TicketFilter(status, topic or None)
        found, total = await tickets.load_page(tx, wanted, offset=offset, limit=TICKETS_PER_PAGE)
    pages = min(max(1, -(-total // TICKETS_PER_PAGE)), MAX_PAGE)
    is_cut_off = page == MAX_PAGE and total > MAX_DEPTH
    topic_label = services().find_issue_type_label(topic)
    shown = {"tickets": found, "total": total, "page": page, "pages": pages, "is_cut_off": is_cut_off}
    return await show_page("tickets", status=status or "", topic=topic, topic_label=topic_label, **shown)


@blueprint.get("/desk/tickets/<ticket:ticket_id>")
@needs(Permission.READ)
async def read_ticket(ticket_id: int) -> Response:
    """Shows one ticket, and what was said on it."""
    return await show_ticket_page(ticket_id)


@blueprint.post("/desk/tickets/<ticket:ticket_id>/status")
@needs(Permission.CHANGE_TICKETS)
async def set_status(ticket_id: int) -> AnyResponse:
    """Moves the ticket to another status."""
    status = _read_status(form_field("status"))
    if status is None:
        raise FormRefused("Choose a status first.")
    await services().tickets.set_status(caller().actor, ticket_id, status)
    return go_to(f"/desk/tickets/{ticket_id}")


def _read_status(text: str) -> TicketStatus | None:
    return next((status for status in TicketStatus if status == text), None)


def _read_page(text: str) -> int:
    """Reads the number of a page; what can't be one is the first."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_PAGE_DIGITS
    return min(max(1, int(text)), MAX_PAGE) if is_number else 1
