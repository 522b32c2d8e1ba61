"""Reads how the connection to Meta does, for REST and the desk alike.

Invariants
- It holds counts and sentences, never what a customer or an agent wrote.
- It is read from what is stored: nobody who asks for it makes us ask Meta.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from api.views import delivery_text
from bot.account.phone_number import parse_snapshot
from bot.delivery.circuit_breaker import SUBJECT
from storage import alerts, connection_health, journal_retention, meta_snapshots, outbox_reads
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, Why


class LastError(BaseModel):
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
    last_error: LastError | None
    journal: dict[str, int]
    outbox: dict[str, int]


async def read_status(tx: Tx, phone_number_id: str) -> Status:
    """Reads how the connection does now."""
    items = (await journal_retention.count_items(tx))._asdict()
    rows = await outbox_reads.count_statuses(tx)
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
