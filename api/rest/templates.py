"""Serves templates over REST: what Meta has, and which of them carries which notice outside of the 24 hours.

Invariants
- An assignment that would not go out is refused here, with a sentence for each reason.
"""

import re
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field
from quart import Response
from quart_schema import document_response, validate_request

from api.services import services
from api.web.auth import GuardedBlueprint, Permission, caller, needs
from api.web.openapi import describe_blueprint
from api.web.responses import Answer, Body, Problem, Refusal, refuse, respond
from bot.templates.assignments import Assignment, TemplateMismatch
from bot.templates.health import describe_obstacle
from bot.templates.notice_kinds import NoticeKind, NoticeValue
from bot.templates.parameters import ParameterMapping, parse_components
from bot.templates.sync import SyncState
from storage.statuses import AuditAction
from storage.templates import NoticeAssignment, StoredTemplate

LANGUAGE = r"[a-z]{2,3}(_[A-Za-z]{2,4})?"
MAX_PARAMETERS = 50
Value = Annotated[str, Field(min_length=1, max_length=100)]
ParameterValues = (
    Annotated[list[Value], Field(max_length=MAX_PARAMETERS)]
    | Annotated[dict[Value, Value], Field(max_length=MAX_PARAMETERS)]
)
blueprint = GuardedBlueprint("templates", __name__, url_prefix="/api/whatsapp")
describe_blueprint(
    blueprint,
    "Templates",
    kind={"type": "string", "enum": list(NoticeKind), "description": "What the notice tells of."},
    language={
        "type": "string",
        "pattern": f"^{LANGUAGE}$",
        "examples": ["en"],
        "description": "The customers' language.",
    },
)


class NewAssignment(Body):
    """The template that a notice is to be carried by, and which of our values go into its parameters."""

    template: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")] = Field(
        description="The template's name at Meta.", examples=["ticket_news"]
    )
    template_language: Annotated[str, Field(pattern=f"^{LANGUAGE}$")] | None = Field(
        default=None,
        description="The template's language. Without it, that of the notice, or its only country that Meta has it in.",
        examples=["en_US"],
    )
    body: ParameterValues = Field(
        default=[],
        description="The values of the body, in their order or by the parameters' names.",
        examples=[["ticket", "text"]],
    )
    header: ParameterValues = Field(default=[], description="The values of the header, in the same way.")


class ListedTemplate(BaseModel):
    """A template at Meta."""

    id: str = Field(description="Meta's id of it.")
    name: str = Field(description="Its name at Meta.", examples=["ticket_news"])
    language: str = Field(description="Its language, as Meta has it.", examples=["en_US"])
    category: str = Field(description="Meta's category.", examples=["UTILITY"])
    status: str = Field(description="Where it stands at Meta.", examples=["APPROVED"])
    reason: str = Field(description='Why it was refused or stopped, as Meta says it; "" otherwise.')
    header: str = Field(description='The text above the body; "" where it has none.')
    body: str = Field(description="Its text, with {{parameters}}.")
    header_places: list[str] = Field(description="The parameters of the header.")
    body_places: list[str] = Field(description="The parameters of the body.")
    why_not: list[str] = Field(description="Why no notice fits into it, whatever is filled in; empty when one does.")
    carries: list[str] = Field(description="The notices that it carries now.")


class TemplateList(BaseModel):
    """The templates at Meta."""

    listed_at: datetime | None = Field(description="When Meta last told of all of them, in UTC.")
    problem: str = Field(description='Why the list may be out of date; "" when it is not.')
    unreadable: list[str] = Field(
        description="The names of some that Meta has and Tick can't read, which keeps nothing from the others."
    )
    templates: list[ListedTemplate] = Field(description="The templates in all their languages.")


class NoticeLanguage(BaseModel):
    """A notice in one language, and its template."""

    language: str = Field(description="The language of the customers who get it.", examples=["en"])
    template: str = Field(description="The template's name.", examples=["ticket_news"])
    template_language: str = Field(description="The template's own language.", examples=["en_US"])
    body: dict[str, str] = Field(description="Which value goes into which parameter of the body.")
    header: dict[str, str] = Field(description="Which value goes into which parameter of the header.")
    works: bool = Field(description="Whether it goes out now.")
    why_not: str = Field(description='Why it does not; "" when it does.')


class Notice(BaseModel):
    """A kind of notice, and the templates that carry it."""

    kind: NoticeKind = Field(description="What it tells of.")
    values: list[str] = Field(description="What may be filled in.")
    needs: list[str] = Field(description="What has to be filled in.")
    languages: list[NoticeLanguage] = Field(description="Its templates, by language.")


@blueprint.get("/templates")
@needs(Permission.READ)
@document_response(Answer[TemplateList])
async def list_templates() -> Response:
    """The templates, as Meta last told of them."""
    return await _respond_with_templates(await services().templates.read_state())


