"""Which template carries which notice: chosen by a person, and checked before it is kept.

Invariant: a choice is kept only when Meta has approved the template and every place of it gets a value that we have;
each choice leaves a line in the audit, in its own transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.clock import Clock
from bot.ids import IdMaker
from bot.templates import health, refusals
from bot.templates.parameters import Filling, mismatches, read_form
from storage import audit, templates
from storage.audit import Line
from storage.sql.database import Clash, Database, Tx
from storage.templates import NoticeRow, StoredTemplate


class Misfit(Exception):
    """The template can't carry this notice. `problems`: (field, sentence)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(" ".join(sentence for _, sentence in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Choice:
    """A notice and its template. `why_not`: why it would not go out now, "" when it would."""

    row: NoticeRow
    why_not: str


class NoticeTemplates:
    """The choices of this desk."""

    def __init__(self, database: Database, ids: IdMaker, clock: Clock) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock

    async def listed(self) -> list[Choice]:
        """All of them."""
        async with self._database.reading() as tx:
            return [await self._judged(tx, row) for row in await templates.notices(tx)]

    async def templates(self) -> list[StoredTemplate]:
        """What there is to choose from, and what there was."""
        async with self._database.reading() as tx:
            return await templates.listed(tx)

    async def choose(
        self, actor: str, kind: str, language: str, name: str, template_language: str, filling: Filling
    ) -> Choice:
        """Lets a template carry a notice, in the place of another; raises Misfit."""
        now = self._clock()
        row = NoticeRow(kind, language, name, template_language, filling.to_json(), now)
        detail = f"{name} ({template_language}) {row.parameters}"
        line = Line(self._ids.next(), now, actor, "notice.template", f"{kind}/{language}", detail)

        async def work(tx: Tx) -> Choice:
            if await audit.landed(tx, line.audit_id):
                return await self._judged(tx, row)
            template = await templates.find(tx, name, template_language)
            if template is None:
                raise Misfit([("template", "Meta has no such template in this language: sync the templates.")])
            if why := health.why_not(template):
                raise Misfit([("template", f"This template {why}: only an approved one can be sent.")])
            if found := mismatches(kind, read_form(template.components, template.category), filling):
                raise Misfit(found)
            before = [each for each in await templates.notices(tx) if (each.kind, each.language) == (kind, language)]
            await audit.write(tx, line)
            await templates.save_notice(tx, row)
            for each in (*before, row):
                await self._looked_at(tx, each)
            await health.release(tx, [row], now)
            return Choice(row, "")

        return await self._database.run(work, clash=Clash.RUN_AGAIN)

    async def withdraw(self, actor: str, kind: str, language: str) -> bool:
        """Takes its template from a notice, which then waits for the customer; False when it had none."""
        line = Line(self._ids.next(), self._clock(), actor, "notice.template", f"{kind}/{language}", "none")

        async def work(tx: Tx) -> bool:
            if await audit.landed(tx, line.audit_id):
                return True
            before = [each for each in await templates.notices(tx) if (each.kind, each.language) == (kind, language)]
            if not await templates.delete_notice(tx, kind, language):
                return False
            await audit.write(tx, line)
            for each in before:
                await self._looked_at(tx, each)
            return True

        return await self._database.run(work)

    async def _looked_at(self, tx: Tx, row: NoticeRow) -> None:
        """A template that carries less, or is carried otherwise, may have nothing wrong any more."""
        await health.judge(tx, row.template_name, row.template_language, self._clock())
        await refusals.forget(tx, row.template_name, row.template_language, self._clock())

    async def _judged(self, tx: Tx, row: NoticeRow) -> Choice:
        template = await templates.find(tx, row.template_name, row.template_language)
        if why := health.why_not(template):
            return Choice(row, f"The template {why}.")
        assert template is not None
        return Choice(row, " ".join(health.misfits(row, template)))
