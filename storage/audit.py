"""Writes the audit (table `audit`): who changed what, one line for each change, in the transaction of the change.

Invariants
- A line is never altered.
- Its id is made before the transaction, so a line that is there says that the change was committed, also when the
  outcome of the commit was not heard.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import AuditAction

COLUMNS = ("id", "at", "actor", "action", "object_id", "detail")
MAX_ACTOR_LENGTH = 200  # characters


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One change, and who made it."""

    audit_id: int
    at: datetime
    actor: str
    action: AuditAction
    object_id: int | str
    detail: str = ""


async def is_committed(tx: Tx, audit_id: int) -> bool:
    """Returns whether an earlier try of this change was committed."""
    return bool(await tx.fetch("SELECT id FROM audit WHERE id = ?", [audit_id]))


async def write(tx: Tx, line: AuditLine) -> None:
    """Inserts the line."""
    actor, object_id = line.actor[:MAX_ACTOR_LENGTH], str(line.object_id)
    await tx.insert("audit", COLUMNS, [(line.audit_id, to_millis(line.at), actor, line.action, object_id, line.detail)])


async def write_once(tx: Tx, line: AuditLine) -> None:
    """Inserts the line, unless an earlier try has."""
    if not await is_committed(tx, line.audit_id):
        await write(tx, line)
