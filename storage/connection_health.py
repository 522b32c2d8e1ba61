"""Reads how the connection to Meta is from the journal and the outbox, so that every process tells the same.

Invariants
- Each sign is found at the end of an index, however much is stored.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import OutboxReason, OutboxStatus, Why

# Reasons that say nothing about the connection.
UNRELATED_REASONS = (
    OutboxReason.NONE,
    OutboxReason.WINDOW_CLOSED,
    OutboxReason.NO_TEMPLATE,
    OutboxReason.SUPERSEDED,
    OutboxReason.RATE_LIMITED,
)
TROUBLED_STATUSES = (OutboxStatus.QUEUED, OutboxStatus.UNKNOWN, OutboxStatus.FAILED)


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """When Meta last wrote to us (`webhook_at`) and last took or reported a message of ours (`send_at`); what last went
    wrong with one, and when."""

    webhook_at: datetime | None
    send_at: datetime | None
    error: Why
    error_at: datetime | None


async def read(tx: Tx) -> ConnectionHealth:
    """Reads how it is now."""
    webhook = await tx.fetch("SELECT received_at FROM item ORDER BY id DESC LIMIT 1")
    send = await tx.fetch("SELECT status_at FROM outbox WHERE wamid IS NOT NULL ORDER BY id DESC LIMIT 1")
    errors = await tx.fetch(
        f"SELECT status_at, reason, detail FROM outbox WHERE status IN ({placeholders(len(TROUBLED_STATUSES))}) "
        f"AND reason NOT IN ({placeholders(len(UNRELATED_REASONS))}) ORDER BY id DESC LIMIT 1",
        [*TROUBLED_STATUSES, *UNRELATED_REASONS],
    )
    return ConnectionHealth(
        webhook_at=from_millis(webhook[0][0]) if webhook else None,
        send_at=from_millis(send[0][0]) if send else None,
        error=Why(OutboxReason(errors[0][1]), errors[0][2]) if errors else Why(),
        error_at=from_millis(errors[0][0]) if errors else None,
    )
