"""Adds to the kept counts what they lack of the tables: rows that an earlier version wrote, which counted nothing.

An upgrade keeps the earlier version at work until the migrations have passed, so it goes on writing after they have
filled the counts. Once it has gone, one settlement makes them exact, and from then on they stay so by themselves.
"""

from tortoise.exceptions import IntegrityError

from storage.sql.database import Database, Tx

MAX_SECONDS = 600.0  # five million items take less than a minute
# What the counts lack, in one snapshot: while every writer counts, this is the same in any.
LACKING = """
SELECT counted, state, topic, SUM(number) AS total FROM (
    SELECT 'item' AS counted, fate AS state, '' AS topic, COUNT(*) AS number FROM item GROUP BY fate
    UNION ALL SELECT 'item', 'duplicates', '', COALESCE(SUM(duplicates), 0) FROM item
    UNION ALL SELECT 'item', fate, '', SUM(total) FROM daily_total GROUP BY fate
    UNION ALL SELECT 'outbox', status, '', COUNT(*) FROM outbox GROUP BY status
    UNION ALL SELECT 'ticket', status, issue_type, COUNT(*) FROM ticket GROUP BY status, issue_type
    UNION ALL SELECT counted, state, topic, -SUM(total) FROM kept_count GROUP BY counted, state, topic
) AS numbers GROUP BY counted, state, topic HAVING SUM(number) <> 0
"""
SETTLED = "settled"


async def settle(database: Database) -> int:
    """Adds what the counts lack, unless that was done before; returns how many counts were wrong.

    On SQLite nobody else has written since the migration, and a long look at the tables would keep everybody waiting.
    """
    if database.dialect == "sqlite":
        return 0
    async with database.reading() as tx:
        if await tx.fetch("SELECT id FROM kept_count WHERE id = ?", [SETTLED]):
            return 0
    try:
        async with database.transaction(MAX_SECONDS) as tx:
            await tx.insert("kept_count", ("id", "counted", "state", "topic", "total"), [(SETTLED, SETTLED, "", "", 0)])
            return await add_lacking(tx, SETTLED)
    except IntegrityError:
        return 0  # another process does it


async def add_lacking(tx: Tx, shard: str) -> int:
    """Adds what the counts lack, as rows of a shard of their own; returns how many they are."""
    parts = ("counted", "'.'", "state", f"'.{shard}.'", "ROW_NUMBER() OVER ()")
    key = " || ".join(parts) if tx.dialect == "sqlite" else f"CONCAT({', '.join(parts)})"
    return await tx.execute(
        "INSERT INTO kept_count (id, counted, state, topic, total) "
        f"SELECT {key}, counted, state, topic, total FROM ({LACKING}) AS lacking"
    )
