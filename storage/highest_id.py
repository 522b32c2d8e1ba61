"""Finds the highest id that any process has made, which is the newest sign of what time it was here.

Invariants
- Each table is asked at the end of its key, however much is stored.
"""

from storage.sql.database import Tx

TABLES = ("item", "outbox", "reply", "ticket_event", "audit", "customer", "file")  # whose ids begin with the time


async def find_highest_id(tx: Tx) -> int:
    """Finds it; 0 where nothing is stored."""
    highest = " UNION ALL ".join(f"SELECT MAX(id) AS id FROM {table}" for table in TABLES)
    rows = await tx.fetch(f"SELECT MAX(id) FROM ({highest}) AS newest")
    return int(rows[0][0] or 0)
