"""What Meta's refusal of a message says of the template that the message was made of.

Invariant: at once or in a status long after, it says the same: the code for a template that is gone, paused or disabled
switches it off, unless Meta has said something newer of it; any other fault of a template's is told as an alert.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.templates import health
from bot.templates.choice import went_out_as
from storage import alerts, outbox, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import REMOVED

SWITCHED_OFF = {132015: "PAUSED", 132016: "DISABLED", 132001: REMOVED}
ABOUT_TEMPLATES = {*range(132000, 133000), 100, 131008, 131009, 135000}  # the others are about the customer


@dataclass(frozen=True, slots=True)
class TemplateRefused:
    """Meta says at `at`, of a message that was sent at `sent_at`, that its template was the trouble."""

    code: int
    reason: str
    at: datetime
    sent_at: datetime


async def note(tx: Tx, name: str, language: str, code: int, reason: str, at: datetime) -> None:
    """Meta refused a message made of this template, with a code that is about templates."""
    if code not in SWITCHED_OFF:
        message = f"Meta refused a message made of the template {name} ({language}): {reason} ({code})"
        await alerts.raise_alert(tx, Alert(_subject(name, language), AlertSeverity.YELLOW, message, at))
        return
    template = await templates.find(tx, name, language)
    if template is not None:
        off = replace(template, status=SWITCHED_OFF[code], reason="", status_at=at)
        await health.template_changed(tx, off, over=False)


async def note_reported(tx: Tx, reported: Mapping[int, TemplateRefused]) -> None:
    """Statuses say it of these rows. In one order for all, so that no two processes wait for each other."""
    payloads = await outbox.payloads(tx, sorted(reported))
    found = []
    for outbox_id, refused in reported.items():
        if template := await went_out_as(tx, payloads[outbox_id], refused.sent_at):
            found.append((*template, refused.code, refused.reason, refused.at))
    for told in sorted(found):
        await note(tx, *told)


async def forget(tx: Tx, name: str, language: str, at: datetime) -> bool:
    """How this template is filled in has been looked at; True when a refusal was known."""
    return await alerts.clear(tx, _subject(name, language), at)


def _subject(name: str, language: str) -> str:
    return f"template-refused:{name}:{language}"
