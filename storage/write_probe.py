"""Finds out whether the database takes writes, by making some: one row of a table of its own is written and committed.

Invariants
- What is rehearsed is taken back, whatever it wrote.
- The commit is as durable as any other, so a disk that is full or read-only shows.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx

PROBE_ID = 1
# A new customer's message changes about a dozen pages of 4 KB. After a webhook that could not be stored as much has to
# fit: a single page may still find room where they don't.
THOROUGH_CHARACTERS = 64 * 1024


async def rehearse(tx: Tx, work: Callable[[Tx], Awaitable[object]]) -> None:
    """Runs `work`, and what a transaction does last, and takes back what they wrote."""
    await tx.execute("SAVEPOINT rehearsal")
    rehearsed = Tx(tx.client, tx.dialect)
    await work(rehearsed)
    for last in rehearsed.before_commit:
        await last(rehearsed)
    await tx.execute("ROLLBACK TO SAVEPOINT rehearsal")


async def write(tx: Tx, at: datetime, *, thorough: bool) -> None:
    """Writes the row; it is large if `thorough`."""
    body = "." * THOROUGH_CHARACTERS if thorough else ""
    clash = "CONFLICT (id) DO UPDATE SET" if tx.dialect == "sqlite" else "DUPLICATE KEY UPDATE"
    await tx.execute(
        f"INSERT INTO write_probe (id, written_at, body) VALUES (?, ?, ?) ON {clash} written_at = ?, body = ?",
        [PROBE_ID, to_millis(at), body, to_millis(at), body],
    )
