"""Keeps templates as Meta has them (table `template`), and which is assigned to which notice (`notice_template`).

A notice is a message that tells customers of a change of their ticket; outside of the 24 hours it goes out by the
template that is assigned to its kind and language.

Invariants
- What Meta says of a template counts by the time at which Meta said it, so a late webhook undoes nothing that a newer
  one or a listing brought.
- A template that is gone at Meta stays here as REMOVED, with what is assigned to it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from storage.sql.columns import to_millis
from storage.sql.database import Tx, placeholders
from storage.sql.row_mapper import RowMapper

APPROVED = "APPROVED"  # as Meta spells it
REMOVED = "REMOVED"  # our own word for what Meta does not list any more
MAX_REASON_LENGTH = 300  # characters


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A row of the table `template`: its fields are the columns. `components`: JSON as Meta gave it; `status_at`: when
    Meta last said its status; `synced_at`: when it was last listed."""

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
class NoticeAssignment:
    """The template that is assigned to a kind of notice in one language: its fields are the columns. `parameters`:
    JSON, which of our values goes into which of the template's parameters."""

    kind: str
    language: str
    template_name: str
    template_language: str
    parameters: str
    updated_at: datetime


_TEMPLATES = RowMapper(StoredTemplate, {"template_id": "id"})
_ASSIGNMENTS = RowMapper(NoticeAssignment, {})


async def list_templates(tx: Tx) -> list[StoredTemplate]:
    """Lists all templates that Meta has ever told of."""
    rows = await tx.fetch(f"SELECT {_TEMPLATES.column_list} FROM template ORDER BY name, language, id")
    return _TEMPLATES.from_rows(rows)


async def find(tx: Tx, name: str, language: str) -> StoredTemplate | None:
    """Finds the template; where one was removed and made again, the one that is there."""
    rows = await tx.fetch(
        f"SELECT {_TEMPLATES.column_list} FROM template WHERE name = ? AND language = ? "
        "ORDER BY CASE WHEN status = ? THEN 1 ELSE 0 END, status_at DESC, id DESC LIMIT 1",
        [name, language, REMOVED],
    )
    return _TEMPLATES.from_row(rows[0]) if rows else None


async def list_named(tx: Tx, name: str) -> list[StoredTemplate]:
    """Lists the templates of this name that Meta has, by their languages."""
    rows = await tx.fetch(
        f"SELECT {_TEMPLATES.column_list} FROM template WHERE name = ? AND status <> ? ORDER BY language, id",
        [name, REMOVED],
    )
    return _TEMPLATES.from_rows(rows)


async def record_status(tx: Tx, template: StoredTemplate) -> bool:
    """Writes down the status that Meta reports of a template; returns False when something newer is known. One that was
    never listed is inserted as it is given. `reason` is "" where there is nothing to say."""
    at, reason = to_millis(template.status_at), template.reason[:MAX_REASON_LENGTH]
    clash = "CONFLICT (id) DO NOTHING" if tx.dialect == "sqlite" else "DUPLICATE KEY UPDATE id = id"
    values = placeholders(len(_TEMPLATES.columns))
    insert = f"INSERT INTO template ({_TEMPLATES.column_list}) VALUES ({values}) ON {clash}"
    if await tx.execute(insert, _TEMPLATES.to_row(_cut(template))):
        return True
    return bool(
        await tx.execute(
            "UPDATE template SET status = ?, reason = ?, status_at = ? WHERE id = ? AND status_at <= ? "
            "AND (status <> ? OR reason <> ? OR status_at <> ?)",
            [template.status, reason, at, template.template_id, at, template.status, reason, at],
        )
    )


async def store_listing(
    tx: Tx, listing: Sequence[StoredTemplate], at: datetime, *, complete: bool, unreadable: Collection[str] = ()
) -> None:
    """Stores what Meta listed when it was asked at `at`. Where the listing is complete, a template that is not in it is
    set REMOVED; `unreadable`: the ids of those that are in it and stay as they were."""
    lock = "" if tx.dialect == "sqlite" else " FOR UPDATE"
    rows = await tx.fetch(f"SELECT {_TEMPLATES.column_list} FROM template{lock}")
    known = {template.template_id: template for template in _TEMPLATES.from_rows(rows)}
    listed = {template.template_id: template for template in listing}
    changed = [_merge(known[template_id], template) for template_id, template in listed.items() if template_id in known]
    if complete:
        changed += [
            replace(template, status=REMOVED, reason="", status_at=at)
            for template_id, template in known.items()
            if template_id not in listed
            and template_id not in unreadable
            and template.status != REMOVED
            and template.status_at <= at
        ]
    new = [_TEMPLATES.to_row(_cut(template)) for template_id, template in listed.items() if template_id not in known]
    await tx.insert("template", _TEMPLATES.columns, new)
    for template in changed:
        if template != known[template.template_id]:
            changes = ", ".join(f"{column} = ?" for column in _TEMPLATES.columns)
            values = _TEMPLATES.to_row(_cut(template))
            await tx.execute(f"UPDATE template SET {changes} WHERE id = ?", [*values, template.template_id])


