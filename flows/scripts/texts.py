"""What the bot says, where the words depend on the customer's draft or ticket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from flows.desk import IssueType
from flows.engine.check import LEAD
from flows.engine.definition import Choice, TurnContext
from flows.language import formatting
from flows.limits import LIMITS
from flows.scripts.draft_actions import OTHER, has_content
from flows.scripts.ticket_actions import has_open_ticket, ticket_meant

TOPICS_A_PAGE = LIMITS.rows - 2  # beside them: More topics, Back


def ask_topic(context: TurnContext) -> str:
    if has_content(context):
        return "What is it about?"
    return "What do you need help with? Pick a topic, or just write what is wrong."


def list_topics(context: TurnContext) -> Sequence[Choice]:
    """The desk's topics; where they don't fit into one list, the page that the draft is at."""
    pages = _pages(context.desk.issue_types)
    return pages[min(context.draft.page, len(pages) - 1)]


@lru_cache(maxsize=8)  # the desk's topics are the same turn after turn
def _pages(issue_types: tuple[IssueType, ...]) -> list[list[Choice]]:
    topics = [
        Choice("topic", t.label, words=(t.label,), description=t.description, argument=t.type_id) for t in issue_types
    ]
    if len(topics) <= LIMITS.rows:
        return [_fitted(topics)]
    pages = [topics[start : start + TOPICS_A_PAGE] for start in range(0, len(topics), TOPICS_A_PAGE)]
    for number, page in enumerate(pages):
        if number + 1 < len(pages):
            page.append(Choice("page", "More topics", words=("more",), argument=str(number + 1)))
        if number:
            page.append(Choice("page", "Back", argument=str(number - 1)))
    return [_fitted(page) for page in pages]


def _fitted(page: list[Choice]) -> list[Choice]:
    """The desk may name its topics as it likes: a label that is too long is shortened, and may still be typed whole."""
    width = LIMITS.button if len(page) <= LIMITS.buttons else LIMITS.row
    return [
        replace(
            c, label=formatting.clip(c.label, width), description=formatting.clip(c.description, LIMITS.row_description)
        )
        for c in page
    ]


def check_draft(context: TurnContext) -> str:
    """The draft as it stands, shortened so that the whole question fits beside its buttons."""
    draft = context.draft
    issue_type = draft.issue_type or OTHER
    label = next((t.label for t in context.desk.issue_types if t.type_id == issue_type), issue_type.capitalize())
    head = f"Please check: *{formatting.harmless(formatting.one_line(label, LIMITS.row))}*"
    end = "Send it now, or keep writing to add more."
    count = formatting.counted(draft.attachments)
    room = LIMITS.body - LEAD - sum(formatting.units(part) + 2 for part in (head, count, end))
    return "\n\n".join(part for part in (head, formatting.echo(draft.said, room), count, end) if part)


def say_opened(context: TurnContext) -> str:
    return f"Done: your ticket is *#{context.ticket_id}*. Write here any time to add to it."


def say_taken_over(context: TurnContext) -> str:
    return f"Our team goes on from here: your ticket is *#{context.ticket_id}*. Write here any time to add to it."


def say_added(context: TurnContext) -> str:
    return f"Thank you, that is added to your ticket *#{ticket_meant(context)}*."


def ask_at_rest(context: TurnContext) -> str:
    if not has_open_ticket(context):
        return "Tell us what is wrong, or write *menu* to see the topics."
    ticket_id = context.desk.tickets[0].ticket_id
    return f"What you write here is added to your ticket *#{ticket_id}*. For something new, write *menu*."
