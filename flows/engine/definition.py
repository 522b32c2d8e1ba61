"""Defines the parts of a flow's table (states, the choices they offer, and rows), and the context of one turn.

A row says: when this intent is recognized, do that and go there. The first row that fits is taken, a state's own rows
before those that hold everywhere. Where a conversation may go is written in these rows and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flows.conversation import Conversation
from flows.desk import Desk
from flows.effects import Effect
from flows.events import Event
from flows.language.matching import normalize_label

MAX_LEAD_UNITS = 160  # what a lead may take of a message, so that the prompt behind it knows its room


class TurnContext:
    """What one turn works on: the conversation that the state machine moves, the event, and the effects so far.

    It lives for one turn. What it holds at the end becomes the next conversation and the turn's effects.
    """

    __slots__ = (
        "apology_epoch", "apology_for", "argument", "desk", "draft", "effects", "event", "flow", "row", "state",
        "ticket_id",
    )  # fmt: skip

    def __init__(self, conversation: Conversation, event: Event, desk: Desk) -> None:
        self.flow = conversation.flow
        self.state = conversation.state
        self.draft = conversation.draft
        self.ticket_id = conversation.ticket_id
        self.apology_for, self.apology_epoch = conversation.apology_for, conversation.apology_epoch
        self.event = event
        self.desk = desk
        self.argument = ""  # what the choice that was recognized is about: the id of the topic, the number of the page
        self.effects: list[Effect] = []
        self.row: Row | None = None  # the row of the table that the state machine took

    def to_conversation(self) -> Conversation:
        """Returns the conversation as the turn leaves it."""
        return Conversation(
            flow=self.flow,
            state=self.state,
            draft=self.draft,
            ticket_id=self.ticket_id,
            apology_for=self.apology_for,
            apology_epoch=self.apology_epoch,
        )


Guard = Callable[[TurnContext], bool]
Action = Callable[[TurnContext], None]
Text = str | Callable[[TurnContext], str]


class FlowError(Exception):
    """The table is wrong. It is raised when the flow is built, so never in front of a customer."""


class Intent(StrEnum):
    """What a customer can mean, besides one of the choices on offer."""

    MENU = "menu"  # the command: show the topics
    CANCEL = "cancel"  # the command: send nothing
    GREETING = "greeting"  # "Hi", and no more
    THANKS = "thanks"  # "Thank you", and no more
    CONTENT = "content"  # it describes something: text, a photo, a file, a location, a contact
    NOISE = "noise"  # it says something and describes nothing: a sticker, "?", a number that picks nothing
    BLANK = "blank"  # a text in which a person sees nothing
    UNREADABLE = "unreadable"  # of a kind that can't be shown here, or lost on its way by WhatsApp
    OLD_OPTION = "old_option"  # an option of another draft, or one that was never offered
    QUOTE = "quote"  # it quotes something on an open ticket of theirs
    HANDED_OVER = "handed_over"  # Meta's agent hands the chat over, and they have no open ticket


@dataclass(frozen=True, slots=True)
class Row:
    """What is done when one of `intents` is recognized. The answer is `answer`, or else `lead` and the next prompt."""

    intents: str | tuple[str, ...]  # an Intent or the name of a choice, or several
    then: str = ""  # the state to go to; empty: the conversation stays where it is
    when: Guard | None = None  # the row fits only if this holds
    do: tuple[Action, ...] = ()
    lead: Text = ""
    answer: Text = ""

    @property
    def all_intents(self) -> tuple[str, ...]:
        """The intents, also where there is one."""
        return (self.intents,) if isinstance(self.intents, str) else self.intents


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to tap. It can be typed as well: by its place in the list, its label, its name, or one of `words`."""

    name: str
    label: str
    then: str = ""
    do: tuple[Action, ...] = ()
    answer: Text = ""
    words: tuple[str, ...] = ()
    description: str = ""
    argument: str = ""  # tells choices apart that share a name: the id of a topic, the number of a page

    def list_words(self) -> tuple[str, ...]:
        """Returns what a customer may type for it, normalized."""
        return tuple(map(normalize_label, (self.label, self.argument or self.name, *self.words)))

    def is_named_by(self, word: str) -> bool:
        """Whether the normalized `word` names this choice."""
        return word in self.list_words()


@dataclass(frozen=True, slots=True)
class State:
    """One node of a flow: what it asks, the choices it offers, and its rows."""

    name: str
    prompt: Text
    rows: tuple[Row, ...] = ()
    choices: tuple[Choice, ...] = ()
    list_choices: Callable[[TurnContext], Sequence[Choice]] | None = None  # choices that the desk decides on
    listed_names: tuple[str, ...] = ()  # the names that those can have
    button: str = ""  # opens the list, where there are more than three choices
    needs: Guard | None = None  # a stored conversation that is here while this fails is damaged, and starts again

    @property
    def choice_names(self) -> tuple[str, ...]:
        """The names of everything that can be tapped here."""
        return (*(choice.name for choice in self.choices), *self.listed_names)

    @property
    def own_rows(self) -> tuple[Row, ...]:
        """The state's rows, and a row for each of its choices."""
        taps = (Row(c.name, then=c.then, do=c.do, answer=c.answer) for c in self.choices)
        return (*self.rows, *taps)

    def get_choices(self, context: TurnContext) -> Sequence[Choice]:
        """Returns the choices to offer in this turn."""
        return self.list_choices(context) if self.list_choices else self.choices
