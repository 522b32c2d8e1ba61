"""Raises, clears and lists alerts (table `alert`): what an operator has to know or fix, one row for each subject.

Invariants
- Of two words about one subject the one counts that was said later, not the one that came later: an older redelivery
  neither undoes newer news nor brings back what is over.
- Of two that were said at the same time, the one that came later counts.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx
from storage.statuses import AlertSeverity

MAX_SUBJECT_LENGTH = 200  # characters
MAX_MESSAGE_LENGTH = 500  # characters
LONG_AGO = -1  # an instant before all others


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. `raised_at`: when it was said; of one that is open, since when it has been as it is."""

    subject: str
    severity: AlertSeverity
    message: str
    raised_at: datetime


class _AlertRow(NamedTuple):
    severity: str
    message: str
    raised_at: int
    said_at: int
    cleared_at: int | None


async def raise_alert(tx: Tx, alert: Alert) -> bool:
    """Opens the subject's alert, or changes it; returns whether it is new, or other than before."""
    at, message = to_millis(alert.raised_at), _cut(alert.message)
    before = await _lock(tx, alert.subject)
    if at < before.said_at:
        return False
    is_repeated = before.cleared_at is None and (before.severity, before.message) == (alert.severity, message)
    raised_at = before.raised_at if is_repeated else at
    await tx.execute(
        "UPDATE alert SET severity = ?, message = ?, raised_at = ?, said_at = ?, cleared_at = NULL WHERE subject = ?",
        [alert.severity, message, raised_at, at, _to_key(alert.subject)],
    )
    return not is_repeated


async def clear(tx: Tx, subject: str, at: datetime) -> bool:
    """Notes that what the subject's alert says was over at `at`, also where none is open; returns whether one was."""
    said_at = to_millis(at)
    before = await _lock(tx, subject)
    if said_at < before.said_at:
        return False
    await tx.execute(
        "UPDATE alert SET said_at = ?, cleared_at = ? WHERE subject = ?", [said_at, said_at, _to_key(subject)]
    )
    return before.cleared_at is None


async def expire(tx: Tx, before: datetime, subject_prefix: str = "") -> None:
    """Ends alerts that were last said before `before`: those of severity `info`, or all whose subject begins with the
    prefix."""
    which, value = ("subject LIKE ?", f"{subject_prefix}%") if subject_prefix else ("severity = ?", AlertSeverity.INFO)
    await tx.execute(
        f"UPDATE alert SET cleared_at = said_at WHERE {which} AND cleared_at IS NULL AND said_at < ?",
        [value, to_millis(before)],
    )


async def list_open(tx: Tx) -> list[Alert]:
    """Lists what is open, the worst first, then the newest."""
    rows = await tx.fetch(
        "SELECT subject, severity, message, raised_at FROM alert WHERE cleared_at IS NULL "
        "ORDER BY CASE severity WHEN ? THEN 0 WHEN ? THEN 1 ELSE 2 END, raised_at DESC, subject",
        [AlertSeverity.RED, AlertSeverity.YELLOW],
    )
    return [
        Alert(subject, AlertSeverity(severity), message, from_millis(at)) for subject, severity, message, at in rows
    ]


async def find(tx: Tx, subject: str) -> Alert | None:
    """Finds the open alert of this subject."""
    rows = await tx.fetch(
        "SELECT severity, message, raised_at FROM alert WHERE subject = ? AND cleared_at IS NULL", [_to_key(subject)]
    )
    if not rows:
        return None
    severity, message, raised_at = rows[0]
    return Alert(subject, AlertSeverity(severity), message, from_millis(raised_at))


async def _lock(tx: Tx, subject: str) -> _AlertRow:
    """Locks the subject's row until the end of the transaction; inserts one that is over when there is none."""
    key = _to_key(subject)
    clash = "CONFLICT (subject) DO NOTHING" if tx.dialect == "sqlite" else "DUPLICATE KEY UPDATE subject = subject"
    await tx.execute(
        "INSERT INTO alert (subject, severity, message, raised_at, said_at, cleared_at) "
        f"VALUES (?, ?, '', ?, ?, ?) ON {clash}",
        [key, AlertSeverity.INFO, LONG_AGO, LONG_AGO, LONG_AGO],
    )
    rows = await tx.fetch(
        "SELECT severity, message, raised_at, said_at, cleared_at FROM alert WHERE subject = ?", [key]
    )
    return _AlertRow(*rows[0])


def _to_key(subject: str) -> str:
    """Returns the subject as its column takes it: one that is too long or not ASCII ends in its hash."""
    if subject.isascii() and len(subject) <= MAX_SUBJECT_LENGTH:
        return subject
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return subject[: MAX_SUBJECT_LENGTH - 65].encode("ascii", "replace").decode() + "~" + digest


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_LENGTH else message[: MAX_MESSAGE_LENGTH - 1] + "…"
