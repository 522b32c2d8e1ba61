"""WhatsApp over HTTP: write to a customer, and see how the connection to Meta does (Meta's own door is `webhook.py`).

Invariant: what can't go out now is refused here and not queued; the status holds counts and sentences of ours, never
what anybody wrote.
"""

from datetime import datetime

from pydantic import BaseModel
from quart import Response

from api.answers import Answer, Body, Refusal, answer, gives, takes
from api.auth import GuardedBlueprint, Permission, caller, needs
from api.fields import Phone, Text
from api.parts import Account
from bot.desk import AgentDesk
from storage import journal, outbox
from storage import pulse as pulses
from storage.database import Database
from storage.pulse import Pulse

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


class Status(BaseModel):
    """How the connection to Meta does. `connected`: Meta was heard from since anything last went wrong."""

    configured: bool
    connected: bool
    number: str | None
    phone_number_id: str
    quality: str | None
    last_webhook: datetime | None
    last_error: Trouble | None
    journal: dict[str, int]
    outbox: dict[str, int]


def make_whatsapp(desk: AgentDesk, database: Database, account: Account) -> GuardedBlueprint:
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
        return answer(Answer[Status](data=_status(account, pulse, items, rows)))

    return blueprint


def _status(account: Account, pulse: Pulse, items: dict[str, int], rows: dict[str, int]) -> Status:
    heard = max((at for at in (pulse.webhook_at, pulse.send_at) if at is not None), default=None)
    return Status(
        configured=bool(account.phone_number_id),
        connected=heard is not None and (pulse.error_at is None or pulse.error_at <= heard),
        number=account.number,
        phone_number_id=account.phone_number_id,
        quality=account.quality,
        last_webhook=pulse.webhook_at,
        last_error=Trouble(message=pulse.error, at=pulse.error_at) if pulse.error_at else None,
        journal=items,
        outbox={name: rows.get(name, 0) for name in OUTBOX_SHOWN},
    )
