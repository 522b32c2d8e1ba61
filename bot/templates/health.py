"""Judges whether our templates can carry the notices that are assigned to them, and alerts an operator.

Invariants
- A template that carries notices has a red alert as long as it can't be sent; the alert names the notices that wait.
- A status counts by the time at which Meta said it, so a late or repeated webhook undoes nothing newer.
- Once a template can carry a notice again, what was held for want of one is released, for at most MAX_HELD_AGE and
  after at most MAX_REFUSALS_TO_RELEASE.

Source: Meta, webhooks/reference/message_template_status_update.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from bot.templates.parameters import (
    Mismatch,
    ParameterMapping,
    describe_mismatch,
    find_mismatches,
    parse_components,
)
from storage import alerts, held, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import APPROVED, REMOVED, NoticeAssignment, StoredTemplate

MAX_HELD_AGE = timedelta(days=30)  # as long as WhatsApp itself keeps a message for a phone that is off
MAX_REFUSALS_TO_RELEASE = 3  # Meta may list a template as approved and refuse what is made of it, again and again
PAUSED = "PAUSED"
DISABLED = "DISABLED"
# What each of Meta's statuses means, to be read after the template's name. A status is kept as a str, because Meta may
# add others, which are shown as Meta names them. APPROVED is the only one that can be sent; REMOVED is our own.
STATUS_DESCRIPTIONS: Mapping[str, str] = {
    "PENDING": "waits for Meta's approval",
    "REJECTED": "was rejected by Meta",
    PAUSED: "was paused by Meta, because customers complained about it",
    DISABLED: "was disabled by Meta for good",
    "ARCHIVED": "was put into Meta's archive",
    "LIMIT_EXCEEDED": "is over Meta's limit for templates",
    "PENDING_DELETION": "is about to be deleted",
    "IN_APPEAL": "is being looked at again by Meta",
    "LOCKED": "was locked by Meta",
    REMOVED: "is not there any more",
}
log = structlog.get_logger(__name__)


class TemplateKey(NamedTuple):
    """What names a template in a message: Meta has one template of a name in each language."""

    name: str
    language: str

    @property
    def alert_subject(self) -> str:
        """The subject of the alert about its status, which webhooks and listings share."""
        return f"template:{self.name}:{self.language}"

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"


async def update_alert(tx: Tx, key: TemplateKey, at: datetime) -> None:
    """Raises the alert of a template that carries notices and can't be sent; clears that of any other."""
    assignments = await templates.list_assignments_of(tx, *key)
    template = await templates.find(tx, *key)
    obstacle = describe_obstacle(template)
    if template is not None and not obstacle:
        found = [mismatch for row in assignments for mismatch in find_assignment_mismatches(row, template)]
        obstacle = describe_mismatch(found[0]) if found else ""
    if assignments and obstacle:
        message = f"The template {key} {obstacle}. {_describe_waiting(assignments)}"
        await alerts.raise_alert(tx, Alert(key.alert_subject, AlertSeverity.RED, message, at))
    elif await alerts.clear(tx, key.alert_subject, at):
        await release_held_notices(tx, assignments, at)


async def release_held_notices(tx: Tx, assignments: Sequence[NoticeAssignment], at: datetime) -> None:
    """Queues what was held for want of the templates that these assignments name, in every language.

    A template may carry a notice of another language than its own. A notice that doesn't fit after all is held again.
    """
    for kind in sorted({assignment.kind for assignment in assignments}):
        if count := await held.release_carried(tx, kind, at, at - MAX_HELD_AGE, MAX_REFUSALS_TO_RELEASE):
            log.info("held_released", kind=kind, count=count)


async def record_status(tx: Tx, template: StoredTemplate, *, clears_alert: bool) -> None:
    """Stores a template's status, unless Meta has said something newer about it; raises or clears its alert."""
    if not await templates.record_status(tx, template):  # the row first: it knows whether this is the newest word
        return
    key = TemplateKey(template.name, template.language)
    if await templates.list_assignments_of(tx, *key):
        await update_alert(tx, key, template.status_at)
    elif template.status == APPROVED or clears_alert:
        await alerts.clear(tx, key.alert_subject, template.status_at)
    else:
        message = f"The template {key} {describe_obstacle(template)}. No notice uses it."
        await alerts.raise_alert(tx, Alert(key.alert_subject, AlertSeverity.INFO, message, template.status_at))


def is_known_status(status: str) -> bool:
    """Whether Tick knows what this status means."""
    return status == APPROVED or status in STATUS_DESCRIPTIONS


def describe_obstacle(template: StoredTemplate | None) -> str:
    """Returns why Meta would not take a message made of it, to be read after its name; "" when it would."""
    if template is None:
        return STATUS_DESCRIPTIONS[REMOVED]
    if template.status == APPROVED:
        return ""
    description = STATUS_DESCRIPTIONS.get(template.status, f"has the status {template.status} at Meta")
    has_reason = template.reason and template.reason != "NONE"
    return f"{description} ({template.reason.rstrip('.')})" if has_reason else description


def find_assignment_mismatches(assignment: NoticeAssignment, template: StoredTemplate) -> list[Mismatch]:
    """Finds each reason why a template does not fit what a notice fills it with."""
    components = parse_components(template.components, template.category)
    mapping = ParameterMapping.from_json(assignment.parameters)
    return find_mismatches(assignment.kind, components, mapping)


def _describe_waiting(assignments: Sequence[NoticeAssignment]) -> str:
    names = ", ".join(f"{assignment.kind} ({assignment.language})" for assignment in assignments)
    return f"Outside of the 24 hours these notices wait until that is fixed, or another template carries them: {names}."
