"""Templates as Meta has them, and which of them carries which notice outside of the window.

Invariant: what Meta says of a template goes by the time at which it said it, so a late webhook never undoes what a
newer one or a listing told. A template that is gone at Meta stays here as REMOVED, with what uses it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from storage.sql.columns import from_millis, to_millis
from storage.sql.database import Tx, placeholders

APPROVED = "APPROVED"
REMOVED = "REMOVED"
COLUMNS = ("id", "name", "language", "category", "status", "reason", "components", "status_at", "synced_at")
NOTICE = ("kind", "language", "template_name", "template_language", "parameters", "updated_at")


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """`components`: JSON as Meta gave it; `status_at`: when Meta last said its status."""

    template_id: str
    name: str
    language: str
    category: str
    status: str
    reason: str
    components: str
    status_at: datetime
    synced_at: datetime


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """`parameters`: JSON, which of our values goes into which of the template's places."""

    kind: str
    language: str
    template_name: str
    template_language: str
    parameters: str
    updated_at: datetime


async def listed(tx: Tx) -> list[StoredTemplate]:
    """All that Meta has ever told of."""
    rows = await tx.fetch(f"SELECT {', '.join(COLUMNS)} FROM template ORDER BY name, language, id")
    return [_template(*row) for row in rows]


async def find(tx: Tx, name: str, language: str) -> StoredTemplate | None:
    """The template; where one was removed and made again, the one that is there."""
    rows = await tx.fetch(
        f"SELECT {', '.join(COLUMNS)} FROM template WHERE name = ? AND language = ? "
        "ORDER BY CASE WHEN status = ? THEN 1 ELSE 0 END, status_at DESC, id DESC LIMIT 1",
        [name, language, REMOVED],
    )
    return _template(*rows[0]) if rows else None


async def hear(tx: Tx, template: StoredTemplate) -> bool:
    """Meta says that a template's status has changed; False when something newer was said. One that was never listed is
    written down without its components. `reason` is "" where there is nothing to say."""
    at, reason = to_millis(template.status_at), template.reason[:300]
    clash = "CONFLICT (id) DO NOTHING" if tx.dialect == "sqlite" else "DUPLICATE KEY UPDATE id = id"
    names = ", ".join(COLUMNS)
    if await tx.execute(
        f"INSERT INTO template ({names}) VALUES ({placeholders(len(COLUMNS))}) ON {clash}", _row(template)
    ):
        return True
    return bool(
        await tx.execute(
            "UPDATE template SET status = ?, reason = ?, status_at = ? WHERE id = ? AND status_at <= ? "
            "AND (status <> ? OR reason <> ? OR status_at <> ?)",
            [template.status, reason, at, template.template_id, at, template.status, reason, at],
        )
    )


async def take_list(tx: Tx, found: Sequence[StoredTemplate], at: datetime, *, complete: bool) -> None:
    """What Meta listed when it was asked at `at`. Complete, what is not in it is not there any more."""
    lock = "" if tx.dialect == "sqlite" else " FOR UPDATE"
    rows = await tx.fetch(f"SELECT {', '.join(COLUMNS)} FROM template{lock}")
    known = {row[0]: _template(*row) for row in rows}
    listed_now = {template.template_id: template for template in found}
    changed = [
        _merged(known[template_id], template) for template_id, template in listed_now.items() if template_id in known
    ]
    if complete:
        changed += [
            replace(template, status=REMOVED, reason="", status_at=at)
            for template_id, template in known.items()
            if template_id not in listed_now and template.status != REMOVED and template.status_at <= at
        ]
    await tx.insert(
        "template",
        COLUMNS,
        [_row(template) for template_id, template in listed_now.items() if template_id not in known],
    )
    for template in changed:
        if template != known[template.template_id]:
            names = ", ".join(f"{column} = ?" for column in COLUMNS[1:])
            await tx.execute(f"UPDATE template SET {names} WHERE id = ?", [*_row(template)[1:], template.template_id])


