"""Which template carries a message outside of the 24 hours, and which one a message went out as.

Invariant: a notice becomes a template only while Meta approves of it and it fits; where none does, a sentence says what
could not be carried and why, for the agent who reads it beside the message.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from bot.templates import health
from bot.templates.parameters import Filling, fill, mismatches, read_form
from storage import templates
from storage.sql.database import Tx
from storage.statuses import OutboxReason, Why
from storage.templates import APPROVED, NoticeRow, StoredTemplate

NO_TEMPLATE = Why(OutboxReason.NO_TEMPLATE)
SILENT = "The customer has not written for 24 hours, and"
LONGEST_NAME = 60


async def carried(tx: Tx, message: Mapping[str, object]) -> dict[str, object] | Why:
    """The message as a template, for the outbox; or why no template carries it now, as the row's reason."""
    notice = message.get("notice")
    if not isinstance(notice, Mapping):
        is_media = message.get("type") == "media"
        return Why(OutboxReason.TEMPLATE_UNFIT, f"{SILENT} a template carries no files") if is_media else NO_TEMPLATE
    kind = str(notice["kind"])
    reasons = []
    for row in await templates.notices_of(tx, kind, str(notice["language"])):
        template = await templates.find(tx, row.template_name, row.template_language)
        why_not = health.why_not(template)
        if template is not None and not why_not:
            made = put(row, template, notice["values"])
            if not isinstance(made, str):
                return {"type": "template", "name": template.name, "language": template.language} | made
            why_not = made
        name = row.template_name
        shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        reasons.append(f"{SILENT} the template {shown} {why_not}")
    return Why(OutboxReason.TEMPLATE_UNFIT, reasons[0]) if reasons else NO_TEMPLATE


def put(row: NoticeRow, template: StoredTemplate, values: Mapping[str, str]) -> dict[str, object] | str:
    """The values of a notice in the places of this template; or why not, to be read after its name."""
    form, filling = read_form(template.components, template.category), Filling.from_json(row.parameters)
    if found := mismatches(row.kind, form, filling):
        return f"does not fit what it is filled with: {found[0][1].removesuffix('.')}"
    return fill(form, filling, values)


async def went_out_as(tx: Tx, payload: str, sent_at: datetime) -> tuple[str, str] | None:
    """The template, by name and language, as which a message went out that was refused for its template. A message that
    is a template names it. Which one a notice took is written down nowhere: it is taken to be the first of those that
    carry it which had been chosen by then, was not known to be off by then, and fits. None where it can't be told,
    because somebody has chosen another since: then nothing is switched off for it, and Meta's list tells."""
    message = json.loads(payload)
    if message.get("type") == "template":
        return str(message["name"]), str(message["language"])
    notice = message.get("notice")
    if not isinstance(notice, Mapping):
        return None
    for row in await templates.notices_of(tx, notice["kind"], notice["language"]):
        template = await templates.find(tx, row.template_name, row.template_language)
        if template is None or (template.status != APPROVED and template.status_at <= sent_at):
            continue
        if row.updated_at > sent_at:
            return None
        if not isinstance(put(row, template, notice["values"]), str):
            return template.name, template.language
    return None
