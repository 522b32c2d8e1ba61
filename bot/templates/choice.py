"""Chooses the template that carries a message outside of the customer service window.

Invariants
- A notice becomes a template message only while Meta approves of the template and the notice fits it.
- Where no template carries a message, a sentence says what could not be carried and why, for the agent who reads it
  beside the message.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from bot.templates.health import TemplateKey, describe_obstacle, find_assignment_mismatches
from bot.templates.parameters import (
    ParameterMapping,
    describe_mismatch,
    fill_parameters,
    find_mismatches,
    parse_components,
)
from storage import templates
from storage.sql.database import Tx
from storage.statuses import OutboxReason, Why
from storage.templates import APPROVED, NoticeAssignment, StoredTemplate

NO_TEMPLATE = Why(OutboxReason.NO_TEMPLATE)
OUTSIDE_WINDOW = "The customer has not written for 24 hours, and"
MAX_SHOWN_NAME_CHARACTERS = 60  # Meta allows 512, and the sentence has to fit beside the message


async def convert_to_template(tx: Tx, message: Mapping[str, object]) -> dict[str, object] | Why:
    """Converts a message of the outbox to one that goes out as a template.

    Returns the reason for its row when no template carries it now.
    """
    notice = message.get("notice")
    if not isinstance(notice, Mapping):
        if message.get("type") == "media":
            return Why(OutboxReason.TEMPLATE_UNFIT, f"{OUTSIDE_WINDOW} a template carries no files")
        return NO_TEMPLATE
    obstacles = []
    for assignment in await templates.find_assignments(tx, str(notice["kind"]), str(notice["language"])):
        template = await templates.find(tx, assignment.template_name, assignment.template_language)
        obstacle = describe_obstacle(template)
        if template is not None and not obstacle:
            filled = fill_template(assignment, template, notice["values"])
            if not isinstance(filled, str):
                return {"type": "template", "name": template.name, "language": template.language} | filled
            obstacle = filled
        name = _shorten(assignment.template_name)
        obstacles.append(f"{OUTSIDE_WINDOW} the template {name} {obstacle}")
    return Why(OutboxReason.TEMPLATE_UNFIT, obstacles[0]) if obstacles else NO_TEMPLATE


async def find_usable_name(tx: Tx, kind: str, language: str) -> str:
    """Finds the name of the template that would carry this notice now; "" when none would."""
    for assignment in await templates.find_assignments(tx, kind, language):
        template = await templates.find(tx, assignment.template_name, assignment.template_language)
        is_fit = template is not None and not find_assignment_mismatches(assignment, template)
        if is_fit and not describe_obstacle(template):
            return assignment.template_name
    return ""


def fill_template(
    assignment: NoticeAssignment, template: StoredTemplate, values: Mapping[str, str]
) -> dict[str, object] | str:
    """Fills a template with the values of a notice, as `fill_parameters` does.

    Returns words to be read after the template's name when it can't carry them.
    """
    components = parse_components(template.components, template.category)
    mapping = ParameterMapping.from_json(assignment.parameters)
    if mismatches := find_mismatches(assignment.kind, components, mapping):
        return describe_mismatch(mismatches[0])
    return fill_parameters(components, mapping, values)


async def infer_template(tx: Tx, payload: str, sent_at: datetime) -> TemplateKey | None:
    """Infers as which template a message went out that Meta refused for its template's sake.

    A message that is a template names it. Which one a notice took is written down nowhere: it is taken to be the first
    of those assigned by then that was not known to be switched off by then, and fits. None when that can't be told,
    because another was assigned since: then no template is switched off for it, and Meta's list shows what is wrong.
    """
    message = json.loads(payload)
    if message.get("type") == "template":
        return TemplateKey(str(message["name"]), str(message["language"]))
    notice = message.get("notice")
    if not isinstance(notice, Mapping):
        return None
    for assignment in await templates.find_assignments(tx, notice["kind"], notice["language"]):
        template = await templates.find(tx, assignment.template_name, assignment.template_language)
        if template is None or (template.status != APPROVED and template.status_at <= sent_at):
            continue
        if assignment.updated_at > sent_at:
            return None
        if not isinstance(fill_template(assignment, template, notice["values"]), str):
            return TemplateKey(template.name, template.language)
    return None


def _shorten(name: str) -> str:
    return name if len(name) <= MAX_SHOWN_NAME_CHARACTERS else f"{name[: MAX_SHOWN_NAME_CHARACTERS - 1]}…"
