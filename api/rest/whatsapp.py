"""WhatsApp over HTTP: write to a customer, and see how the connection to Meta does (Meta's own door is `webhook.py`).
What is said on a ticket is in `replies.py`.

Invariant: what can't go out now is refused here and not queued; the status holds counts and sentences, never what a
customer or an agent wrote, and is read from what is stored: nobody who asks for it makes us ask Meta.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from quart import Response

from api.views import delivery_text
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.fields import Phone, Text, row_id
from api.web.responses import Answer, Body, Refusal, answer, gives, refusal, takes
from bot.account.phone_number import PhoneNumberSnapshot, parse_snapshot
from bot.agents.connection import ConnectionCommands
from bot.agents.messages import MessageCommands
from storage import alerts, journal_retention, outbox_reads, replies
from storage import connection_health as pulses
from storage import meta_snapshots as accounts
from storage.alerts import Alert
from storage.connection_health import Pulse
from storage.sql.database import Database, Tx
from storage.statuses import AlertSeverity, OutboxStatus


class NewMessage(Body):
    """A message to a customer who has written within 24 hours."""

    phoneNumber: Phone  # noqa: N815 - the original guide's name
    message: Text


class Message(BaseModel):
    """A message outside of any ticket. `reason` says why `delivery` is what it is."""

    id: str
    delivery: str | None
    reason: str | None


class Tried(BaseModel):
    """`tried`: within a second the next message goes out, and if Meta refuses it the channel is stopped again. False:
    the channel was not stopped."""

    tried: bool


class Trouble(BaseModel):
    """What last went wrong with a message of ours, and when."""

    message: str
    at: datetime


class Channel(BaseModel):
    """Whether messages go out. While it is stopped they are kept, and go out by themselves once it is mended."""

    state: Literal["open", "stopped"]
    reason: str | None
    since: datetime | None


class ShownAlert(BaseModel):
    """Something to know or to mend. `red`: something does not work; `yellow`: it soon may not; `info`: good to know."""

    subject: str
    severity: AlertSeverity
    message: str
    since: datetime


class Status(BaseModel):
    """How the connection to Meta does. `connected`: messages go out, and Meta was heard from since anything last went
    wrong. `number`, `name`, `quality`, `number_status`: as Meta last told."""

    configured: bool
    connected: bool
    number: str | None
    phone_number_id: str
    name: str | None
    quality: str | None
    number_status: str | None
    channel: Channel
    alerts: list[ShownAlert]
    last_webhook: datetime | None
    last_error: Trouble | None
    journal: dict[str, int]
    outbox: dict[str, int]


def make_whatsapp(
    messages: MessageCommands, connection: ConnectionCommands, database: Database, phone_number_id: str
) -> GuardedBlueprint:
    """The agents' routes under /api/whatsapp."""
    blueprint = GuardedBlueprint("whatsapp", __name__, url_prefix="/api/whatsapp")

    async def standing(outbox_id: int | None) -> Response:
        async with database.reading() as tx:
            found = await replies.loose(tx, outbox_id) if outbox_id else None
            stopped = delivery_text.why_stopped(await alerts.open_alerts(tx))
        if found is None:
            return refusal(404)
        reason = delivery_text.explain_delivery(found.carriers, stopped) or None
        return answer(Answer[Message](data=Message(id=str(outbox_id), delivery=found.carriers.status, reason=reason)))

    @blueprint.post("/send")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    @takes(NewMessage)
    @gives(Answer[Message])
    @gives(Refusal, 409)
    @gives(Refusal, 422)
    async def send(data: NewMessage) -> Response:
        """Write to a customer outside of any ticket."""
        sent = await messages.send(caller().actor, data.phoneNumber, data.message)
        return await standing(sent.outbox_id)

    @blueprint.get("/messages/<message_id>")
    @needs(Permission.READ)
    @gives(Answer[Message])
    @gives(Refusal, 404)
    async def read_message(message_id: str) -> Response:
        """See how far a message outside of any ticket has come."""
        return await standing(row_id(message_id))

    @blueprint.post("/messages/<message_id>/send-again")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    @gives(Answer[Message])
    @gives(Refusal, 404)
    @gives(Refusal, 409)
    async def send_again(message_id: str) -> Response:
        """Send a message again of which it is not known whether the customer has it. They may get it twice."""
        known = row_id(message_id)
        if known is None:
            return refusal(404)
        await messages.send_again(caller().actor, known)
        return await standing(known)

    @blueprint.post("/channel/try-now")
    @needs(Permission.MANAGE)
    @gives(Answer[Tried])
    async def try_now() -> Response:
        """Try at once whether Meta takes messages again, after you mended what stopped the channel."""
        return answer(Answer[Tried](data=Tried(tried=await connection.retry_stopped_channel(caller().actor))))

    @blueprint.get("/status")
    @needs(Permission.READ)
    @gives(Answer[Status])
    async def status() -> Response:
        """How the connection to Meta does."""
        async with database.reading() as tx:
            return answer(Answer[Status](data=await read_status(tx, phone_number_id)))

    return blueprint


async def read_status(tx: Tx, phone_number_id: str) -> Status:
    """How it does now."""
    items = (await journal_retention.count_items(tx))._asdict()
    rows = await outbox_reads.count_statuses(tx)
    pulse = await pulses.read(tx)
    told = await alerts.open_alerts(tx)
    number = parse_snapshot(await accounts.read(tx, phone_number_id))
    return _status(phone_number_id, number, told, pulse, items, rows)


def _status(
    phone_number_id: str,
    number: PhoneNumberSnapshot,
    told: Sequence[Alert],
    pulse: Pulse,
    items: dict[str, int],
    rows: Mapping[OutboxStatus, int],
) -> Status:
    heard = max((at for at in (pulse.webhook_at, pulse.send_at) if at is not None), default=None)
    well = heard is not None and (pulse.error_at is None or pulse.error_at <= heard)
    stopped = next(
        (alert for alert in told if alert.subject == delivery_text.CHANNEL and alert.severity is AlertSeverity.RED),
        None,
    )
    return Status(
        configured=bool(phone_number_id),
        connected=well and stopped is None,
        number=number.number or None,
        phone_number_id=phone_number_id,
        name=number.name or None,
        quality=number.quality or None,
        number_status=number.status or None,
        channel=Channel(
            state="stopped" if stopped else "open",
            reason=stopped.message if stopped else None,
            since=stopped.raised_at if stopped else None,
        ),
        alerts=[
            ShownAlert(subject=each.subject, severity=each.severity, message=each.message, since=each.raised_at)
            for each in told
        ],
        last_webhook=pulse.webhook_at,
        last_error=Trouble(message=delivery_text.explain_reason(pulse.error), at=pulse.error_at)
        if pulse.error_at
        else None,
        journal=items,
        outbox={name: rows.get(name, 0) for name in delivery_text.COUNTED},
    )
