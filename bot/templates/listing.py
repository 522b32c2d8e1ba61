"""Meta's list of our templates, page by page.

Invariant: whatever Meta answers, there is a Listing; it is complete only when every page came and every entry of it
could be read, because only then what is missing from it is gone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.whatsapp.graph.client import GraphClient
from bot.whatsapp.sanitize import clean
from storage.templates import StoredTemplate, fits_columns

FIELDS = "id,name,status,category,language,components,quality_score"
PAGE = 100
SMALL_PAGE = 20  # for templates so long that a page of them is more than an answer may be
MOST_PAGES = 100
LONGEST_COMPONENTS = 60_000
WRONG_ACCOUNT = (
    "Meta knows no such business account, or the token may not see it. Check WHATSAPP_BUSINESS_ACCOUNT_ID, and that "
    "the token has whatsapp_business_management."
)


@dataclass(frozen=True, slots=True)
class Listing:
    """`refused`: Meta said no, so somebody has to mend something. Otherwise a problem may pass by itself."""

    templates: list[StoredTemplate]
    complete: bool
    problem: str = ""
    refused: bool = False


async def list_templates(graph: GraphClient, waba_id: str, at: datetime) -> Listing:
    """Everything that Meta lists at `at`."""
    listing = await _pages(graph, waba_id, at, PAGE)
    if listing.problem and not listing.refused and not listing.templates:
        listing = await _pages(graph, waba_id, at, SMALL_PAGE)
    return listing


async def _pages(graph: GraphClient, waba_id: str, at: datetime, limit: int) -> Listing:
    found: dict[str, StoredTemplate] = {}
    params = {"fields": FIELDS, "limit": str(limit)}
    unread = 0
    for _ in range(MOST_PAGES):
        answer = await graph.get(f"{waba_id}/message_templates", params)
        if answer.error is not None:
            wrong = answer.error.code in (33, 100) or answer.error.http_status == 404
            reason = WRONG_ACCOUNT if wrong else f"Meta does not list the templates. {answer.error.reason}"
            return Listing([*found.values()], False, reason, refused=True)
        data = answer.value.get("data")
        if answer.failure or not isinstance(data, list):
            reason = answer.failure or "Meta answered something else than a list."
            return Listing([*found.values()], False, f"The templates could not be listed. {reason}")
        for entry in data:
            template = read_entry(entry, at)
            if template is None:
                unread += 1
            else:
                found[template.template_id] = template
        after = _after(answer.value.get("paging"))
        if not after or not data or after == params.get("after"):
            break
        params["after"] = after
    else:
        return Listing([*found.values()], False, "The list of templates has no end.")
    if unread:
        return Listing([*found.values()], False, f"Meta listed templates that can't be read ({unread}).")
    return Listing([*found.values()], True)


def _after(paging: object) -> str:
    """Where the next page begins; Meta gives a cursor for the last page too, but no address after it."""
    if not isinstance(paging, Mapping) or not paging.get("next"):
        return ""
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    return after if isinstance(after, str) else ""


def read_entry(entry: object, at: datetime) -> StoredTemplate | None:
    """One template of the list; None when it can't be one."""
    if not isinstance(entry, Mapping):
        return None
    template_id, components = entry.get("id"), entry.get("components", [])
    if type(template_id) is int:
        template_id = str(template_id)
    texts = [template_id, *(entry.get(key) for key in ("name", "language", "category", "status"))]
    read = [text if isinstance(text, str) else "" for text in texts]
    try:
        stored = clean(json.dumps(components, ensure_ascii=False), LONGEST_COMPONENTS + 1)
    except (ValueError, RecursionError):
        return None
    if not isinstance(components, list) or len(stored) > LONGEST_COMPONENTS:
        return None
    template = StoredTemplate(read[0], read[1], read[2], read[3].upper(), read[4].upper(), "", stored, at, at)
    return template if fits_columns(template) and template.status else None
