"""Tickets as agents see them in a browser: the list, and moving one.

Invariant: a change goes through the same door to the bot as the API's, under the agent's own name; only moves that are
legal are offered, and the others are refused there all the same.
"""

from quart import Response, request
from werkzeug.wrappers import Response as AnyResponse

from api.desk.guard import form_field
from api.desk.pages import Pages, go_to
from api.desk.ticket import TicketPage
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from bot.agents.tickets import TicketCommands
from storage import tickets
from storage.sql.database import Database
from storage.statuses import TicketStatus

A_PAGE = 25
DEEPEST_PAGE = 100_000


def add_tickets(
    blueprint: GuardedBlueprint, pages: Pages, ticket_page: TicketPage, commands: TicketCommands, database: Database
) -> None:
    """The routes for tickets."""

    @blueprint.get("/desk")
    @needs(Permission.READ)
    async def list_tickets() -> Response:
        """Tickets, the newest first."""
        status = _status(request.args.get("status", ""))
        number = request.args.get("page", "")
        page = (
            min(max(1, int(number)), DEEPEST_PAGE) if number.isascii() and number.isdigit() and len(number) < 9 else 1
        )
        async with database.reading() as tx:
            found, total = await tickets.load_page(
                tx, status=status, mobiles=[], offset=(page - 1) * A_PAGE, limit=A_PAGE
            )
        return await pages.show(
            "tickets", tickets=found, total=total, page=page, pages=max(1, -(-total // A_PAGE)), status=status or ""
        )

    @blueprint.get("/desk/tickets/<ticket:ticket_id>")
    @needs(Permission.READ)
    async def read_ticket(ticket_id: int) -> Response:
        """One ticket, and what was said on it."""
        return await ticket_page.show(ticket_id)

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/status")
    @needs(Permission.CHANGE_TICKETS)
    async def set_status(ticket_id: int) -> Response | AnyResponse:
        """Moves the ticket."""
        status = _status(form_field("status"))
        if status is None:
            return await ticket_page.show(ticket_id, 422, "Choose a status first.")
        await commands.set_status(caller().actor, ticket_id, status)
        return go_to(f"/desk/tickets/{ticket_id}")


def _status(name: str) -> TicketStatus | None:
    return next((status for status in TicketStatus if status == name), None)
