"""A rehearsal says whether a webhook would be stored, and leaves nothing behind."""

import pytest

from bot.intake.rehearsal import Rehearsal
from tests.bot.world import World

TABLES = ("item", "customer", "alias", "conversation", "outbox", "alert", "daily_total", "kept_count")


@pytest.fixture
def rehearsal(world: World) -> Rehearsal:
    return Rehearsal(database=world.database, intake=world.intake, clock=world.clock)


async def count_rows(world: World) -> dict[str, int]:
    return {table: (await world.rows(f"SELECT COUNT(*) FROM {table}"))[0][0] for table in TABLES}  # noqa: S608 - ours


@pytest.mark.parametrize("thorough", [False, True])
async def test_nothing_is_left_but_the_probe(world: World, rehearsal: Rehearsal, thorough: bool) -> None:
    await world.write("Hi")
    before, counts = await count_rows(world), await world.counts()
    for _ in range(3):
        await rehearsal.run(thorough=thorough)
    assert (await count_rows(world), await world.counts()) == (before, counts)
    ((size,),) = await world.rows("SELECT LENGTH(body) FROM write_probe")
    assert size == (65536 if thorough else 0)


@pytest.mark.parametrize("table", ["item", "customer", "alias", "conversation", "kept_count", "write_probe"])
async def test_what_is_missing_is_found(world: World, rehearsal: Rehearsal, table: str) -> None:
    await world.database.run(lambda tx: tx.execute(f"ALTER TABLE {table} RENAME TO away"))
    try:
        with pytest.raises(Exception, match="no such table|doesn't exist"):
            await rehearsal.run(thorough=False)
    finally:
        await world.database.run(lambda tx: tx.execute(f"ALTER TABLE away RENAME TO {table}"))
    await rehearsal.run(thorough=False)
