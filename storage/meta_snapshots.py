"""Keeps what Meta last said of one of our objects, as JSON, and when it was asked (table `account`).

Invariants
- Of all processes that want to ask Meta, one gets the claim, and nobody gets another before its time, since Meta counts
  these calls.
"""

import hashlib
from datetime import datetime, timedelta

from storage.sql.columns import to_millis
from storage.sql.database import Tx

MAX_ID_LENGTH = 32  # characters
EMPTY = "{}"


async def claim(tx: Tx, object_id: str, now: datetime, every: timedelta) -> bool:
    """Returns True to the one process that may ask now; the others read what it finds. A claim that lies ahead, as it
    does once a clock was set back, counts for nothing."""
    key, clash = _to_key(object_id), "CONFLICT (phone_number_id) DO NOTHING"
    if tx.dialect != "sqlite":
        clash = "DUPLICATE KEY UPDATE phone_number_id = phone_number_id"
    await tx.execute(
        f"INSERT INTO account (phone_number_id, body, asked_at) VALUES (?, ?, -1) ON {clash}", [key, EMPTY]
    )
    return bool(
        await tx.execute(
            "UPDATE account SET asked_at = ? WHERE phone_number_id = ? AND (asked_at <= ? OR asked_at > ?)",
            [to_millis(now), key, to_millis(now - every), to_millis(now + every)],
        )
    )


async def read(tx: Tx, object_id: str) -> str:
    """Reads what is known, as JSON."""
    rows = await tx.fetch("SELECT body FROM account WHERE phone_number_id = ?", [_to_key(object_id)])
    return str(rows[0][0]) if rows else EMPTY


async def list_bodies(tx: Tx) -> list[str]:
    """Lists what is known of every object, as JSON."""
    return [row[0] for row in await tx.fetch("SELECT body FROM account ORDER BY phone_number_id")]


async def write(tx: Tx, object_id: str, body: str) -> None:
    """Stores what was found, after a claim."""
    await tx.execute("UPDATE account SET body = ? WHERE phone_number_id = ?", [body, _to_key(object_id)])


def _to_key(object_id: str) -> str:
    """Returns the id, or a hash of what is too long or strange to be one of Meta's: the column has to take that too."""
    if object_id.isascii() and len(object_id) <= MAX_ID_LENGTH:
        return object_id
    return hashlib.sha256(object_id.encode()).hexdigest()[:MAX_ID_LENGTH]
