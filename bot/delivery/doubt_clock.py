"""Measures how long rows have been in doubt, in time in which news of them could come.

Invariants
- A doubt lasts doubt_seconds in which somebody answered webhooks without a gap, by the clock of whoever did. After a
  gap it begins anew; while nobody answers it does not end.
- What has come of the customer's statuses is applied before a doubt ends.
"""

from datetime import datetime, timedelta

from bot.delivery.doubt import find_doubt_end
from storage import answering, journal
from storage.outbox import OutboxRow
from storage.sql.database import Database


class DoubtClock:
    """Measures for one process."""

    def __init__(self, database: Database, doubt_seconds: float) -> None:
        self._database = database
        self.doubt = timedelta(seconds=doubt_seconds)

    async def find_end(self, row: OutboxRow) -> datetime | None:
        """Returns when the doubt of a row that is due ends at the earliest; None: it has ended. Raises DatabaseDown."""
        async with self._database.reading() as tx:
            # in this order: what came before the spans were read is known to have come
            spans = await answering.load_spans(tx)
            has_news = await journal.has_pending_statuses(tx, row.customer_id)
        end = find_doubt_end(row.due_at, self.doubt, spans)
        return row.due_at if end is None and has_news else end
