"""Who changed what: a line is written in the transaction of its change, and never altered.

Invariant: the id is made before the transaction, so a line that is there says that the change has landed, also when the
outcome of its commit was not heard.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx

COLUMNS = ("id", "at", "actor", "action", "object_id", "detail")


@dataclass(frozen=True, slots=True)
class Line:
    """One change, and who made it."""

    audit_id: int
    at: datetime
    actor: str
    action: str
    object_id: int | str
    detail: str = ""


async def landed(tx: Tx, audit_id: int) -> bool:
    """Whether an earlier try of this change was committed."""
    return bool(await tx.fetch("SELECT id FROM audit WHERE id = ?", [audit_id]))


async def write(tx: Tx, line: Line) -> None:
    """Adds the line."""
    row = (line.audit_id, to_millis(line.at), line.actor[:200], line.action, str(line.object_id), line.detail)
    await tx.insert("audit", COLUMNS, [row])