def _merged(known: StoredTemplate, listed: StoredTemplate) -> StoredTemplate:
    """The listing brings everything, and the status only where nothing newer is known of it."""
    if listed.status_at < known.status_at:
        return replace(listed, status=known.status, reason=known.reason, status_at=known.status_at)
    return replace(listed, reason=known.reason) if listed.status == known.status else listed


async def notices(tx: Tx) -> list[NoticeRow]:
    """Every notice that has a template."""
    rows = await tx.fetch(f"SELECT {', '.join(NOTICE)} FROM notice_template ORDER BY kind, language")
    return [_notice(*row) for row in rows]


async def notices_of(tx: Tx, kind: str, language: str) -> list[NoticeRow]:
    """The rows that may carry this notice, the best first."""
    wanted = list(languages(language))
    rows = await tx.fetch(
        f"SELECT {', '.join(NOTICE)} FROM notice_template WHERE kind = ? AND language IN ({placeholders(len(wanted))})",
        [kind, *wanted],
    )
    return sorted((_notice(*row) for row in rows), key=lambda row: wanted.index(row.language))


async def using(tx: Tx, name: str, language: str) -> list[NoticeRow]:
    """The notices that a template carries."""
    rows = await tx.fetch(
        f"SELECT {', '.join(NOTICE)} FROM notice_template WHERE template_name = ? AND template_language = ? "
        "ORDER BY kind, language",
        [name, language],
    )
    return [_notice(*row) for row in rows]


async def save_notice(tx: Tx, notice: NoticeRow) -> None:
    """Gives a notice its template, in the place of another."""
    await delete_notice(tx, notice.kind, notice.language)
    values = (
        notice.kind, notice.language, notice.template_name, notice.template_language, notice.parameters,
        to_millis(notice.updated_at),
    )  # fmt: skip
    await tx.insert("notice_template", ("id", *NOTICE), [(_notice_id(notice.kind, notice.language), *values)])


async def delete_notice(tx: Tx, kind: str, language: str) -> bool:
    """Takes its template from a notice; False when it had none."""
    return bool(await tx.execute("DELETE FROM notice_template WHERE id = ?", [_notice_id(kind, language)]))


async def chosen(tx: Tx, kind: str, language: str) -> str:
    """The name of the template that would carry this notice now, "" when there is none."""
    for notice in await notices_of(tx, kind, language):
        template = await find(tx, notice.template_name, notice.template_language)
        if template is not None and template.status == APPROVED:
            return template.name
    return ""


def languages(language: str) -> Iterator[str]:
    """Where to look for a language: itself, then without its country, then English, which every desk has."""
    exact = language.replace("-", "_") or "en"
    yield from dict.fromkeys((exact, exact.partition("_")[0], "en"))


def fits_columns(template: StoredTemplate) -> bool:
    """Whether the database can hold it: what Meta names is ASCII and short. Anything else is not of Meta's making."""
    sizes: Collection[tuple[str, int]] = (
        (template.template_id, 32), (template.name, 512), (template.language, 20), (template.category, 30),
        (template.status, 30),
    )  # fmt: skip
    return bool(template.template_id and template.name and template.language) and all(
        text.isascii() and text.isprintable() and len(text) <= most for text, most in sizes
    )


def _notice_id(kind: str, language: str) -> str:
    return f"{kind}/{language}"


def _row(template: StoredTemplate) -> tuple[object, ...]:
    return (
        template.template_id, template.name, template.language, template.category, template.status,
        template.reason[:300], template.components, to_millis(template.status_at), to_millis(template.synced_at),
    )  # fmt: skip


def _template(*row: Any) -> StoredTemplate:
    template_id, name, language, category, status, reason, components, status_at, synced_at = row
    times = from_millis(status_at), from_millis(synced_at)
    return StoredTemplate(template_id, name, language, category, status, reason, components, *times)


def _notice(*row: Any) -> NoticeRow:
    kind, language, template_name, template_language, parameters, updated_at = row
    return NoticeRow(kind, language, template_name, template_language, parameters, from_millis(updated_at))