@blueprint.post("/templates/sync")
@needs(Permission.MANAGE)
@document_response(Answer[TemplateList])
@document_response(Refusal, 503)
async def sync_templates() -> Response:
    """Ask Meta for the templates now; what was listed within ten seconds is not asked for again."""
    await services().audit_trail.record(caller().actor.name, AuditAction.TEMPLATE_SYNC)
    state = await services().templates.sync()
    return refuse(503, state.problem) if state.problem else await _respond_with_templates(state)


@blueprint.get("/notices")
@needs(Permission.READ)
@document_response(Answer[list[Notice]])
async def list_notices() -> Response:
    """Every kind of notice, and the templates that carry it outside of the 24 hours."""
    listed = await services().template_assignments.list_assignments()
    shown = [
        Notice(
            kind=kind,
            values=list(NoticeValue),
            needs=[NoticeValue.TEXT] if kind is NoticeKind.REPLY else [],
            languages=[_show_assignment(each) for each in listed if each.row.kind == kind],
        )
        for kind in NoticeKind
    ]
    return respond(Answer[list[Notice]](data=shown))


@blueprint.put("/notices/<kind>/<language>")
@needs(Permission.MANAGE)
@validate_request(NewAssignment)
@document_response(Answer[NoticeLanguage])
@document_response(Refusal, 404)
@document_response(Refusal, 422)
async def assign_template(kind: str, language: str, data: NewAssignment) -> Response:
    """Let a template carry a kind of notice in one language. What was held for want of one goes out."""
    if problem := _find_problem(kind, language):
        return refuse(404, problem)
    assignment = await services().template_assignments.assign(
        actor=caller().actor.name,
        kind=NoticeKind(kind),
        language=language,
        template_name=data.template,
        template_language=data.template_language,
        mapping=ParameterMapping.from_request(data.body, data.header),
    )
    return respond(Answer[NoticeLanguage](data=_show_assignment(assignment)))


@blueprint.delete("/notices/<kind>/<language>")
@needs(Permission.MANAGE)
@document_response(Answer[None])
@document_response(Refusal, 404)
async def unassign_template(kind: str, language: str) -> Response:
    """Let no template carry this notice: outside of the 24 hours it then waits until the customer writes."""
    if problem := _find_problem(kind, language):
        return refuse(404, problem)
    if not await services().template_assignments.unassign(caller().actor.name, NoticeKind(kind), language):
        return refuse(404, "This notice has no template in this language")
    return respond(Answer[None](data=None))


@blueprint.errorhandler(TemplateMismatch)
async def refuse_mismatch(error: TemplateMismatch) -> Response:
    """The template can't carry the notice, for several reasons perhaps."""
    problems = [Problem(field=field, message=sentence) for field, sentence in error.mismatches]
    return refuse(422, "This template can't carry this notice", problems)


async def _respond_with_templates(state: SyncState) -> Response:
    assignments = services().template_assignments
    assigned = [assignment.row for assignment in await assignments.list_assignments()]
    found = [_show_template(template, assigned) for template in await assignments.list_templates()]
    shown = TemplateList(
        listed_at=state.listed_at, problem=state.problem, unreadable=list(state.unreadable), templates=found
    )
    return respond(Answer[TemplateList](data=shown))


def _find_problem(kind: str, language: str) -> str:
    """Says why there is no such notice; "" when there may be one."""
    if kind not in tuple(NoticeKind):
        return f"There is no such kind of notice. There are: {', '.join(NoticeKind)}"
    if not re.fullmatch(LANGUAGE, language):
        return "A language is a code such as en or pt_BR"
    return ""


def _show_template(template: StoredTemplate, assigned: list[NoticeAssignment]) -> ListedTemplate:
    components = parse_components(template.components, template.category)
    obstacle = describe_obstacle(template)
    return ListedTemplate(
        id=template.template_id,
        name=template.name,
        language=template.language,
        category=template.category,
        status=template.status,
        reason=template.reason,
        header=components.header.text,
        body=components.body.text,
        header_places=list(components.header.parameters),
        body_places=list(components.body.parameters),
        why_not=[*([f"It {obstacle}."] if obstacle else []), *components.problems],
        carries=[
            f"{row.kind} ({row.language})"
            for row in assigned
            if (row.template_name, row.template_language) == (template.name, template.language)
        ],
    )


def _show_assignment(assignment: Assignment) -> NoticeLanguage:
    mapping = ParameterMapping.from_json(assignment.row.parameters)
    return NoticeLanguage(
        language=assignment.row.language,
        template=assignment.row.template_name,
        template_language=assignment.row.template_language,
        body=dict(mapping.body),
        header=dict(mapping.header),
        works=not assignment.obstacle,
        why_not=assignment.obstacle,
    )
