"""The people at the desk, and their sessions.

Invariant: nobody who is disabled is found here, neither by e-mail nor by a session that is still open; a session is
stored by its digest, which lets nobody in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Row, Tx

COLUMNS = "agent.id, agent.email, agent.name, agent.role, agent.password_hash"


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """An agent who may sign in."""

    agent_id: int
    email: str
    name: str
    role: str
    password_hash: str


async def by_email(tx: Tx, email: str) -> StoredAgent | None:
    """The agent with exactly this address, whatever the database holds equal."""
    rows = await tx.fetch(f"SELECT {COLUMNS} FROM agent WHERE email = ? AND disabled_at IS NULL", [email])
    return _one([row for row in rows if row[1] == email])


async def by_session(tx: Tx, digest: str, now: datetime) -> StoredAgent | None:
    """Whose session this is, as long as it lasts."""
    rows = await tx.fetch(
        f"SELECT {COLUMNS} FROM desk_session JOIN agent ON agent.id = desk_session.agent_id "
        "WHERE desk_session.digest = ? AND desk_session.expires_at > ? AND agent.disabled_at IS NULL",
        [digest, to_millis(now)],
    )
    return _one(rows)


async def end_sessions(tx: Tx, digest: str, now: datetime) -> None:
    """Forgets this session, and those whose time is over."""
    await tx.execute("DELETE FROM desk_session WHERE digest = ? OR expires_at <= ?", [digest, to_millis(now)])


async def begin_session(tx: Tx, digest: str, agent_id: int, expires_at: datetime) -> None:
    """Remembers a session."""
    row = (digest, agent_id, to_millis(expires_at))
    await tx.insert("desk_session", ("digest", "agent_id", "expires_at"), [row])


async def renew_hash(tx: Tx, agent: StoredAgent, password_hash: str) -> None:
    """Keeps the same password by another hash, unless it was changed meanwhile."""
    await tx.execute(
        "UPDATE agent SET password_hash = ? WHERE id = ? AND password_hash = ?",
        [password_hash, agent.agent_id, agent.password_hash],
    )


def _one(rows: Sequence[Row]) -> StoredAgent | None:
    return StoredAgent(*rows[0]) if rows else None
