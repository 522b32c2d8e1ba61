"""The conversation while a turn is under way: the model that the state machine moves.

It lives for one turn. Whatever it holds at the end becomes the next conversation and the turn's effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.conversation import Conversation
from flows.desk import Desk
from flows.effects import Effect
from flows.events import Event

if TYPE_CHECKING:
    from flows.engine.definition import Row


class Talk:
    __slots__ = (
        "argument", "desk", "draft", "effects", "event", "flow", "row", "sorry_at", "sorry_for", "state", "ticket_id",
    )  # fmt: skip

    def __init__(self, conversation: Conversation, event: Event, desk: Desk) -> None:
        self.flow = conversation.flow
        self.state = conversation.state
        self.draft = conversation.draft
        self.ticket_id = conversation.ticket_id
        self.sorry_for, self.sorry_at = conversation.sorry_for, conversation.sorry_at
        self.event = event
        self.desk = desk
        self.argument = ""  # what an option is about: the topic that was picked
        self.effects: list[Effect] = []
        self.row: Row | None = None  # the row of the table that was taken

    def taken(self) -> Row:
        if self.row is None:
            raise LookupError(f"{self.flow}: no row was taken in {self.state}")
        return self.row

    def conversation(self) -> Conversation:
        return Conversation(self.flow, self.state, self.draft, self.ticket_id, self.sorry_for, self.sorry_at)
