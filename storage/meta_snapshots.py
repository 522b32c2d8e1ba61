"""What Meta last said when it was asked about one of our objects, as JSON, and when it was asked.

Invariant: of all processes that want to ask, one gets the claim, and nobody gets another before its time: Meta counts
these calls.
"""

import hashlib
from datetime import datetime, timedelta

from storage.sql.columns import to_millis
from storage.sql.database import Tx

LONGEST_ID = 32
EMPTY = "{}"


async def claim(tx: Tx, object_id: str, now: datetime, every: timedelta) -> bool:
    """True for the one who may ask now; the others read what it finds. A time that lies ahead is a clock gone back."""
    key, clash = _key(object_id), "CONFLICT (phone_number_id) DO NOTHING"
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
    """What is known, as JSON."""
    rows = await tx.fetch("SELECT body FROM account WHERE phone_number_id = ?", [_key(object_id)])
    return str(rows[0][0]) if rows else EMPTY


async def write(tx: Tx, object_id: str, body: str) -> None:
    """Notes what was found, after a claim."""
    await tx.execute("UPDATE account SET body = ? WHERE phone_number_id = ?", [body, _key(object_id)])


def _key(object_id: str) -> str:
    """Itself as a rule: what is no id of Meta's has to fit all the same, to be told of by whoever asks."""
    if object_id.isascii() and len(object_id) <= LONGEST_ID:
        return object_id
    return hashlib.sha256(object_id.encode()).hexdigest()[:LONGEST_ID]
