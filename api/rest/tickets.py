"""Serves tickets over REST: opens, lists, shows and moves them, and asks their customers for something.

Invariants
- A change answers with the ticket as it then is, and with `delivery`, which says where the customer's message about it
  stands: `queued`, `held` until they write again, or null when nothing is sent.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo
from quart import Response
from quart_schema import document_response, validate_querystring, validate_request

from api.rest.replies import FileShown, Reply, respond_with_reply, show_file
from api.services import services
from api.views.thread import TicketCustomer, read_ticket_customer
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import Email, Name, OptionalLine, OptionalPhone, Phone, Text, Topic
from api.web.openapi import describe_blueprint
from api.web.responses import NOT_VALID, Answer, Body, PageAnswer, Pagination, Problem, Query, Refusal, refuse, respond
from bot.agents import tickets as commands
from bot.agents.errors import TicketNotFound
from bot.agents.tickets import TicketChange
from bot.phones import list_phone_variants
from storage import files, tickets
from storage.statuses import OutboxStatus, TicketStatus
from storage.tickets import MAX_DEPTH, StoredTicket, TicketFilter

MAX_TICKETS_PER_PAGE = 100

blueprint = GuardedBlueprint("tickets", __name__, url_prefix="/api/tickets")
describe_blueprint(blueprint, "Tickets")


class NewTicket(Body):
    """A ticket to open. With `mobile`, the customer is told on WhatsApp unless `whatsapp_notifications` is false."""

    name: Name = Field(description="The customer's name, as the ticket shows it.", examples=["Ann Example"])
    email: Email = Field(default=None, description="The customer's e-mail address. Nothing is sent there.")
    mobile: OptionalPhone = Field(
        default=None, description="The customer's number on WhatsApp, with its country's code."
    )
    issue_type: Topic = Field(
        description="The id of the topic; the desk's configuration has them.", examples=["hardware"]
    )
    issue_type_other: OptionalLine = Field(default=None, description="The topic in words, where none of the list fits.")
    issue_title: OptionalLine = Field(default=None, description="The matter in a few words.")
    description: Text = Field(description="What is wrong, in full.", examples=["The printer is on fire."])
    whatsapp_notifications: bool = Field(default=True, description="Whether the customer is told of changes.")


class NewStatus(Body):
    """The status that a ticket is to get."""

    status: Annotated[TicketStatus, Field(strict=False)]  # in JSON a status is a string


class NewRequest(Body):
    """What the customer is to share, and in which words they are asked."""

    for_: Annotated[Literal["location", "contact"], Field(alias="for")] = Field(description="What they are to share.")
    message: Text = Field(description="What the customer reads.", examples=["Where is the printer?"])


def _check_depth(page: int, info: ValidationInfo) -> int:
    """Refuses a page that lies too deep; where the limit is wrong, that is said instead."""
    if page * info.data.get("limit", 1) > MAX_DEPTH:
        raise ValueError(
            f"The list is read down to ticket {MAX_DEPTH:,}: narrow it with status, issue_type or mobile to see others"
        )
    return page


class Filter(Query):
    """Which tickets to list, and which page of the list."""

    status: TicketStatus | None = Field(default=None, description="Only tickets with this status.")
    issue_type: Topic | None = Field(
        default=None, description="Only tickets with this topic, whether it is still one to choose from or not."
    )
    # in a query string, a + that was not escaped arrives as a space
    mobile: Annotated[Phone | None, BeforeValidator(lambda text: "+" + text[1:] if text[:1] == " " else text)] = Field(
        default=None, description="Only tickets of this number; its national variants are found too."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_TICKETS_PER_PAGE)] = Field(
        default=20, description="How many tickets a page has at most."
    )
    page: Annotated[int, Field(ge=1), AfterValidator(_check_depth)] = Field(
        default=1,
        description=f"Which page; the first is 1. Page times limit is {MAX_DEPTH} at most.",
        json_schema_extra={"maximum": MAX_DEPTH},
    )


class Ticket(BaseModel):
    """A ticket, as REST shows it."""

    id: int = Field(description="The ticket's number, which customers read and type.", examples=[42])
    name: str = Field(description="The customer's name.", examples=["Ann Example"])
    email: str | None = Field(description="The customer's e-mail address.")
    mobile: str | None = Field(description="The customer's number, with its +.", examples=["+15550001234"])
    description: str = Field(description="What is wrong.", examples=["The printer is on fire."])
    issue_type: str = Field(description="The id of the topic.", examples=["hardware"])
    issue_type_other: str | None = Field(description="The topic in words, where none of the list fits.")
    issue_title: str | None = Field(description="The matter in a few words.")
    attachment_name: str | None = Field(description="The name of the first file of the description.")
    attachment_type: str | None = Field(description="That file's MIME type.", examples=["image/jpeg"])
    status: TicketStatus = Field(description="Where the work stands.")
    whatsapp_enabled: bool = Field(description="Whether the customer can be written to on WhatsApp.")
    whatsapp_notifications: bool = Field(description="Whether the customer is told of changes.")
    created_at: datetime = Field(description="When it was opened, in UTC.")
    updated_at: datetime = Field(description="When it last changed, in UTC.")


class Unreachable(BaseModel):
    """Why nothing reaches the customer on WhatsApp, and since when."""

    reason: str = Field(description="What Meta said, as a sentence.")
    since: datetime = Field(description="When Meta said so, in UTC.")


class CustomerShown(BaseModel):
    """Whom the ticket is with."""

    name: str = Field(description="The name that they have on WhatsApp.")
    unreachable: Unreachable | None = Field(description="Null while they can be reached.")
    window_open_until: datetime | None = Field(description="Until when WhatsApp takes free text for them, in UTC.")


class WholeTicket(Ticket):
    """A ticket with the files of its description, and whom it is with."""

    files: list[FileShown] = Field(description="The files that came with the description.")
    customer: CustomerShown | None = Field(description="Null when the ticket is with nobody on WhatsApp.")


class ChangedTicket(Ticket):
    """A ticket after a change, and where the customer's message about it stands."""

    delivery: OutboxStatus | None = Field(description="Where the customer's message stands; null when nothing is sent.")


