"""Lists the desk's issue types for customers to pick from, in pages where one list can't hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from flows.desk import IssueType
from flows.engine.definition import Choice, TurnContext
from flows.language.formatting import clip
from flows.limits import LIMITS

TOPICS_PER_PAGE = LIMITS.rows - 2  # beside them: More topics, Back


def list_topics(context: TurnContext) -> Sequence[Choice]:
    """Returns the desk's topics; where they don't fit into one list, the page that the draft is at."""
    pages = make_pages(context.desk.issue_types)
    return pages[min(context.draft.page, len(pages) - 1)]


@lru_cache(maxsize=8)  # the desk's topics are the same turn after turn
def make_pages(issue_types: tuple[IssueType, ...]) -> tuple[tuple[Choice, ...], ...]:
    """Returns the lists, each with its way on and back; one empty list where there are no issue types."""
    topics = [
        Choice("topic", t.label, words=(t.label,), description=t.description, argument=t.type_id) for t in issue_types
    ]
    if len(topics) <= LIMITS.rows:
        return (_fit_labels(topics),)
    pages = [topics[start : start + TOPICS_PER_PAGE] for start in range(0, len(topics), TOPICS_PER_PAGE)]
    for number, page in enumerate(pages):
        if number + 1 < len(pages):
            page.append(Choice("page", "More topics", words=("more",), argument=str(number + 1)))
        if number:
            page.append(Choice("page", "Back", argument=str(number - 1)))
    return tuple(_fit_labels(page) for page in pages)


def _fit_labels(page: Sequence[Choice]) -> tuple[Choice, ...]:
    """Shortens what is too long for WhatsApp. A label that was shortened may still be typed whole."""
    width = LIMITS.button if len(page) <= LIMITS.buttons else LIMITS.row
    return tuple(
        replace(c, label=clip(c.label, width), description=clip(c.description, LIMITS.row_description)) for c in page
    )
