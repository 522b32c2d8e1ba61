"""What is no message to the bot: it is shown where it belongs, and changes a draft at most. Nothing is answered.

The exception is a chat that Meta's agent hands over: without an open ticket it becomes one, and the customer is told.
"""

from __future__ import annotations

from flows.scripts.draft_actions import change_piece, keep_aside
from flows.scripts.ticket_actions import note
from flows.talk import Talk

ASIDES = ("silent", "echo", "handover")


def opens_ticket(talk: Talk) -> bool:
    return talk.event.kind == "handover" and not talk.desk.tickets


def record(talk: Talk) -> None:
    event = talk.event
    if event.kind == "silent" and event.about and event.quoted_wamid in talk.draft.wamids:
        change_piece(talk)
    elif event.kind == "silent" and event.change == "edited" and not (talk.desk.about or talk.desk.tickets):
        keep_aside(talk)  # words of theirs, and nowhere else to show them
    else:
        note(talk)
