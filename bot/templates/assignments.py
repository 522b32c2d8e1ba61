"""Assigns templates to notices, as an admin chose, once they are known to fit.

Invariants
- A template is assigned only when Meta has approved it and each of its parameters gets a value that we have.
- What is assigned for a language in which no notice is ever written says so, and does not count as working.
- Each change leaves a line in the audit, in its own transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.clock import Clock
from bot.ids import IdMaker
from bot.templates import health, refusals
from bot.templates.health import TemplateKey, describe_obstacle, find_assignment_mismatches
from bot.templates.notice_kinds import LANGUAGE, NoticeKind
from bot.templates.parameters import Mismatch, ParameterMapping, find_mismatches, parse_components
from storage import audit, templates
from storage.audit import AuditLine
from storage.sql.database import Clash, Database, Tx
from storage.statuses import AuditAction
from storage.templates import REMOVED, NoticeAssignment, StoredTemplate

UNKNOWN_TEMPLATE = "Meta has no template of this name: sync the templates."


class TemplateMismatch(Exception):
    """The template can't carry this notice; `mismatches` says why."""

    def __init__(self, mismatches: Sequence[Mismatch]) -> None:
        super().__init__(" ".join(mismatch.sentence for mismatch in mismatches))
        self.mismatches = mismatches


@dataclass(frozen=True, slots=True)
class Assignment:
    """A notice and its template. `obstacle`: why the notice would not go out now, as a sentence; "" when it would."""

    row: NoticeAssignment
    obstacle: str


class TemplateAssignments:
    """The assignments of this desk."""

    def __init__(self, database: Database, ids: IdMaker, clock: Clock) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock

    async def list_assignments(self) -> list[Assignment]:
        """Lists all of them, by kind and language."""
        async with self._database.reading() as tx:
            return [await self._judge(tx, row) for row in await templates.list_assignments(tx)]

    async def list_templates(self) -> list[StoredTemplate]:
        """Lists the templates to choose from, and those that are gone at Meta."""
        async with self._database.reading() as tx:
            return await templates.list_templates(tx)

    async def assign(
        self,
        *,
        actor: str,
        kind: NoticeKind,
        language: str,
        template_name: str,
        template_language: str | None,
        mapping: ParameterMapping,
    ) -> Assignment:
        """Lets a template carry a notice, in the place of another, and releases the notices held for want of one.
        Without `template_language` it is the template's in the notice's language, or in a country of that.

        Raises TemplateMismatch.
        """
        now, audit_id = self._clock(), self._ids.next()

        async def work(tx: Tx) -> Assignment:
            template = await _choose_template(tx, template_name, template_language, language)
            row = NoticeAssignment(
                kind=kind,
                language=language,
                template_name=template.name,
                template_language=template.language,
                parameters=mapping.to_json(),
                updated_at=now,
            )
            if await audit.is_committed(tx, audit_id):
                return await self._judge(tx, row)
            _check(row, template, mapping)
            replaced = await self._find_rows(tx, kind, language)
            detail = f"{TemplateKey(template.name, template.language)} {row.parameters}"
            line = AuditLine(audit_id, now, actor, AuditAction.NOTICE_TEMPLATE, f"{kind}/{language}", detail)
            await audit.write(tx, line)
            await templates.save_assignment(tx, row)
            for each in (*replaced, row):
                await self._update_alerts(tx, each)
            await health.release_held_notices(tx, [row], now)
            return await self._judge(tx, row)

        return await self._database.run(work, clash=Clash.RUN_AGAIN)

    async def unassign(self, actor: str, kind: NoticeKind, language: str) -> bool:
        """Takes its template from a notice, which then waits for the customer; returns False when it had none."""
        line = AuditLine(
            self._ids.next(), self._clock(), actor, AuditAction.NOTICE_TEMPLATE, f"{kind}/{language}", "none"
        )

        async def work(tx: Tx) -> bool:
            if await audit.is_committed(tx, line.audit_id):
                return True
            removed = await self._find_rows(tx, kind, language)
            if not await templates.delete_assignment(tx, kind, language):
                return False
            await audit.write(tx, line)
            for each in removed:
                await self._update_alerts(tx, each)
            return True

        return await self._database.run(work)

    async def _find_rows(self, tx: Tx, kind: str, language: str) -> list[NoticeAssignment]:
        return [row for row in await templates.list_assignments(tx) if (row.kind, row.language) == (kind, language)]

    async def _update_alerts(self, tx: Tx, row: NoticeAssignment) -> None:
        """Judges a template anew: one that carries less, or is filled otherwise, may have nothing wrong any more."""
        key = TemplateKey(row.template_name, row.template_language)
        await health.update_alert(tx, key, self._clock())
        await refusals.clear_refusal(tx, key, self._clock())

    async def _judge(self, tx: Tx, row: NoticeAssignment) -> Assignment:
        template = await templates.find(tx, row.template_name, row.template_language)
        if obstacle := describe_obstacle(template):
            return Assignment(row, f"The template {obstacle}.")
        assert template is not None
        sentences = [mismatch.sentence for mismatch in find_assignment_mismatches(row, template)]
        if not templates.may_carry(row.language, LANGUAGE):
            sentences.append(f"Notices are written in {LANGUAGE} only so far, so nothing is sent in {row.language}.")
        return Assignment(row, " ".join(sentences))


async def _choose_template(tx: Tx, name: str, template_language: str | None, language: str) -> StoredTemplate:
    """Chooses the template that is meant. Raises TemplateMismatch, which says which ones there are instead."""
    wanted = template_language or language
    exact = await templates.find(tx, name, wanted)
    if exact is not None and exact.status != REMOVED:
        return exact
    others = await templates.list_named(tx, name)
    regional = [] if template_language else [one for one in others if _is_regional(one.language, language)]
    usable = [one for one in regional if not describe_obstacle(one)] or regional
    if len(usable) == 1:
        return usable[0]
    if not others:
        sentence = f"The template {describe_obstacle(exact)}." if exact else UNKNOWN_TEMPLATE
        raise TemplateMismatch([Mismatch("template", sentence)])
    there = _list_words([one.language for one in usable or others])
    sentence = f"Meta has no such template in {wanted}, but in {there}: say which by `template_language`."
    raise TemplateMismatch([Mismatch("template_language", sentence)])


def _is_regional(template_language: str, language: str) -> bool:
    """Whether a template's language is the one that is wanted, as it is spoken somewhere."""
    return template_language.partition("_")[0] == language.partition("_")[0]


def _list_words(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _check(row: NoticeAssignment, template: StoredTemplate, mapping: ParameterMapping) -> None:
    if obstacle := describe_obstacle(template):
        sentence = f"This template {obstacle}: only an approved one can be sent."
        raise TemplateMismatch([Mismatch("template", sentence)])
    components = parse_components(template.components, template.category)
    if mismatches := find_mismatches(row.kind, components, mapping):
        raise TemplateMismatch(mismatches)
