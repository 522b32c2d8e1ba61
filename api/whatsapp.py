"""WhatsApp over HTTP: write to a customer, and see how the connection to Meta does (Meta's own door is `webhook.py`).

Invariant: what can't go out now is refused here and not queued; the status holds counts and sentences, never what a
customer or an agent wrote, and is read from what is stored: nobody who asks for it makes us ask Meta.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from quart import Response

from api.answers import Answer, Body, Refusal, answer, gives, takes
from api.auth import GuardedBlueprint, Permission, caller, needs
from api.fields import Phone, Text
from bot.account import Number, read_number
from bot.desk import AgentDesk
from storage import account as accounts
from storage import alerts, journal, outbox
from storage import pulse as pulses
from storage.alerts import Alert
from storage.database import Database
from storage.pulse import Pulse

CHANNEL = "channel"  # the subject of the alert that stands while nothing goes out at all
OUTBOX_SHOWN = ("queued", "sending", "held", "unknown", "failed")


class NewMessage(Body):
    """A message to a customer who has written within 24 hours."""

    phoneNumber: Phone  # noqa: N815 - the original guide's name
    message: Text


class Message(BaseModel):
    """A message on its way."""

    id: str
    delivery: str | None


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
    severity: Literal["red", "yellow", "info"]
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


def make_whatsapp(desk: AgentDesk, database: Database, phone_number_id: str) -> GuardedBlueprint:
    """The agents' routes under /api/whatsapp."""
    blueprint = GuardedBlueprint("whatsapp", __name__, url_prefix="/api/whatsapp")

    @blueprint.post("/send")
    @needs(Permission.WRITE_TO_CUSTOMERS)
    @takes(NewMessage)
    @gives(Answer[Message])
    @gives(Refusal, 409)
    @gives(Refusal, 422)
    async def send(data: NewMessage) -> Response:
        """Write to a customer outside of any ticket."""
        sent = await desk.send(caller().actor, data.phoneNumber, data.message)
        return answer(Answer[Message](data=Message(id=str(sent.outbox_id), delivery=sent.delivery)))

    @blueprint.get("/status")
    @needs(Permission.READ)
    @gives(Answer[Status])
    async def status() -> Response:
        """How the connection to Meta does."""
        async with database.reading() as tx:
            items = await journal.counts(tx)
            rows = await outbox.counts(tx)
            pulse = await pulses.read(tx)
            told = await alerts.open_alerts(tx)
            number = read_number(await accounts.read(tx, phone_number_id))
        return answer(Answer[Status](data=_status(phone_number_id, number, told, pulse, items, rows)))

    return blueprint


def _status(
    phone_number_id: str,
    number: Number,
    told: Sequence[Alert],
    pulse: Pulse,
    items: dict[str, int],
    rows: dict[str, int],
) -> Status:
    heard = max((at for at in (pulse.webhook_at, pulse.send_at) if at is not None), default=None)
    well = heard is not None and (pulse.error_at is None or pulse.error_at <= heard)
    stopped = next((alert for alert in told if alert.subject == CHANNEL and alert.severity == "red"), None)
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
        last_error=Trouble(message=pulse.error, at=pulse.error_at) if pulse.error_at else None,
        journal=items,
        outbox={name: rows.get(name, 0) for name in OUTBOX_SHOWN},
    )
