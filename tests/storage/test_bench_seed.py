"""What `tick bench --seed` fills in is what Tick would have written, and goes nowhere where there are customers."""

from datetime import UTC, datetime

import pytest

from storage import bench_seed, kept_counts
from storage.bench_seed import NotEmpty
from storage.count_settlement import LACKING
from storage.sql.database import Database
from storage.statuses import TicketStatus
from tests.support.event_log import SELECTS, LoggedTables, find_disagreements

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_it_is_what_tick_would_have_written(database: Database) -> None:
    lines: list[str] = []
    await bench_seed.seed(database, 1000, NOW, lines.append)
    async with database.reading() as tx:
        assert find_disagreements(LoggedTables(*[await tx.fetch(sql) for sql in SELECTS])) == []
        assert await tx.fetch(LACKING) in ([], ())
        counts = await kept_counts.count_items(tx)
        assert (counts.received, counts.pending) == (1000, 0)
        assert await kept_counts.count_tickets(tx) == 200
        assert await kept_counts.count_tickets(tx, TicketStatus.NEW, "hardware") == 8
    assert "item: 1,000" in lines


async def test_where_customers_are_nothing_is_filled_in(database: Database) -> None:
    await bench_seed.seed(database, 20, NOW, lambda line: None)
    with pytest.raises(NotEmpty):
        await bench_seed.seed(database, 20, NOW, lambda line: None)
    async with database.reading() as tx:
        assert (await kept_counts.count_items(tx)).received == 20
