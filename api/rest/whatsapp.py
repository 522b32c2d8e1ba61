"""Serves WhatsApp over REST: writes to customers outside of any ticket, and says how the connection to Meta does.

What is said on a ticket is in `replies.py`; Meta's own door is `api/webhook.py`.

Invariants
- What can't go out now is refused here, and not queued.
"""

from pydantic import BaseModel, Field
from quart import Response
from quart_schema import document_response, validate_request

from api.rest.errors import read_message_id
from api.services import services
from api.views import delivery_text
from api.views.connection import Status, read_status
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import ID_SCHEMA, Phone, Text
from api.web.openapi import describe_blueprint, make_id_schema
from api.web.responses import Answer, Body, Refusal, respond
from bot.agents.errors import MessageNotFound
from storage import alerts, replies
from storage.statuses import OutboxStatus

blueprint = GuardedBlueprint("whatsapp", __name__, url_prefix="/api/whatsapp")
describe_blueprint(blueprint, "WhatsApp", message_id=make_id_schema("The id of a message, as sending it answered."))


class NewMessage(Body):
    """A message to a customer who has written within 24 hours."""

    phoneNumber: Phone = Field(description="The customer's number, with its country's code.")  # noqa: N815 - the original guide's name
    message: Text = Field(description="What the customer reads.", examples=["Test message from Tick System"])


class Message(BaseModel):
    """A message outside of any ticket."""

    id: str = Field(description="The message's id.", json_schema_extra=ID_SCHEMA)
    delivery: OutboxStatus | None = Field(description="Where it stands on its way.")
    reason: str | None = Field(description="Why `delivery` is what it is, as a sentence.")


class RetryResult(BaseModel):
    """What came of trying."""

    tried: bool = Field(
        description="True: the next message goes out within a second, and if Meta refuses it the channel is stopped"
        " again. False: the channel was not stopped."
    )


@blueprint.post("/send")
@needs(Permission.WRITE_TO_CUSTOMERS)
@validate_request(NewMessage)
@document_response(Answer[Message])
@document_response(Refusal, 409)
@document_response(Refusal, 422)
async def send_message(data: NewMessage) -> Response:
    """Write to a customer outside of any ticket."""
    sent = await services().messages.send(caller().actor, data.phoneNumber, data.message)
    return await _respond_with_message(sent.outbox_id)


@blueprint.get("/messages/<message_id>")
@needs(Permission.READ)
@document_response(Answer[Message])
@document_response(Refusal, 404)
async def read_message(message_id: str) -> Response:
    """See how far a message outside of any ticket has come."""
    return await _respond_with_message(read_message_id(message_id))


@blueprint.post("/messages/<message_id>/send-again")
@needs(Permission.WRITE_TO_CUSTOMERS)
@document_response(Answer[Message])
@document_response(Refusal, 404)
@document_response(Refusal, 409)
async def send_message_again(message_id: str) -> Response:
    """Send a message again of which it is not known whether the customer has it. They may get it twice."""
    outbox_id = read_message_id(message_id)
    await services().messages.send_again(caller().actor, outbox_id)
    return await _respond_with_message(outbox_id)


@blueprint.post("/channel/try-now")
@needs(Permission.MANAGE)
@document_response(Answer[RetryResult])
async def retry_channel() -> Response:
    """Try at once whether Meta takes messages again, after you fixed what stopped the channel."""
    tried = await services().connection.retry_stopped_channel(caller().actor)
    return respond(Answer[RetryResult](data=RetryResult(tried=tried)))


@blueprint.get("/status")
@needs(Permission.READ)
@document_response(Answer[Status])
async def read_whatsapp_status() -> Response:
    """How the connection to Meta does."""
    async with services().database.reading() as tx:
        return respond(Answer[Status](data=await read_status(tx, services().phone_number_id)))


async def _respond_with_message(outbox_id: int) -> Response:
    async with services().database.reading() as tx:
        found = await replies.find_unticketed(tx, outbox_id)
        stop_reason = delivery_text.find_stop_reason(await alerts.list_open(tx))
    if found is None:
        raise MessageNotFound
    reason = delivery_text.explain_delivery(found.delivery, stop_reason) or None
    message = Message(id=str(outbox_id), delivery=found.delivery.status, reason=reason)
    return respond(Answer[Message](data=message))