def _merge(known: StoredTemplate, listed: StoredTemplate) -> StoredTemplate:
    """Takes all from the listing, but the status and its reason only where nothing newer is known of them."""
    if listed.status_at < known.status_at:
        return replace(listed, status=known.status, reason=known.reason, status_at=known.status_at)
    return replace(listed, reason=known.reason) if listed.status == known.status else listed


def _cut(template: StoredTemplate) -> StoredTemplate:
    return replace(template, reason=template.reason[:MAX_REASON_LENGTH])


async def list_assignments(tx: Tx) -> list[NoticeAssignment]:
    """Lists the notices that have a template."""
    rows = await tx.fetch(f"SELECT {_ASSIGNMENTS.column_list} FROM notice_template ORDER BY kind, language")
    return _ASSIGNMENTS.from_rows(rows)


async def find_assignments(tx: Tx, kind: str, language: str) -> list[NoticeAssignment]:
    """Finds what may carry this notice, the best language first."""
    rows = await tx.fetch(f"SELECT {_ASSIGNMENTS.column_list} FROM notice_template WHERE kind = ?", [kind])
    found = [row for row in _ASSIGNMENTS.from_rows(rows) if may_carry(row.language, language)]
    return sorted(found, key=lambda row: (_rank_language(row.language, language), row.language))


def may_carry(assigned_language: str, language: str) -> bool:
    """Whether what is assigned for one language may carry a notice in another."""
    return _rank_language(assigned_language, language) is not None


def _rank_language(assigned_language: str, language: str) -> int | None:
    """Ranks what is assigned for a language by how well it suits a notice: the language itself, then without its
    country, or in any country where the notice has none, then English, which every desk has."""
    exact = language.replace("-", "_") or "en"
    wanted = dict.fromkeys((exact, exact.partition("_")[0], f"{exact}_*", "en", "en_*"))
    given = (assigned_language, f"{assigned_language.partition('_')[0]}_*")
    return next((rank for rank, one in enumerate(wanted) if one in given), None)


async def list_assignments_of(tx: Tx, template_name: str, template_language: str) -> list[NoticeAssignment]:
    """Lists the notices to which this template is assigned."""
    rows = await tx.fetch(
        f"SELECT {_ASSIGNMENTS.column_list} FROM notice_template WHERE template_name = ? AND template_language = ? "
        "ORDER BY kind, language",
        [template_name, template_language],
    )
    return _ASSIGNMENTS.from_rows(rows)


async def save_assignment(tx: Tx, assignment: NoticeAssignment) -> None:
    """Assigns a template to a notice, in the place of another."""
    await delete_assignment(tx, assignment.kind, assignment.language)
    row = (_to_assignment_id(assignment.kind, assignment.language), *_ASSIGNMENTS.to_row(assignment))
    await tx.insert("notice_template", ("id", *_ASSIGNMENTS.columns), [row])


async def delete_assignment(tx: Tx, kind: str, language: str) -> bool:
    """Takes its template from a notice; returns False when it had none."""
    return bool(await tx.execute("DELETE FROM notice_template WHERE id = ?", [_to_assignment_id(kind, language)]))


def can_be_stored(template: StoredTemplate) -> bool:
    """Returns whether the columns can hold it. Meta's own names are ASCII and short; what is not has been forged."""
    sizes = (
        (template.template_id, 32), (template.name, 512), (template.language, 20), (template.category, 30),
        (template.status, 30),
    )  # fmt: skip
    return bool(template.template_id and template.name and template.language) and all(
        text.isascii() and text.isprintable() and len(text) <= max_length for text, max_length in sizes
    )


def _to_assignment_id(kind: str, language: str) -> str:
    return f"{kind}/{language}"
