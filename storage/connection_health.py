"""Reads how the connection to Meta is from the journal and the outbox, so that every process tells the same.

Invariants
- Each sign is found at the end of an index, however much is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis
from storage.sql.database import Tx, placeholders
from storage.statuses import OutboxReason, OutboxStatus, Why

# Reasons that say something about the connection.
TROUBLES = tuple(
    reason
    for reason in OutboxReason
    if reason
    not in (
        OutboxReason.NONE,
        OutboxReason.WINDOW_CLOSED,
        OutboxReason.NO_TEMPLATE,
        OutboxReason.SUPERSEDED,
        OutboxReason.RATE_LIMITED,
    )
)
TROUBLED_STATUSES = (OutboxStatus.QUEUED, OutboxStatus.UNKNOWN, OutboxStatus.FAILED)
TAKEN_STATUSES = (OutboxStatus.ACCEPTED, OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.READ)


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
    newest = "SELECT status_at FROM outbox WHERE status = ? ORDER BY due_at DESC LIMIT 1"
    send = await tx.fetch(_unite([newest] * len(TAKEN_STATUSES), "status_at"), TAKEN_STATUSES)
    wrong = (
        "SELECT id, status_at, reason, detail FROM outbox "
        f"WHERE reason = ? AND status IN ({placeholders(len(TROUBLED_STATUSES))}) ORDER BY id DESC LIMIT 1"
    )
    values = [value for reason in TROUBLES for value in (reason, *TROUBLED_STATUSES)]
    errors = await tx.fetch(_unite([wrong] * len(TROUBLES), "id"), values)
    return ConnectionHealth(
        webhook_at=from_millis(webhook[0][0]) if webhook else None,
        send_at=from_millis(send[0][0]) if send else None,
        error=Why(OutboxReason(errors[0][2]), errors[0][3]) if errors else Why(),
        error_at=from_millis(errors[0][1]) if errors else None,
    )


def _unite(selects: Sequence[str], order: str) -> str:
    """Makes one statement of several, each of which looks at the end of an index, the greatest first."""
    parts = " UNION ALL ".join(f"SELECT * FROM ({select}) AS part{at}" for at, select in enumerate(selects))
    return f"{parts} ORDER BY {order} DESC LIMIT 1"
