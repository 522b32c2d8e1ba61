"""Keeps the pulses of workers that Redis does not hear (table `worker_pulse`): without them, nobody could tell a worker
that lives from one that died.

Invariants
- Who lives is told by pulses that go on, never by their time: machines' clocks differ, and are set.
- A worker that Redis hears again has no row.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx

FORGOTTEN_AFTER = timedelta(hours=1)  # whoever gave it is long dead


class WorkerPulse(NamedTuple):
    """How often a worker has given its pulse, and when it last did, by its own clock."""

    owner: str
    beats: int
    beat_at: datetime


async def beat(tx: Tx, owner: str, at: datetime) -> None:
    """Gives this worker's pulse once more."""
    clash = (
        "CONFLICT (owner) DO UPDATE SET beats = beats + 1, beat_at = excluded.beat_at"
        if tx.dialect == "sqlite"
        else "DUPLICATE KEY UPDATE beats = beats + 1, beat_at = VALUES(beat_at)"
    )
    await tx.execute(
        f"INSERT INTO worker_pulse (owner, beats, beat_at) VALUES (?, 1, ?) ON {clash}", [owner, to_millis(at)]
    )


async def list_pulses(tx: Tx) -> Sequence[WorkerPulse]:
    """Lists the pulses that are kept, by owner."""
    rows = await tx.fetch("SELECT owner, beats, beat_at FROM worker_pulse ORDER BY owner")
    return [WorkerPulse(owner, beats, from_millis(at)) for owner, beats, at in rows]


async def end(tx: Tx, owner: str, at: datetime) -> None:
    """Forgets this worker's pulse, which Redis has again, and those of the long dead."""
    await tx.execute(
        "DELETE FROM worker_pulse WHERE owner = ? OR beat_at < ?", [owner, to_millis(at - FORGOTTEN_AFTER)]
    )
