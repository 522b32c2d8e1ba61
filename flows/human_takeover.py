"""A turn while a person answers in the Business app: everything is recorded, nothing is said.

What the customer writes goes to their open ticket, or is kept in the draft. Only an answer to a question that we asked
before moves the conversation: a tap, or the same in words.
"""

from __future__ import annotations

from flows.engine.definition import Intent, TurnContext
from flows.engine.machine import Flow
from flows.language.matching import is_blank
from flows.scripts.draft_actions import begin, draft_is_full, has_content, keep, keep_aside
from flows.scripts.ticket_actions import add_reply, open_ticket

WORDS = frozenset(Intent)


def record(flow: Flow, context: TurnContext, intent: str) -> None:
    event = context.event
    if intent not in WORDS and (event.kind == "option" or not context.desk.tickets):
        flow.hear(intent, context)
    elif is_blank(event.text) and event.media is None:
        return
    elif context.desk.tickets:
        add_reply(context)
    elif intent == Intent.CONTENT:
        if draft_is_full(context) and has_content(context):
            open_ticket(context)
        begin(context)
        keep(context)
    elif intent == Intent.UNREADABLE:
        begin(context)
        keep_aside(context)
