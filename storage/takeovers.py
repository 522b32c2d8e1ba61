"""Keeps how far each table of the original system was copied into ours (table `takeover`).

What is copied goes in with the step that says so, in one transaction: whenever a process dies, what is copied and what
is said to be are the same.

Invariants
- A step is made once: from the id at which the last one ended, and only while that is so.
- What an operator said when it began (country, time zone) holds until it is finished.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.sql.row_mapper import RowMapper

TICKETS, REPLIES = "tickets", "replies"  # the original system's tables, and the rows about them


@dataclass(frozen=True, slots=True)
class Takeover:
    """A row of the table `takeover`, whole. `highest_id`, `last_id`: the last that is to be copied, and that was."""

    name: str
    highest_id: int
    last_id: int
    copied: int
    country: str
    time_zone: str
    begun_at: datetime
    finished_at: datetime | None = None


_MAPPER = RowMapper(Takeover, {})


async def find_all(tx: Tx) -> dict[str, Takeover]:
    """Finds every row, by its name; none where nothing was ever taken over."""
    rows = await tx.fetch(f"SELECT {_MAPPER.column_list} FROM takeover")
    return {found.name: found for found in _MAPPER.from_rows(rows)}


async def begin(tx: Tx, takeovers: Sequence[Takeover]) -> None:
    """Inserts the rows; raises IntegrityError when another process was first."""
    await tx.insert("takeover", _MAPPER.columns, [_MAPPER.to_row(each) for each in takeovers])


async def advance(tx: Tx, seen: Takeover, last_id: int, copied: int) -> bool:
    """Notes that so many rows more were copied, up to `last_id`: the first statement of a step. Returns False when it
    is no longer as it was seen, and then the transaction has nothing to do."""
    return bool(
        await tx.execute(
            "UPDATE takeover SET last_id = ?, copied = copied + ? WHERE name = ? AND last_id = ? AND copied = ?",
            [last_id, copied, seen.name, seen.last_id, seen.copied],
        )
    )


async def finish(tx: Tx, at: datetime) -> bool:
    """Notes that all of it is there; returns False when that was noted before."""
    return bool(await tx.execute("UPDATE takeover SET finished_at = ? WHERE finished_at IS NULL", [to_millis(at)]))
