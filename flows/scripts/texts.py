"""Words the prompts and answers that depend on the customer's draft or ticket."""

from __future__ import annotations

from flows.engine.definition import MAX_LEAD_UNITS, TurnContext
from flows.language.formatting import count_attachments, count_units, escape_marks, fit_on_one_line, make_excerpt
from flows.limits import LIMITS
from flows.scripts.draft_actions import OTHER, has_content
from flows.scripts.ticket_actions import find_ticket_id, has_open_ticket

# Said beside the conversation, once a day at most.
FILES_WAIT = "You've sent us a lot of files today, so we'll only open the latest ones if we need them."


def ask_topic(context: TurnContext) -> str:
    """Asks what it is about, or, where nothing is written yet, what is wrong."""
    if has_content(context):
        return "What is it about?"
    return "What do you need help with? Pick a topic, or just write what is wrong."


def summarize_draft(context: TurnContext) -> str:
    """Shows the draft as it stands, shortened so that the whole question fits beside its buttons."""
    draft = context.draft
    issue_type = draft.issue_type or OTHER
    label = next((t.label for t in context.desk.issue_types if t.type_id == issue_type), issue_type.capitalize())
    topic = f"Please check: *{escape_marks(fit_on_one_line(label, LIMITS.row))}*"
    files = count_attachments(draft.attachments)
    question = "Send it now, or keep writing to add more."
    room = LIMITS.body - MAX_LEAD_UNITS - sum(count_units(part) + 2 for part in (topic, files, question))
    return "\n\n".join(filter(None, (topic, make_excerpt(draft.customer_text, room), files, question)))


def say_opened(context: TurnContext) -> str:
    """Names the ticket that was just opened."""
    return f"Done: your ticket is *#{context.ticket_id}*. Write here any time to add to it."


def say_taken_over(context: TurnContext) -> str:
    """Says that people go on where Meta's agent ended."""
    return f"Our team goes on from here: your ticket is *#{context.ticket_id}*. Write here any time to add to it."


def say_added(context: TurnContext) -> str:
    """Says to which ticket a message was added."""
    return f"Thank you, that is added to your ticket *#{find_ticket_id(context)}*."


def ask_at_rest(context: TurnContext) -> str:
    """Says what becomes of what the customer writes while no question is open."""
    if not has_open_ticket(context):
        return "Tell us what is wrong, or write *menu* to see the topics."
    ticket_id = context.desk.tickets[0].ticket_id
    return f"What you write here is added to your ticket *#{ticket_id}*. For something new, write *menu*."
