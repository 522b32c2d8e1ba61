"""Finds, makes and revokes the keys to the REST API (table `api_key`), and records when one was last used.

Invariants
- A key is found by its digest alone, so what is stored here lets nobody in.
- A key that was revoked stays revoked, and is never found again.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx

LISTED_COLUMNS = "id, name, role, prefix, created_at, expires_at, revoked_at, last_used_at"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was not revoked. It may have expired: `expires_at` is None for one that never does."""

    key_id: int
    name: str
    role: str
    prefix: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is yet to be stored."""

    key_id: int
    name: str
    role: str
    prefix: str
    digest: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key as an operator sees it; the fields are LISTED_COLUMNS. `last_used_at` is right to about a minute."""

    key_id: int
    name: str
    role: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


async def find(tx: Tx, digest: str) -> StoredKey | None:
    """Finds the key with this digest, unless it was revoked."""
    rows = await tx.fetch(
        "SELECT id, name, role, prefix, expires_at FROM api_key WHERE digest = ? AND revoked_at IS NULL", [digest]
    )
    if not rows:
        return None
    key_id, name, role, prefix, expires_at = rows[0]
    return StoredKey(key_id, name, role, prefix, _read_instant(expires_at))


async def list_keys(tx: Tx) -> list[ListedKey]:
    """Lists every key that was ever made, the oldest first."""
    return [_to_listed(row) for row in await tx.fetch(f"SELECT {LISTED_COLUMNS} FROM api_key ORDER BY id")]


async def insert(tx: Tx, key: NewKey) -> None:
    """Inserts a new key."""
    expires_at = None if key.expires_at is None else to_millis(key.expires_at)
    row = (key.key_id, key.name, key.role, key.prefix, key.digest, to_millis(key.created_at), expires_at)
    await tx.insert("api_key", ("id", "name", "role", "prefix", "digest", "created_at", "expires_at"), [row])


async def revoke(tx: Tx, key_id: int, at: datetime) -> bool:
    """Revokes a key; returns False where it was revoked already."""
    return bool(
        await tx.execute(
            "UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", [to_millis(at), key_id]
        )
    )


async def record_use(tx: Tx, key_id: int, at: datetime, recorded_before: datetime) -> None:
    """Records that a key was used, unless a use was recorded since `recorded_before`, by this process or another."""
    await tx.execute(
        "UPDATE api_key SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)",
        [to_millis(at), key_id, to_millis(recorded_before)],
    )


def _to_listed(row: Row) -> ListedKey:
    key_id, name, role, prefix, created_at, *instants = row
    expires_at, revoked_at, last_used_at = map(_read_instant, instants)
    return ListedKey(
        key_id=key_id,
        name=name,
        role=role,
        prefix=prefix,
        created_at=from_millis(created_at),
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
    )


def _read_instant(millis: int | None) -> datetime | None:
    return None if millis is None else from_millis(millis)
