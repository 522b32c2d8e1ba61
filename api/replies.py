"""What is said on a ticket, over HTTP: answer the customer, read it all.

Invariant: a reply says where it stands. `delivery` is that of the messages that carry it, the least advanced where it
took several; a customer's own words have none.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from quart import Response

from api.answers import Answer, Body, Refusal, answer, gives, refusal, takes
from api.auth import GuardedBlueprint, Permission, caller, needs
from api.fields import OptionalLine, Text, TicketId
from bot.desk import AgentDesk
from storage import tickets
from storage.database import Database
from storage.tickets import StoredReply


class NewReply(Body):
    """An answer to the customer of a ticket; `author` is the name of who gives it."""

    ticket_id: TicketId
    message: Text
    author: OptionalLine = None


class Reply(BaseModel):
    """Something said on a ticket."""

    id: str
    ticket_id: int
    author: Literal["customer", "agent", "bot"]
    message: str
    whatsapp_message_id: str | None
    delivery: str | None
    created_at: datetime


def make_replies(desk: AgentDesk, database: Database) -> GuardedBlueprint:
    """The routes under /api/replies."""
    blueprint = GuardedBlueprint("replies", __name__, url_prefix="/api/replies")

    @blueprint.post("")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    @takes(NewReply)
    @gives(Answer[Reply], 201)
    @gives(Refusal, 404)
    @gives(Refusal, 422)
    async def add_reply(data: NewReply) -> Response:
        """Answer the customer on a ticket."""
        answered = await desk.reply(caller().actor, data.author or "", data.ticket_id, data.message)
        return answer(Answer[Reply](data=_shown(answered.reply, answered.delivery, None)), 201)

    @blueprint.get("/<ticket:ticket_id>")
    @needs(Permission.READ)
    @gives(Answer[list[Reply]])
    @gives(Refusal, 404)
    async def list_replies(ticket_id: int) -> Response:
        """Read all that was said on a ticket, the oldest first."""
        async with database.reading() as tx:
            ticket = await tickets.find(tx, ticket_id)
            if ticket is None:
                return refusal(404)
            replies = await tickets.replies(tx, ticket_id)
            carriers = {} if ticket.customer_id is None else await tickets.carriers(tx, ticket.customer_id, ticket_id)
        shown = []
        for reply in replies:
            delivery, wamid = carriers.get(reply.outbox_id or 0, (None, None))
            shown.append(_shown(reply, delivery, reply.wamid or wamid))
        return answer(Answer[list[Reply]](data=shown))

    return blueprint


def _shown(reply: StoredReply, delivery: str | None, wamid: str | None) -> Reply:
    return Reply.model_validate(
        {
            "id": str(reply.reply_id),
            "ticket_id": reply.ticket_id,
            "author": reply.author,
            "message": reply.message,
            "whatsapp_message_id": wamid,
            "delivery": delivery,
            "created_at": reply.written_at,
        }
    )
