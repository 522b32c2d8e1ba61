"""Records what Meta's webhooks say of our account, our number and our templates, as alerts and template statuses.

Invariants
- Each update counts by the time at which Meta said it, so one that comes late or again undoes nothing newer.

Source: Meta, webhooks/overview (the fields account_update, message_template_status_update and so on).
"""

from collections.abc import Sequence
from datetime import datetime

from bot.delivery import circuit_breaker
from bot.templates.health import is_known_status, record_status
from bot.whatsapp.webhook.updates import AccountUpdate, TemplateChange
from storage import alerts, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import REMOVED, StoredTemplate


async def record_updates(tx: Tx, updates: Sequence[tuple[datetime, AccountUpdate]]) -> None:
    """Records updates, each with the time at which Meta said it.

    Every process takes the subjects in the same order, so that no two wait for each other.
    """
    for at, update in sorted(updates, key=lambda pair: (pair[1].subject, pair[0])):
        template = _to_template(update.template, at)
        if template is not None:
            await record_status(tx, template, clears_alert=update.severity == "clear")
        elif update.severity == "clear":
            await alerts.clear(tx, update.subject, at)
            await retry_stopped_channel(tx, update.subject, at)
        else:
            await alerts.raise_alert(tx, Alert(update.subject, AlertSeverity(update.severity), update.message, at))


async def retry_stopped_channel(tx: Tx, subject: str, at: datetime) -> None:
    """Has a stopped channel tried at once, when what Meta takes back (`subject`) is about our account or our number.

    It may be what sending has stopped for: clearing the channel's alert makes the next message a probe.
    """
    if subject.startswith(("account:", "number:")):
        await alerts.clear(tx, circuit_breaker.SUBJECT, at)


def _to_template(change: TemplateChange | None, at: datetime) -> StoredTemplate | None:
    """Makes the row that a change says a template has; None when it says no status that we know or can store."""
    if change is None:
        return None
    status = REMOVED if change.status == "DELETED" else change.status
    if not is_known_status(status):
        return None
    template = StoredTemplate(
        template_id=change.template_id,
        name=change.name,
        language=change.language,
        category="",
        status=status,
        reason=change.reason,
        components="[]",
        status_at=at,
        synced_at=at,
    )
    return template if templates.can_be_stored(template) else None
