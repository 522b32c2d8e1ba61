"""Keeps which processes answer webhooks, since when without a gap, and when each last said so (table `answering`).

News of a message in doubt can come only while somebody answers webhooks. It is kept in SQL, since Redis may be lost.

Invariants
- A span ends where its process last said that it answers: what came after that is not known, and counts for nothing.
- Spans that touch are one, whichever processes they are of: one that begins beside another makes no gap.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx

KEPT_FOR = timedelta(hours=1)  # of a process that is gone; no doubt lasts as long


class AnsweringSpan(NamedTuple):
    """A time in which webhooks were answered, without a gap."""

    begun_at: datetime
    seen_at: datetime


async def record_span(tx: Tx, owner: str, span: AnsweringSpan) -> None:
    """Writes the span of this process over its earlier one. Safe to run twice."""
    clash = (
        "CONFLICT (owner) DO UPDATE SET begun_at = excluded.begun_at, seen_at = excluded.seen_at"
        if tx.dialect == "sqlite"
        else "DUPLICATE KEY UPDATE begun_at = VALUES(begun_at), seen_at = VALUES(seen_at)"
    )
    await tx.execute(
        f"INSERT INTO answering (owner, begun_at, seen_at) VALUES (?, ?, ?) ON {clash}",
        [owner, to_millis(span.begun_at), to_millis(span.seen_at)],
    )


async def forget_spans(tx: Tx, now: datetime) -> None:
    """Deletes spans that are long over, and those that end in the future: the clock was put back since, and they would
    seem to last. Whoever is alive writes its own again."""
    await tx.execute(
        "DELETE FROM answering WHERE seen_at < ? OR seen_at > ?", [to_millis(now - KEPT_FOR), to_millis(now)]
    )


async def load_spans(tx: Tx) -> list[AnsweringSpan]:
    """Loads the times in which webhooks were answered without a gap, by whichever processes, the latest last."""
    rows = await tx.fetch("SELECT begun_at, seen_at FROM answering")
    return join_spans(AnsweringSpan(from_millis(begun_at), from_millis(seen_at)) for begun_at, seen_at in rows)


def join_spans(spans: Iterable[AnsweringSpan]) -> list[AnsweringSpan]:
    """Joins the spans that touch; returns them in their order."""
    joined: list[AnsweringSpan] = []
    for span in sorted(spans):
        if joined and span.begun_at <= joined[-1].seen_at:
            joined[-1] = joined[-1]._replace(seen_at=max(joined[-1].seen_at, span.seen_at))
        else:
            joined.append(span)
    return joined
