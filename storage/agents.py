"""Reads and writes the people at the desk (table `agent`), and their sessions (table `desk_session`).

Invariants
- Nobody who is disabled is found here, neither by e-mail nor by a session that is still open.
- A session is stored by its digest, which lets nobody in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Row, Tx

COLUMNS = "agent.id, agent.email, agent.name, agent.role, agent.password_hash"


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """An agent who may sign in; the fields are COLUMNS."""

    agent_id: int
    email: str
    name: str
    role: str
    password_hash: str


async def find_by_email(tx: Tx, email: str) -> StoredAgent | None:
    """Finds the agent with exactly this address, whatever else the database holds equal to it."""
    rows = await tx.fetch(f"SELECT {COLUMNS} FROM agent WHERE email = ? AND disabled_at IS NULL", [email])
    agents = [agent for agent in _from_rows(rows) if agent.email == email]
    return agents[0] if agents else None


async def find_by_session(tx: Tx, digest: str, now: datetime) -> StoredAgent | None:
    """Finds the agent whose session this is, as long as it lasts."""
    rows = await tx.fetch(
        f"SELECT {COLUMNS} FROM desk_session JOIN agent ON agent.id = desk_session.agent_id "
        "WHERE desk_session.digest = ? AND desk_session.expires_at > ? AND agent.disabled_at IS NULL",
        [digest, to_millis(now)],
    )
    agents = _from_rows(rows)
    return agents[0] if agents else None


async def end_sessions(tx: Tx, digest: str, now: datetime) -> None:
    """Deletes this session, and all that have expired."""
    await tx.execute("DELETE FROM desk_session WHERE digest = ? OR expires_at <= ?", [digest, to_millis(now)])


async def begin_session(tx: Tx, digest: str, agent_id: int, expires_at: datetime) -> None:
    """Inserts a session."""
    row = (digest, agent_id, to_millis(expires_at))
    await tx.insert("desk_session", ("digest", "agent_id", "expires_at"), [row])


async def renew_hash(tx: Tx, agent: StoredAgent, password_hash: str) -> None:
    """Replaces the hash by another one of the same password, unless the password was changed meanwhile."""
    await tx.execute(
        "UPDATE agent SET password_hash = ? WHERE id = ? AND password_hash = ?",
        [password_hash, agent.agent_id, agent.password_hash],
    )


def _from_rows(rows: Sequence[Row]) -> list[StoredAgent]:
    return [
        StoredAgent(agent_id=agent_id, email=email, name=name, role=role, password_hash=password_hash)
        for agent_id, email, name, role, password_hash in rows
    ]
