"""What an operator has to know or mend: one row a subject, open until good news of the same subject.

Invariant: the newest word wins by the time at which it was said, not at which it came: an older redelivery neither
undoes newer news nor brings back what is over. A word that has the time of the last one is the later one.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Row, Tx
from storage.statuses import AlertSeverity

LONGEST_SUBJECT = 200
LONGEST_MESSAGE = 500
LONG_AGO = -1


@dataclass(frozen=True, slots=True)
class Alert:
    """`raised_at`: when it was said, and of one that is open, since when it has been as it is."""

    subject: str
    severity: AlertSeverity
    message: str
    raised_at: datetime


async def raise_alert(tx: Tx, alert: Alert) -> bool:
    """Says it; True when that is new, or other than what was said before."""
    at, said = to_millis(alert.raised_at), (alert.severity, _fitting(alert.message))
    severity, message, raised_at, said_at, cleared_at = await _locked(tx, alert.subject)
    if at < said_at:
        return False
    again = cleared_at is None and (severity, message) == said
    await tx.execute(
        "UPDATE alert SET severity = ?, message = ?, raised_at = ?, said_at = ?, cleared_at = NULL WHERE subject = ?",
        [*said, raised_at if again else at, at, _key(alert.subject)],
    )
    return not again


async def clear(tx: Tx, subject: str, at: datetime) -> bool:
    """It is over; True when it was not before. What was over at `at` is noted also where nothing was open."""
    said = to_millis(at)
    *_, said_at, cleared_at = await _locked(tx, subject)
    if said < said_at:
        return False
    values = [said, said, _key(subject)]
    await tx.execute("UPDATE alert SET said_at = ?, cleared_at = ? WHERE subject = ?", values)
    return cleared_at is None


async def expire(tx: Tx, before: datetime, subjects: str = "") -> None:
    """What was last said before this has been known for long enough: what was only good to know, or all of the subjects
    that begin so."""
    which, value = ("subject LIKE ?", f"{subjects}%") if subjects else ("severity = ?", AlertSeverity.INFO)
    await tx.execute(
        f"UPDATE alert SET cleared_at = said_at WHERE {which} AND cleared_at IS NULL AND said_at < ?",
        [value, to_millis(before)],
    )


async def open_alerts(tx: Tx) -> list[Alert]:
    """What is open, the worst first, then the newest."""
    rows = await tx.fetch(
        "SELECT subject, severity, message, raised_at FROM alert WHERE cleared_at IS NULL "
        "ORDER BY CASE severity WHEN ? THEN 0 WHEN ? THEN 1 ELSE 2 END, raised_at DESC, subject",
        [AlertSeverity.RED, AlertSeverity.YELLOW],
    )
    return [
        Alert(subject, AlertSeverity(severity), message, from_millis(at)) for subject, severity, message, at in rows
    ]


async def find(tx: Tx, subject: str) -> Alert | None:
    """The open alert of this subject."""
    rows = await tx.fetch(
        "SELECT severity, message, raised_at FROM alert WHERE subject = ? AND cleared_at IS NULL", [_key(subject)]
    )
    return Alert(subject, AlertSeverity(rows[0][0]), rows[0][1], from_millis(rows[0][2])) if rows else None


async def _locked(tx: Tx, subject: str) -> Row:
    """The subject's row, which is ours until the transaction ends; made when there is none."""
    key = _key(subject)
    clash = "CONFLICT (subject) DO NOTHING" if tx.dialect == "sqlite" else "DUPLICATE KEY UPDATE subject = subject"
    await tx.execute(
        "INSERT INTO alert (subject, severity, message, raised_at, said_at, cleared_at) "
        f"VALUES (?, ?, '', ?, ?, ?) ON {clash}",
        [key, AlertSeverity.INFO, LONG_AGO, LONG_AGO, LONG_AGO],
    )
    rows = await tx.fetch(
        "SELECT severity, message, raised_at, said_at, cleared_at FROM alert WHERE subject = ?", [key]
    )
    return rows[0]


def _key(subject: str) -> str:
    """The subject as its column takes it: itself as a rule, and one that is too long or strange told by its hash."""
    if subject.isascii() and len(subject) <= LONGEST_SUBJECT:
        return subject
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return subject[: LONGEST_SUBJECT - 65].encode("ascii", "replace").decode() + "~" + digest


def _fitting(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
