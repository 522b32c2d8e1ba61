"""Records what Meta's refusal of a message says about the template that the message was made of.

Invariants
- A refusal counts the same at once, as Meta's answer, and long after, in a status.
- A code for a template that is gone, paused or disabled switches the template off, unless Meta has said something newer
  about it. Any other fault of a template becomes an alert.

Source: Meta, support/error-codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from bot.templates import health
from bot.templates.choice import infer_template
from bot.templates.health import DISABLED, PAUSED, TemplateKey
from storage import alerts, outbox_reads, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import REMOVED

STATUS_BY_CODE = {132015: PAUSED, 132016: DISABLED, 132001: REMOVED}
CODES_ABOUT_TEMPLATES = {*range(132000, 133000), 100, 131008, 131009, 135000}  # the others are about the customer


@dataclass(frozen=True, slots=True)
class ReportedRefusal:
    """A status says at `at`, of a message that was sent at `sent_at`, that Meta refused it for its template's sake."""

    code: int
    reason: str
    at: datetime
    sent_at: datetime


class TemplateRefusal(NamedTuple):
    """Meta refused, at `at`, a message made of this template, with a code that is about templates."""

    key: TemplateKey
    code: int
    reason: str
    at: datetime


async def record_refusal(tx: Tx, refusal: TemplateRefusal) -> None:
    """Switches the template off where the code says so; raises an alert about it otherwise."""
    key, code, reason, at = refusal
    if code not in STATUS_BY_CODE:
        message = f"Meta refused a message made of the template {key}: {reason} ({code})"
        await alerts.raise_alert(tx, Alert(_make_alert_subject(key), AlertSeverity.YELLOW, message, at))
        return
    template = await templates.find(tx, *key)
    if template is not None:
        switched_off = replace(template, status=STATUS_BY_CODE[code], reason="", status_at=at)
        await health.record_status(tx, switched_off, clears_alert=False)


async def record_reported_refusals(tx: Tx, reported: Mapping[int, ReportedRefusal]) -> None:
    """Records what statuses say about the templates of these rows of the outbox, by the rows' ids.

    Every process takes the templates in the same order, so that no two wait for each other.
    """
    payloads = await outbox_reads.load_payloads(tx, sorted(reported))
    found = []
    for outbox_id, refused in reported.items():
        if key := await infer_template(tx, payloads[outbox_id], refused.sent_at):
            found.append(TemplateRefusal(key, refused.code, refused.reason, refused.at))
    for refusal in sorted(found):
        await record_refusal(tx, refusal)


async def clear_refusal(tx: Tx, key: TemplateKey, at: datetime) -> bool:
    """Clears the alert about refused messages, once a person or a listing has changed how the template is filled.

    Returns whether there was such an alert.
    """
    return await alerts.clear(tx, _make_alert_subject(key), at)


def _make_alert_subject(key: TemplateKey) -> str:
    return f"template-refused:{key.name}:{key.language}"
