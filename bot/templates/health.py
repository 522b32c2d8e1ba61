"""What an operator reads of our templates: an alert for each that carries notices and can't be sent.

Invariant: the status of a template goes by the time at which Meta said it; a template that carries notices raises an
alert as long as it can't be sent, and the alert names what waits for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from bot.templates.parameters import Filling, mismatches, read_form
from storage import alerts, held, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import APPROVED, REMOVED, NoticeRow, StoredTemplate

LASTS = timedelta(days=30)  # as long as WhatsApp itself keeps a message for a phone that is off
MOST_REFUSALS = 3  # Meta may list a template as approved and refuse what is made of it, again and again
log = structlog.get_logger(__name__)
WORDS: Mapping[str, str] = {
    "PENDING": "waits for Meta's approval",
    "REJECTED": "was rejected by Meta",
    "PAUSED": "was paused by Meta, because customers complained about it",
    "DISABLED": "was disabled by Meta for good",
    "ARCHIVED": "was put into Meta's archive",
    "LIMIT_EXCEEDED": "is over Meta's limit for templates",
    "PENDING_DELETION": "is about to be deleted",
    "IN_APPEAL": "is being looked at again by Meta",
    "LOCKED": "was locked by Meta",
    REMOVED: "is not there any more",
}


async def judge(tx: Tx, name: str, language: str, at: datetime) -> None:
    """Raises the alert of a template that carries notices and can't be sent, clears that of any other."""
    used = await templates.using(tx, name, language)
    template = await templates.find(tx, name, language)
    problem = why_not(template)
    if template is not None and not problem:
        found = [why for row in used for why in misfits(row, template)]
        problem = f"does not fit what it is filled with: {found[0].removesuffix('.')}" if found else ""
    if used and problem:
        message = f"The template {name} ({language}) {problem}. {_waiting(used)}"
        await alerts.raise_alert(tx, Alert(template_subject(name, language), AlertSeverity.RED, message, at))
    elif await alerts.clear(tx, template_subject(name, language), at):
        await release(tx, used, at)


async def release(tx: Tx, carriers: Sequence[NoticeRow], at: datetime) -> None:
    """These notices are carried by a template that they can be sent by now: what was held for want of one goes out. One
    that doesn't fit after all is held again. In whichever language: a template may carry more than its own."""
    for kind in sorted({row.kind for row in carriers}):
        if count := await held.release_carried(tx, kind, at, at - LASTS, MOST_REFUSALS):
            log.info("held_released", kind=kind, count=count)


async def template_changed(tx: Tx, told: StoredTemplate, *, over: bool) -> None:
    """The row first: it knows whether this is the newest word on the template. `over`: it is good news."""
    if not await templates.hear(tx, told):
        return
    if await templates.using(tx, told.name, told.language):
        await judge(tx, told.name, told.language, told.status_at)
    elif told.status == APPROVED or over:
        await alerts.clear(tx, template_subject(told.name, told.language), told.status_at)
    else:
        message = f"The template {told.name} ({told.language}) {why_not(told)}. No notice uses it."
        alert = Alert(template_subject(told.name, told.language), AlertSeverity.INFO, message, told.status_at)
        await alerts.raise_alert(tx, alert)


def template_subject(name: str, language: str) -> str:
    """Under which a template's alert is known."""
    return f"template:{name}:{language}"


def why_not(template: StoredTemplate | None) -> str:
    """Why Meta would not take a message made of it, to be read after its name; "" when it would."""
    if template is None:
        return WORDS[REMOVED]
    if template.status == APPROVED:
        return ""
    said = WORDS.get(template.status, f"has the status {template.status} at Meta")
    return f"{said} ({template.reason.rstrip('.')})" if template.reason and template.reason != "NONE" else said


def misfits(notice: NoticeRow, template: StoredTemplate) -> list[str]:
    """Why a template does not fit what a notice fills it with."""
    form = read_form(template.components, template.category)
    return [why for _, why in mismatches(notice.kind, form, Filling.from_json(notice.parameters))]


def _waiting(used: Sequence[NoticeRow]) -> str:
    names = ", ".join(f"{row.kind} ({row.language})" for row in used)
    return (
        f"Outside of the 24 hours these notices wait until that is mended, or another template carries them: {names}."
    )
