"""Remembers from which networks agents have signed in (table `sign_in_network`), as digests.

Invariants
- Of an agent at most MAX_NETWORKS are kept; the one that was used longest ago goes first.
"""

from collections.abc import Sequence
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx

MAX_NETWORKS = 50  # of an agent: offices, homes, and the many networks of a phone


async def is_any_known(tx: Tx, digests: Sequence[str]) -> bool:
    """Whether one of these digests is kept."""
    places = ", ".join("?" for _ in digests)
    return bool(await tx.fetch(f"SELECT digest FROM sign_in_network WHERE digest IN ({places}) LIMIT 1", list(digests)))


async def remember(tx: Tx, digest: str, agent_id: int, now: datetime, forgotten_before: datetime) -> None:
    """Keeps the digest of a network that this agent signs in from now; forgets old ones. Safe to run twice."""
    clash = (
        "CONFLICT (digest) DO UPDATE SET last_at = excluded.last_at"
        if tx.dialect == "sqlite"
        else "DUPLICATE KEY UPDATE last_at = VALUES(last_at)"
    )
    await tx.execute(
        f"INSERT INTO sign_in_network (digest, agent_id, last_at) VALUES (?, ?, ?) ON {clash}",
        [digest, agent_id, to_millis(now)],
    )
    kept = await tx.fetch(
        "SELECT digest FROM sign_in_network WHERE agent_id = ? AND last_at >= ? ORDER BY last_at DESC, digest LIMIT ?",
        [agent_id, to_millis(forgotten_before), MAX_NETWORKS],
    )
    places = ", ".join("?" for _ in kept)
    await tx.execute(
        f"DELETE FROM sign_in_network WHERE agent_id = ? AND digest NOT IN ({places})",
        [agent_id, *(row[0] for row in kept)],
    )
