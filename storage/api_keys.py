"""Finds the keys to the REST API (table `api_key`) by which callers are let in.

Invariants
- A key is found by its digest alone, so what is stored here lets nobody in.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis
from storage.sql.database import Tx


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was not revoked. It may have expired: `expires_at` is None for one that never does."""

    name: str
    role: str
    prefix: str
    expires_at: datetime | None


async def find(tx: Tx, digest: str) -> StoredKey | None:
    """Finds the key with this digest, unless it was revoked."""
    rows = await tx.fetch(
        "SELECT name, role, prefix, expires_at FROM api_key WHERE digest = ? AND revoked_at IS NULL", [digest]
    )
    if not rows:
        return None
    name, role, prefix, expires_at = rows[0]
    return StoredKey(name, role, prefix, None if expires_at is None else from_millis(expires_at))
