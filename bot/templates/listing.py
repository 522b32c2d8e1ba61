"""Reads Meta's list of our templates, page by page.

Invariants
- Whatever Meta answers, there is a TemplateListing.
- It is complete only when every page came: only then is a template that it lacks gone at Meta.
- An entry that can't be read is named, and spoils nothing for the others.

Source: Meta, templates/overview (GET /{waba-id}/message_templates).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bot.whatsapp.graph.client import GraphClient
from bot.whatsapp.sanitize import clean, clean_line
from storage.templates import StoredTemplate, can_be_stored

FIELDS = "id,name,status,category,language,components,quality_score"
PAGE_SIZE = 100
SMALL_PAGE_SIZE = 20  # for templates so long that a page of them exceeds what we read of an answer
MAX_PAGES = 100  # more is a list that never ends
MAX_COMPONENTS_CHARACTERS = 60_000  # as the column takes them
MAX_LABEL_CHARACTERS = 80
UNNAMED = "one without a name"
WRONG_ACCOUNT_CODES = (33, 100)  # of the Graph API, for an object that is not there or that the token may not see
WRONG_ACCOUNT = (
    "Meta knows no such business account, or the token may not see it. Check WHATSAPP_BUSINESS_ACCOUNT_ID, and that "
    "the token has whatsapp_business_management."
)


class UnreadableEntry(NamedTuple):
    """An entry of the list that can't be a template which fits our columns. `template_id`: "" where that can't be read
    either; `label`: what to call it."""

    template_id: str
    label: str


@dataclass(frozen=True, slots=True)
class TemplateListing:
    """What one listing brought. `problem`: why it is not complete, as a sentence, else "".

    `is_refused`: Meta said no, so somebody has to fix something. Any other problem may pass by itself.
    """

    templates: list[StoredTemplate]
    is_complete: bool
    problem: str = ""
    is_refused: bool = False
    unreadable: tuple[UnreadableEntry, ...] = ()

    @property
    def tells_what_is_gone(self) -> bool:
        """Whether a template that it lacks is gone; not where any of them may be the one that can't be read."""
        return self.is_complete and all(entry.template_id for entry in self.unreadable)


async def list_templates(graph: GraphClient, waba_id: str, at: datetime) -> TemplateListing:
    """Asks Meta for all templates of a business account at `at`; raises nothing."""
    listing = await _list_pages(graph, waba_id, at, PAGE_SIZE)
    if listing.problem and not listing.is_refused and not listing.templates:
        listing = await _list_pages(graph, waba_id, at, SMALL_PAGE_SIZE)
    return listing


async def _list_pages(graph: GraphClient, waba_id: str, at: datetime, page_size: int) -> TemplateListing:
    found: dict[str, StoredTemplate] = {}
    params = {"fields": FIELDS, "limit": str(page_size)}
    unreadable: list[UnreadableEntry] = []
    for _ in range(MAX_PAGES):
        answer = await graph.get(f"{waba_id}/message_templates", params)
        if answer.error is not None:
            is_wrong_account = answer.error.code in WRONG_ACCOUNT_CODES or answer.error.http_status == 404
            problem = WRONG_ACCOUNT if is_wrong_account else f"Meta does not list the templates. {answer.error.reason}"
            return TemplateListing([*found.values()], is_complete=False, problem=problem, is_refused=True)
        data = answer.value.get("data")
        if answer.failure or not isinstance(data, list):
            reason = answer.failure or "Meta answered something else than a list."
            return _make_partial(found, f"The templates could not be listed. {reason}")
        for entry in data:
            template = parse_entry(entry, at)
            if template is None:
                unreadable.append(_describe_unreadable(entry))
            else:
                found[template.template_id] = template
        after = answer.next_cursor
        if not after or not data or after == params.get("after"):
            break
        params["after"] = after
    else:
        return _make_partial(found, "The list of templates has no end.")
    return TemplateListing([*found.values()], is_complete=True, unreadable=tuple(unreadable))


def _make_partial(found: Mapping[str, StoredTemplate], problem: str) -> TemplateListing:
    return TemplateListing([*found.values()], is_complete=False, problem=problem)


def parse_entry(entry: object, at: datetime) -> StoredTemplate | None:
    """Parses one entry of the list; returns None when it can't be a template that fits our columns."""
    if not isinstance(entry, Mapping):
        return None
    components = entry.get("components") or []
    try:
        encoded = clean(json.dumps(components, ensure_ascii=False), MAX_COMPONENTS_CHARACTERS + 1)
    except (ValueError, RecursionError):
        return None
    if not isinstance(components, list) or len(encoded) > MAX_COMPONENTS_CHARACTERS:
        return None
    template = StoredTemplate(
        template_id=_read_id(entry),
        name=_to_text(entry.get("name")),
        language=_to_text(entry.get("language")),
        category=_to_text(entry.get("category")).upper(),
        status=_to_text(entry.get("status")).upper(),
        reason="",
        components=encoded,
        status_at=at,
        synced_at=at,
    )
    return template if can_be_stored(template) and template.status else None


def _describe_unreadable(entry: object) -> UnreadableEntry:
    """Describes an entry that `parse_entry` made nothing of."""
    if not isinstance(entry, Mapping):
        return UnreadableEntry("", UNNAMED)
    template_id, name, language = _read_id(entry), _to_text(entry.get("name")), _to_text(entry.get("language"))
    shown = clean_line(f"{name} ({language})" if name and language else name, MAX_LABEL_CHARACTERS)
    return UnreadableEntry(template_id, shown or clean_line(template_id, MAX_LABEL_CHARACTERS) or UNNAMED)


def _read_id(entry: Mapping[str, object]) -> str:
    template_id = entry.get("id")
    return str(template_id) if type(template_id) is int else _to_text(template_id)


def _to_text(value: object) -> str:
    return value if isinstance(value, str) else ""
