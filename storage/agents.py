"""Reads and writes the people at the desk (table `agent`), and their sessions (table `desk_session`).

Invariants
- Nobody who is disabled can come in: they are found neither by e-mail nor by a session that is still open.
- A session is stored by its digest, which lets nobody in.
- A sign-in and what takes one away change the agent's row first, so of two at once one comes after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx

COLUMNS = "agent.id, agent.email, agent.name, agent.role, agent.password_hash"
ADMIN = "admin"  # the role that may do everything


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """An agent who may sign in; the fields are COLUMNS."""

    agent_id: int
    email: str
    name: str
    role: str
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent:
    """An agent as an operator sees them. `open_sessions`: in how many browsers they are signed in."""

    agent_id: int
    email: str
    name: str
    role: str
    created_at: datetime
    disabled_at: datetime | None
    last_sign_in_at: datetime | None
    open_sessions: int


async def list_agents(tx: Tx, now: datetime) -> list[ListedAgent]:
    """Lists every agent, the disabled ones too, by their addresses."""
    rows = await tx.fetch(
        "SELECT id, email, name, role, created_at, disabled_at, last_sign_in_at, "
        "(SELECT COUNT(*) FROM desk_session WHERE desk_session.agent_id = agent.id AND expires_at > ?) "
        "FROM agent ORDER BY email",
        [to_millis(now)],
    )
    return [_to_listed(row) for row in rows]


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


async def end_all_sessions(tx: Tx, agent_id: int) -> int:
    """Deletes every session of this agent; returns how many there were."""
    return await tx.execute("DELETE FROM desk_session WHERE agent_id = ?", [agent_id])


async def end_every_session(tx: Tx) -> int:
    """Deletes every session there is; returns how many there were."""
    return await tx.execute("DELETE FROM desk_session")


async def begin_session(tx: Tx, digest: str, agent: StoredAgent, now: datetime, expires_at: datetime) -> bool:
    """Inserts a session of an agent whose password was right; returns False where it no longer is, or the agent was
    disabled meanwhile."""
    at = to_millis(now)
    unchanged = "id = ? AND password_hash = ? AND disabled_at IS NULL"
    known = [agent.agent_id, agent.password_hash]
    # MySQL counts no row that had this very value; of two sign-ins in one millisecond the second one looks.
    if not await tx.execute(f"UPDATE agent SET last_sign_in_at = ? WHERE {unchanged}", [at, *known]):
        rows = await tx.fetch(f"SELECT id FROM agent WHERE {unchanged} AND last_sign_in_at = ?", [*known, at])
        if not rows:
            return False
    row = (digest, agent.agent_id, to_millis(expires_at))
    await tx.insert("desk_session", ("digest", "agent_id", "expires_at"), [row])
    return True


async def lock_admins(tx: Tx) -> list[int]:
    """Locks the rows of all admins who may sign in, until the end of the transaction; returns their ids.

    Who takes one of them away begins with this, so that two at once do not each count on the other's.
    """
    await tx.execute("UPDATE agent SET role = role WHERE role = ? AND disabled_at IS NULL", [ADMIN])
    rows = await tx.fetch("SELECT id FROM agent WHERE role = ? AND disabled_at IS NULL", [ADMIN])
    return [agent_id for (agent_id,) in rows]


async def disable(tx: Tx, agent_id: int, at: datetime) -> bool:
    """Locks an agent out and ends their sessions; returns False where they were locked out already."""
    changed = await tx.execute(
        "UPDATE agent SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL", [to_millis(at), agent_id]
    )
    await end_all_sessions(tx, agent_id)
    return bool(changed)


async def enable(tx: Tx, agent_id: int) -> bool:
    """Lets an agent sign in again; returns False where they may already."""
    return bool(
        await tx.execute("UPDATE agent SET disabled_at = NULL WHERE id = ? AND disabled_at IS NOT NULL", [agent_id])
    )


async def set_role(tx: Tx, agent_id: int, role: str) -> bool:
    """Gives an agent another role, from their next request on; returns False where it is the one that they have."""
    return bool(await tx.execute("UPDATE agent SET role = ? WHERE id = ? AND role <> ?", [role, agent_id, role]))


async def set_password_hash(tx: Tx, agent_id: int, password_hash: str) -> None:
    """Replaces the hash by that of another password, and ends the sessions that the old one began."""
    await tx.execute("UPDATE agent SET password_hash = ? WHERE id = ?", [password_hash, agent_id])
    await end_all_sessions(tx, agent_id)


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


def _to_listed(row: Row) -> ListedAgent:
    agent_id, email, name, role, created_at, disabled_at, last_sign_in_at, open_sessions = row
    return ListedAgent(
        agent_id=agent_id,
        email=email,
        name=name,
        role=role,
        created_at=from_millis(created_at),
        disabled_at=None if disabled_at is None else from_millis(disabled_at),
        last_sign_in_at=None if last_sign_in_at is None else from_millis(last_sign_in_at),
        open_sessions=open_sessions,
    )
