"""What is no message to the bot: it is shown where it belongs, and changes a draft at most. Nothing is answered.

The exception is a chat that Meta's agent hands over: without an open ticket it becomes one, and the customer is told.
"""

from __future__ import annotations

from flows.engine.definition import TurnContext
from flows.scripts.draft_actions import change_piece, keep_aside
from flows.scripts.ticket_actions import note

ASIDES = ("silent", "echo", "handover")


def opens_ticket(context: TurnContext) -> bool:
    return context.event.kind == "handover" and not context.desk.tickets


def record(context: TurnContext) -> None:
    event = context.event
    if event.kind == "silent" and event.about and event.quoted_wamid in context.draft.wamids:
        change_piece(context)
    elif event.kind == "silent" and event.change == "edited" and not (context.desk.about or context.desk.tickets):
        keep_aside(context)  # words of theirs, and nowhere else to show them
    else:
        note(context)
