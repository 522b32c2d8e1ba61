"""The words a flow is written in: states, the answers they offer, and rows.

A row says: when this is heard, do that and go there. The first row that fits is taken, a state's own before those that
hold everywhere. Where a conversation may go is written in these rows and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flows.conversation import Conversation
from flows.desk import Desk
from flows.effects import Effect
from flows.events import Event
from flows.language.matching import plain_label


class TurnContext:
    """The conversation while a turn is under way: the model that the state machine moves.

    It lives for one turn. Whatever it holds at the end becomes the next conversation and the turn's effects.
    """

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


Guard = Callable[[TurnContext], bool]
Act = Callable[[TurnContext], None]
Text = str | Callable[[TurnContext], str]


class FlowError(Exception):
    """The table is wrong. Raised when the flow is built, so never in front of a customer."""


class Intent(StrEnum):
    """What a message can be, besides one of the answers on offer."""

    MENU = "menu"
    CANCEL = "cancel"
    GREETING = "greeting"
    THANKS = "thanks"
    CONTENT = "content"
    NOISE = "noise"  # says something and describes nothing: a sticker, "?", a number that picks nothing
    BLANK = "blank"
    UNREADABLE = "unreadable"
    OLD_OPTION = "old_option"  # of another draft, or one that we never offered
    QUOTE = "quote"  # of something on an open ticket of theirs
    HANDED_OVER = "handed_over"  # by Meta's agent, while they have no open ticket


@dataclass(frozen=True, slots=True)
class Row:
    """What was meant, and what follows. The answer is `says`, or else `lead` before what the next state asks."""

    intent: str | tuple[str, ...]
    then: str = ""  # empty: stays where it is
    when: Guard | None = None
    do: tuple[Act, ...] = ()
    lead: Text = ""
    says: Text = ""

    @property
    def each(self) -> tuple[str, ...]:
        return (self.intent,) if isinstance(self.intent, str) else self.intent


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to tap. It can be typed as well: by its number, its label, its name, or one of `words`."""

    name: str
    label: str
    then: str = ""
    do: tuple[Act, ...] = ()
    says: Text = ""
    words: tuple[str, ...] = ()
    description: str = ""
    argument: str = ""  # which one, where several choices share a name

    def means(self, word: str) -> bool:
        known = (self.label, self.argument or self.name, *self.words)
        return any(plain_label(name) == word for name in known)


@dataclass(frozen=True, slots=True)
class State:
    name: str
    asks: Text
    rows: tuple[Row, ...] = ()
    choices: tuple[Choice, ...] = ()
    listed: Callable[[TurnContext], Sequence[Choice]] | None = None  # choices that the desk decides on
    listed_names: tuple[str, ...] = ()  # the names that those can have
    button: str = ""  # opens the list, where there are more than three choices
    needs: Guard | None = None  # a stored conversation that is here without it is damaged, and starts again

    @property
    def names(self) -> tuple[str, ...]:
        return (*(choice.name for choice in self.choices), *self.listed_names)

    @property
    def own_rows(self) -> tuple[Row, ...]:
        taps = (Row(c.name, then=c.then, do=c.do, says=c.says) for c in self.choices)
        return (*self.rows, *taps)

    def offered(self, context: TurnContext) -> Sequence[Choice]:
        return self.listed(context) if self.listed else self.choices
