"""Reads how the connection to Meta does, for REST and the desk alike.

Invariants
- It holds counts and sentences, never what a customer or an agent wrote.
- It is read from what is stored: nobody who asks for it makes us ask Meta.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.views import delivery_text
from bot.account.phone_number import parse_snapshot
from bot.delivery.circuit_breaker import SUBJECT
from storage import alerts, connection_health, kept_counts, meta_snapshots
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, Why


class LastError(BaseModel):
    """What last went wrong with a message of ours, and when."""

    message: str = Field(description="What it was, as a sentence.")
    at: datetime = Field(description="When, in UTC.")


class Channel(BaseModel):
    """Whether messages go out. While it is stopped they are kept, and go out by themselves once it is fixed."""

    state: Literal["open", "stopped"] = Field(description="Whether messages go out.")
    reason: str | None = Field(description="What stopped it.")
    since: datetime | None = Field(description="Since when it has been stopped, in UTC.")


class ShownAlert(BaseModel):
    """Something to know or to fix. `red`: something does not work; `yellow`: it soon may not; `info`: good to know."""

    subject: str = Field(description="What it is about; one alert a subject.")
    severity: AlertSeverity = Field(description="How bad it is.")
    message: str = Field(description="What to know or to do.")
    since: datetime = Field(description="Since when it has been so, in UTC.")


class Status(BaseModel):
    """How the connection to Meta does."""

    configured: bool = Field(description="Whether a number is set.")
    connected: bool = Field(description="Messages go out, and Meta was heard from since anything last went wrong.")
    number: str | None = Field(description="Our number, as Meta last told.", examples=["+1 555-000-0000"])
    phone_number_id: str = Field(description="Meta's id of our number.")
    name: str | None = Field(description="The name that customers see, as Meta last told.")
    quality: str | None = Field(description="The number's quality, as Meta last told.", examples=["GREEN"])
    number_status: str | None = Field(description="The number's status, as Meta last told.", examples=["CONNECTED"])
    channel: Channel = Field(description="Whether messages go out.")
    alerts: list[ShownAlert] = Field(description="What there is to know or to fix.")
    last_webhook: datetime | None = Field(description="When Meta last sent us something, in UTC.")
    last_error: LastError | None = Field(description="What last went wrong.")
    journal: dict[str, int] = Field(description="How many items arrived, and what became of them.")
    outbox: dict[str, int] = Field(description="How many messages of ours wait or failed, by status.")


async def read_status(tx: Tx, phone_number_id: str) -> Status:
    """Reads how the connection does now."""
    items = (await kept_counts.count_items(tx))._asdict()
    rows = await kept_counts.count_outbox(tx)
    health = await connection_health.read(tx)
    open_alerts = await alerts.list_open(tx)
    number = parse_snapshot(await meta_snapshots.read(tx, phone_number_id))
    heard_at = max((at for at in (health.webhook_at, health.send_at) if at is not None), default=None)
    is_well = heard_at is not None and (health.error_at is None or health.error_at <= heard_at)
    channel = _describe_channel(open_alerts)
    return Status(
        configured=bool(phone_number_id),
        connected=is_well and channel.state == "open",
        number=number.number or None,
        phone_number_id=phone_number_id,
        name=number.name or None,
        quality=number.quality or None,
        number_status=number.status or None,
        channel=channel,
        alerts=[
            ShownAlert(subject=each.subject, severity=each.severity, message=each.message, since=each.raised_at)
            for each in open_alerts
        ],
        last_webhook=health.webhook_at,
        last_error=_describe_last_error(health.error, health.error_at),
        journal=items,
        outbox={name: rows.get(name, 0) for name in delivery_text.BACKLOG_LABELS},
    )


def _describe_channel(open_alerts: list[Alert]) -> Channel:
    stop = next((each for each in open_alerts if each.subject == SUBJECT and each.severity is AlertSeverity.RED), None)
    if stop is None:
        return Channel(state="open", reason=None, since=None)
    return Channel(state="stopped", reason=stop.message, since=stop.raised_at)


def _describe_last_error(why: Why, at: datetime | None) -> LastError | None:
    return None if at is None else LastError(message=delivery_text.explain_reason(why), at=at)
