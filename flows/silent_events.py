"""Records events that nobody answers: reactions, edits, deletions, echoes of the Business app, handovers.

Each is shown to agents on the ticket that it belongs to, and changes a draft at most. The exception is a chat that
Meta's agent hands over: without an open ticket it becomes one, and the customer is told so.
"""

from __future__ import annotations

from flows.engine.definition import TurnContext
from flows.scripts.draft_actions import apply_change, keep_for_agent
from flows.scripts.ticket_actions import add_note

SILENT_KINDS = ("silent", "echo", "handover")


def is_opening_ticket(context: TurnContext) -> bool:
    """Whether this is a handover that becomes a ticket of its own."""
    return context.event.kind == "handover" and not context.desk.tickets


def record(context: TurnContext) -> None:
    """Changes the draft that the event is about, or else notes it on a ticket."""
    event = context.event
    if event.kind == "silent" and event.about and event.quoted_wamid in context.draft.wamids:
        apply_change(context)
    elif event.kind == "silent" and event.change == "edited" and not (context.desk.about or context.desk.tickets):
        keep_for_agent(context)  # the customer's words, and there is no ticket to show them on
    else:
        add_note(context)
