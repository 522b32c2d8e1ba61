"""Assigns templates to notices, as an admin chose, once they are known to fit.

Invariants
- A template is assigned only when Meta has approved it and each of its parameters gets a value that we have.
- Each change leaves a line in the audit, in its own transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.clock import Clock
from bot.ids import IdMaker
from bot.templates import health, refusals
from bot.templates.health import TemplateKey, describe_obstacle, find_assignment_mismatches
from bot.templates.notice_kinds import NoticeKind
from bot.templates.parameters import Mismatch, ParameterMapping, find_mismatches, parse_components
from storage import audit, templates
from storage.audit import AuditLine
from storage.sql.database import Clash, Database, Tx
from storage.statuses import AuditAction
from storage.templates import NoticeAssignment, StoredTemplate


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
        self, *, actor: str, kind: NoticeKind, language: str, template: TemplateKey, mapping: ParameterMapping
    ) -> Assignment:
        """Lets a template carry a notice, in the place of another, and releases the notices held for want of one.

        Raises TemplateMismatch.
        """
        now = self._clock()
        row = NoticeAssignment(
            kind=kind,
            language=language,
            template_name=template.name,
            template_language=template.language,
            parameters=mapping.to_json(),
            updated_at=now,
        )
        detail = f"{template} {row.parameters}"
        line = AuditLine(self._ids.next(), now, actor, AuditAction.NOTICE_TEMPLATE, f"{kind}/{language}", detail)

        async def work(tx: Tx) -> Assignment:
            if await audit.is_committed(tx, line.audit_id):
                return await self._judge(tx, row)
            await self._check(tx, row, mapping)
            replaced = await self._find_rows(tx, kind, language)
            await audit.write(tx, line)
            await templates.save_assignment(tx, row)
            for each in (*replaced, row):
                await self._update_alerts(tx, each)
            await health.release_held_notices(tx, [row], now)
            return Assignment(row, "")

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

    async def _check(self, tx: Tx, row: NoticeAssignment, mapping: ParameterMapping) -> None:
        template = await templates.find(tx, row.template_name, row.template_language)
        if template is None:
            sentence = "Meta has no such template in this language: sync the templates."
            raise TemplateMismatch([Mismatch("template", sentence)])
        if obstacle := describe_obstacle(template):
            sentence = f"This template {obstacle}: only an approved one can be sent."
            raise TemplateMismatch([Mismatch("template", sentence)])
        components = parse_components(template.components, template.category)
        if mismatches := find_mismatches(row.kind, components, mapping):
            raise TemplateMismatch(mismatches)

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
        mismatches = find_assignment_mismatches(row, template)
        return Assignment(row, " ".join(mismatch.sentence for mismatch in mismatches))
