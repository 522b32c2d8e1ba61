"""What Meta tells of the account becomes what an operator reads: alerts, and the status of our templates.

Invariant: everything goes by the time at which Meta said it, so news that come late or again undo nothing newer.
"""

from collections.abc import Sequence
from datetime import datetime

from bot.delivery import circuit_breaker
from bot.templates.health import WORDS, template_changed
from bot.whatsapp.webhook.account_updates import News, TemplateChange
from storage import alerts, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import APPROVED, REMOVED, StoredTemplate


async def record(tx: Tx, news: Sequence[tuple[datetime, News]]) -> None:
    """Writes news down, each with the time at which Meta said it. In one order for all, so that no two processes wait
    for each other."""
    for at, each in sorted(news, key=lambda pair: (pair[1].subject, pair[0])):
        told = _told(each.template, at)
        if told is not None:
            await template_changed(tx, told, over=each.severity == "clear")
        elif each.severity == "clear":
            await alerts.clear(tx, each.subject, at)
            await try_channel(tx, each.subject, at)
        else:
            await alerts.raise_alert(tx, Alert(each.subject, AlertSeverity(each.severity), each.message, at))


async def try_channel(tx: Tx, subject: str, at: datetime) -> None:
    """Good news of our account or our number may be of what sending has stopped for: it is tried at once."""
    if subject.startswith(("account:", "number:")):
        await alerts.clear(tx, circuit_breaker.SUBJECT, at)


def _told(change: TemplateChange | None, at: datetime) -> StoredTemplate | None:
    """The template as the news has it; None when they don't change its status."""
    if change is None:
        return None
    status = REMOVED if change.status == "DELETED" else change.status
    if status != APPROVED and status not in WORDS:
        return None
    told = StoredTemplate(change.template_id, change.name, change.language, "", status, change.reason, "[]", at, at)
    return told if templates.fits_columns(told) else None