@blueprint.post("")
@needs(Permission.CHANGE_TICKETS)
@validate_request(NewTicket)
@document_response(Answer[ChangedTicket], 201)
@document_response(Refusal, 422)
async def open_ticket(data: NewTicket) -> Response:
    """Open a ticket."""
    if data.issue_type not in (known := services().list_issue_type_ids()):
        problem = Problem(field="issue_type", message=f"must be one of {', '.join(known)}")
        return refuse(422, NOT_VALID, [problem])
    new = commands.NewTicket(
        name=data.name,
        phone=data.mobile or "",
        email=data.email,
        issue_type=data.issue_type,
        issue_type_other=data.issue_type_other,
        issue_title=data.issue_title,
        description=data.description,
        whatsapp_notifications=data.whatsapp_notifications,
    )
    return _respond_with_change(await services().tickets.open(caller().actor, new), 201)


@blueprint.get("")
@needs(Permission.READ)
@validate_querystring(Filter)
@document_response(PageAnswer[list[Ticket]])
@document_response(Refusal, 422)
async def list_tickets(query_args: Filter) -> Response:
    """List tickets, the newest first."""
    page, limit = query_args.page, query_args.limit
    mobiles = [f"+{form}" for form in list_phone_variants(query_args.mobile)] if query_args.mobile else []
    wanted = TicketFilter(query_args.status, query_args.issue_type, mobiles)
    async with services().database.reading() as tx:
        found, total = await tickets.load_page(tx, wanted, offset=(page - 1) * limit, limit=limit)
    pagination = Pagination(page=page, limit=limit, total=total)
    shown = [Ticket(**_show_columns(ticket)) for ticket in found]
    return respond(PageAnswer[list[Ticket]](data=shown, pagination=pagination))


@blueprint.get("/<ticket:ticket_id>")
@needs(Permission.READ)
@document_response(Answer[WholeTicket])
@document_response(Refusal, 404)
async def read_ticket(ticket_id: int) -> Response:
    """Read one ticket."""
    async with services().database.reading() as tx:
        found = await tickets.find(tx, ticket_id)
        if found is None:
            raise TicketNotFound
        rows = [row for row in await files.list_of_ticket(tx, ticket_id) if row.reply_id is None]
        customer = await read_ticket_customer(tx, found, services().clock())
    shown_customer = _show_customer(customer) if customer else None
    whole = WholeTicket(**_show_columns(found), files=[show_file(row) for row in rows], customer=shown_customer)
    return respond(Answer[WholeTicket](data=whole))


@blueprint.put("/<ticket:ticket_id>/status")
@needs(Permission.CHANGE_TICKETS)
@validate_request(NewStatus)
@document_response(Answer[ChangedTicket])
@document_response(Refusal, 404)
@document_response(Refusal, 409)
@document_response(Refusal, 422)
async def set_ticket_status(ticket_id: int, data: NewStatus) -> Response:
    """Move a ticket to another status."""
    return _respond_with_change(await services().tickets.set_status(caller().actor, ticket_id, data.status))


@blueprint.post("/<ticket:ticket_id>/ask")
@needs(Permission.WRITE_TO_CUSTOMERS)
@validate_request(NewRequest)
@document_response(Answer[Reply], 201)
@document_response(Refusal, 404)
@document_response(Refusal, 409)
@document_response(Refusal, 422)
async def ask_customer(ticket_id: int, data: NewRequest) -> Response:
    """Ask the customer for their location or for a contact."""
    sent = await services().replies.ask(caller().actor, ticket_id, data.for_, text=data.message)
    return await respond_with_reply(sent.reply, 201)


def _respond_with_change(change: TicketChange, status: int = 200) -> Response:
    shown = ChangedTicket(**_show_columns(change.ticket), delivery=change.delivery)
    return respond(Answer[ChangedTicket](data=shown), status)


def _show_customer(customer: TicketCustomer) -> CustomerShown:
    since = customer.unreachable_at
    return CustomerShown(
        name=customer.name,
        unreachable=Unreachable(reason=customer.unreachable_reason, since=since) if since else None,
        window_open_until=customer.window_until,
    )


def _show_columns(ticket: StoredTicket) -> dict[str, Any]:
    """What every form of a ticket shows of it."""
    columns = {name: getattr(ticket, name) for name in Ticket.model_fields if name != "id"}
    return {"id": ticket.ticket_id, **columns}
