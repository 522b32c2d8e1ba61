"""Records a turn while a person answers in the Business app: everything is kept, nothing is said.

What the customer writes goes to their open ticket, or into the draft. Only an answer to a question that the bot asked
before moves the conversation: a tap, or the same in words. A chat that Meta's agent hands over is a ticket as always.
"""

from __future__ import annotations

from flows.engine.definition import Intent, TurnContext
from flows.engine.machine import Flow
from flows.language.matching import is_blank
from flows.scripts.draft_actions import begin_draft, has_content, is_draft_full, keep_for_agent, keep_message
from flows.scripts.ticket_actions import add_reply, open_ticket

INTENTS = frozenset(Intent)


def record(flow: Flow, context: TurnContext, intent: str) -> None:
    """Adds the effects of an event that nobody answers."""
    event, has_tickets = context.event, bool(context.desk.tickets)
    is_choice = intent not in INTENTS
    if intent == Intent.HANDED_OVER or (is_choice and (event.kind == "option" or not has_tickets)):
        flow.step(intent, context)
    elif is_blank(event.text) and event.media is None:
        return
    elif has_tickets:
        add_reply(context)
    elif intent == Intent.CONTENT:
        if is_draft_full(context) and has_content(context):
            open_ticket(context)
        begin_draft(context)
        keep_message(context)
    elif intent == Intent.UNREADABLE:
        begin_draft(context)
        keep_for_agent(context)
