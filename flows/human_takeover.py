"""A turn while a person answers in the Business app: everything is recorded, nothing is said.

What the customer writes goes to their open ticket, or is kept in the draft. Only an answer to a question that we asked
before moves the conversation: a tap, or the same in words.
"""

from __future__ import annotations

from flows.engine.definition import Heard
from flows.engine.machine import Flow
from flows.language.matching import is_blank
from flows.scripts.draft_actions import begin, draft_is_full, has_content, keep, keep_aside
from flows.scripts.ticket_actions import add_reply, open_ticket
from flows.talk import Talk

WORDS = frozenset(Heard)


def record(flow: Flow, talk: Talk, heard: str) -> None:
    event = talk.event
    if heard not in WORDS and (event.kind == "option" or not talk.desk.tickets):
        flow.hear(heard, talk)
    elif is_blank(event.text) and event.media is None:
        return
    elif talk.desk.tickets:
        add_reply(talk)
    elif heard == Heard.CONTENT:
        if draft_is_full(talk) and has_content(talk):
            open_ticket(talk)
        begin(talk)
        keep(talk)
    elif heard == Heard.UNREADABLE:
        begin(talk)
        keep_aside(talk)
