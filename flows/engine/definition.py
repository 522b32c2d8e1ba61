"""The words a flow is written in: states, the answers they offer, and rows.

A row says: when this is heard, do that and go there. The first row that fits is taken, a state's own before those that
hold everywhere. Where a conversation may go is written in these rows and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flows.language.matching import plain_label
from flows.talk import Talk

Guard = Callable[[Talk], bool]
Act = Callable[[Talk], None]
Text = str | Callable[[Talk], str]


class FlowError(Exception):
    """The table is wrong. Raised when the flow is built, so never in front of a customer."""


class Heard(StrEnum):
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
    """What was heard, and what follows. The answer is `says`, or else `lead` before what the next state asks."""

    heard: str | tuple[str, ...]
    then: str = ""  # empty: stays where it is
    when: Guard | None = None
    do: tuple[Act, ...] = ()
    lead: Text = ""
    says: Text = ""

    @property
    def each(self) -> tuple[str, ...]:
        return (self.heard,) if isinstance(self.heard, str) else self.heard


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
    listed: Callable[[Talk], Sequence[Choice]] | None = None  # choices that the desk decides on
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

    def offered(self, talk: Talk) -> Sequence[Choice]:
        return self.listed(talk) if self.listed else self.choices
