"""Tickets as agents see them in a browser, and what they do with one.

Invariant: a change goes through the same door to the bot as the API's, under the agent's own name; only moves that are
legal are offered, and the others are refused there all the same.
"""

from pydantic import TypeAdapter, ValidationError
from quart import Response, request
from werkzeug.wrappers import Response as AnyResponse

from api import talk
from api.auth import PERMISSIONS, GuardedBlueprint, Permission, caller, needs
from api.desk.door import form_field
from api.desk.pages import STATUS_WORDS, Pages, go_to
from api.desk.sessions import Sessions
from api.fields import Text
from bot.changes import NoTicket
from bot.desk import AgentDesk, IllegalMove
from bot.whatsapp.cleaning import TEXT_CAP
from storage import tickets
from storage.database import Database
from storage.tickets import MOVES, STATUSES

A_PAGE = 25
DEEPEST_PAGE = 100_000
REPLY: TypeAdapter[str] = TypeAdapter(Text)


def add_tickets(
    blueprint: GuardedBlueprint, sessions: Sessions, pages: Pages, desk: AgentDesk, database: Database
) -> None:
    """The routes for tickets."""

    async def ticket_page(ticket_id: int, status: int = 200, says: str = "", draft: str = "") -> Response:
        async with database.reading() as tx:
            ticket = await tickets.find(tx, ticket_id)
            if ticket is None:
                raise NoTicket
            thread, described_by = await talk.read(tx, ticket)
        moves = [each for each in STATUSES if each in MOVES[ticket.status]]
        may = PERMISSIONS[caller().role]
        return await pages.show(
            "ticket",
            status,
            ticket=ticket,
            thread=thread,
            files=described_by,
            moves=moves if Permission.CHANGE_TICKETS in may else [],
            may_answer=Permission.WRITE_TO_CUSTOMERS in may,
            says=says,
            draft=draft,
            once=desk.once(),
        )

    @blueprint.get("/desk")
    @needs(Permission.READ)
    async def list_tickets() -> Response:
        """Tickets, the newest first."""
        asked = request.args.get("status", "")
        status = asked if asked in STATUSES else ""
        number = request.args.get("page", "")
        page = (
            min(max(1, int(number)), DEEPEST_PAGE) if number.isascii() and number.isdigit() and len(number) < 9 else 1
        )
        async with database.reading() as tx:
            found, total = await tickets.page(tx, status=status, mobiles=[], offset=(page - 1) * A_PAGE, limit=A_PAGE)
        return await pages.show(
            "tickets", tickets=found, total=total, page=page, pages=max(1, -(-total // A_PAGE)), status=status
        )

    @blueprint.get("/desk/tickets/<ticket:ticket_id>")
    @needs(Permission.READ)
    async def read_ticket(ticket_id: int) -> Response:
        """One ticket, and what was said on it."""
        return await ticket_page(ticket_id)

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/replies")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    async def answer(ticket_id: int) -> Response | AnyResponse:
        """Answers the customer."""
        draft = form_field("message")
        try:
            message = REPLY.validate_python(draft)
        except ValidationError:
            says = "The answer is too long." if len(draft) > TEXT_CAP else "There is nothing to read in the answer yet."
            return await ticket_page(ticket_id, 422, says, draft)
        agent = await sessions.agent()
        asked = form_field("once")
        once = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
        await desk.reply(caller().actor, agent.name if agent else "", ticket_id, message, once)
        return go_to(f"/desk/tickets/{ticket_id}#end")

    @blueprint.post("/desk/tickets/<ticket:ticket_id>/status")
    @needs(Permission.CHANGE_TICKETS)
    async def set_status(ticket_id: int) -> Response | AnyResponse:
        """Moves the ticket."""
        status = form_field("status")
        if status not in STATUSES:
            return await ticket_page(ticket_id, 422, "Choose a status first.")
        try:
            await desk.set_status(caller().actor, ticket_id, status)
        except IllegalMove as error:
            says = (
                f"A ticket that is {STATUS_WORDS[error.current].lower()} can't become {STATUS_WORDS[status].lower()}."
            )
            return await ticket_page(ticket_id, 409, says)
        return go_to(f"/desk/tickets/{ticket_id}")
