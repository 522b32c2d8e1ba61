"""Signs of life of the connection to Meta, read from what is stored anyway, so every process tells the same.

Invariant: each is found by the end of an index, however much is stored.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import OutboxReason, OutboxStatus, Why

# Reasons that say nothing about the connection.
OURS = (
    OutboxReason.NONE,
    OutboxReason.WINDOW_CLOSED,
    OutboxReason.NO_TEMPLATE,
    OutboxReason.SUPERSEDED,
    OutboxReason.RATE_LIMITED,
)
IN_TROUBLE = (OutboxStatus.QUEUED, OutboxStatus.UNKNOWN, OutboxStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Pulse:
    """When Meta last wrote to us and last took or reported a message of ours; what last went wrong with one."""

    webhook_at: datetime | None
    send_at: datetime | None
    error: Why
    error_at: datetime | None


async def read(tx: Tx) -> Pulse:
    """How it is now."""
    webhook = await tx.fetch("SELECT received_at FROM item ORDER BY id DESC LIMIT 1")
    send = await tx.fetch("SELECT status_at FROM outbox WHERE wamid IS NOT NULL ORDER BY id DESC LIMIT 1")
    errors = await tx.fetch(
        f"SELECT status_at, reason, detail FROM outbox WHERE status IN ({placeholders(len(IN_TROUBLE))}) "
        f"AND reason NOT IN ({placeholders(len(OURS))}) ORDER BY id DESC LIMIT 1",
        [*IN_TROUBLE, *OURS],
    )
    return Pulse(
        webhook_at=from_millis(webhook[0][0]) if webhook else None,
        send_at=from_millis(send[0][0]) if send else None,
        error=Why(OutboxReason(errors[0][1]), errors[0][2]) if errors else Why(),
        error_at=from_millis(errors[0][0]) if errors else None,
    )
