"""Checks a flow's table when it is built, so that a customer never meets what is wrong with it.

Invariants
- A flow that passes answers every intent in every state: a turn never meets a message that has no row.
- Everything that it offers fits into what WhatsApp takes.
- Each fault is one sentence that says where it is, what is wrong, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from flows.engine.definition import MAX_LEAD_UNITS, Choice, FlowError, Intent, Row, State
from flows.language.formatting import count_units, fit_on_one_line
from flows.limits import LIMITS

MAX_TEXT_UNITS = LIMITS.body - MAX_LEAD_UNITS  # of a prompt or an answer, so that a lead always fits in front of it
MAX_SHOWN_UNITS = 40  # of a text that a fault quotes
EVERYWHERE = "everywhere"


class Table(NamedTuple):
    """What is checked: a flow's states, and the rows that hold in each of them after its own."""

    states: tuple[State, ...]
    everywhere: tuple[Row, ...]

    def place_rows(self) -> Iterator[tuple[str, Row]]:
        """Yields every row that is written in the table, with the words that say where it stands."""
        for state in self.states:
            yield from ((f"{state.name}, {_name_row(row)}", row) for row in state.rows)
            taps = state.own_rows[len(state.rows) :]
            yield from ((f"{state.name}, choice {row.intents}", row) for row in taps)
        yield from ((f"{EVERYWHERE}, {_name_row(row)}", row) for row in self.everywhere)


def check(flow: str, states: tuple[State, ...], everywhere: tuple[Row, ...]) -> None:
    """Raises FlowError with the first thing that is wrong."""
    for find_faults in (_find_wrong_names, _find_wrong_choices, _find_wrong_rows, _find_wrong_ways, _find_long_texts):
        for fault in find_faults(Table(states, everywhere)):
            raise FlowError(f"{flow}: {fault}")


def _find_wrong_names(table: Table) -> Iterator[str]:
    names = [state.name for state in table.states]
    if not names:
        yield "there is no state: give the flow one, in which a conversation begins"
    yield from (f"two states are called {name}: rename one of them" for name in names if names.count(name) > 1)
    for where, row in table.place_rows():
        if row.then not in ("", *names):
            yield f"{where}: there is no state {row.then}: {_suggest(row.then, names)}"
    intents = [*map(str, Intent), *(name for state in table.states for name in state.choice_names)]
    for where, row in table.place_rows():
        if not _is_tuple(row.do):
            yield f"{where}: `do=` is one action: put it in brackets and end it with a comma, as in `do=(action,)`"
        for intent in row.all_intents:
            if intent not in intents:
                yield f"{where}: there is no intent or choice {intent}: {_suggest(intent, intents)}"


def _is_tuple(value: object) -> bool:
    """mypy says the same, but not to those who change a sentence without it."""
    return isinstance(value, tuple)


def _find_wrong_rows(table: Table) -> Iterator[str]:
    yield from _find_unreached_rows(EVERYWHERE, table.everywhere)
    everywhere = {intent for row in table.everywhere if row.when is None for intent in row.all_intents}
    known = {*map(str, Intent), *(name for state in table.states for name in state.choice_names)}
    for state in table.states:
        yield from _find_unreached_rows(state.name, state.own_rows)
        own = {intent for row in state.own_rows if row.when is None for intent in row.all_intents}
        for intent in sorted(known - own - everywhere):
            yield f"{state.name}: nothing answers {intent}: add a row without `when=`, here or {EVERYWHERE}"


def _find_unreached_rows(where: str, rows: tuple[Row, ...]) -> Iterator[str]:
    settled: set[str] = set()
    for row in rows:
        for intent in row.all_intents:
            if intent in settled:
                yield (
                    f"{where}: the last row for {intent} is never reached, since one before it has no `when=`: "
                    "give that one a condition, or remove a row"
                )
        settled.update(row.all_intents if row.when is None else ())


def _find_wrong_ways(table: Table) -> Iterator[str]:
    for state in table.states:
        for choice in state.choices:
            if not choice.then:
                yield f'{state.name}, choice {choice.name}: it leads nowhere: give `then=` (to stay: "{state.name}")'
        own = {intent for row in state.own_rows for intent in row.all_intents}
        for name in state.listed_names:
            if name not in own:
                yield f'{state.name}: nothing happens when a {name} is tapped: add a row for "{name}"'
        if all(row.then in ("", state.name) for row in state.own_rows):
            yield f"{state.name}: no row of its own leads to another state: give one of them `then=`"
    first, by_name = table.states[0].name, {state.name: state for state in table.states}
    reached, fresh = set[str](), {first} | {row.then for row in table.everywhere if row.then}
    while fresh:
        reached |= fresh
        fresh = {row.then for name in fresh for row in by_name[name].own_rows if row.then} - reached
    for name in by_name:
        if name not in reached:
            yield f'{name}: no way leads there from {first}: give a row `then="{name}"`, or remove the state'


def _find_wrong_choices(table: Table) -> Iterator[str]:
    for state in table.states:
        choices = state.choices
        if len(choices) > LIMITS.rows:
            yield f"{state.name}: {len(choices)} choices are offered, a list holds {LIMITS.rows}: ask in two steps"
        holder, most = ("a button", LIMITS.button) if len(choices) <= LIMITS.buttons else ("a list row", LIMITS.row)
        for choice in choices:
            where = f"{state.name}, choice {choice.name}"
            yield from _find_wrong_length(f"{where}: the label", choice.label, holder, most)
            if choice.description:
                description = f"{where}: the description"
                yield from _find_wrong_length(description, choice.description, "a list row", LIMITS.row_description)
            if not _is_tuple(choice.words):
                yield f'{where}: `words=` is one text: end it with a comma, as in `words=("text",)`'
        yield from _find_shared_words(state.name, choices)
        yield from _find_wrong_button(state)


def _find_shared_words(where: str, choices: tuple[Choice, ...]) -> Iterator[str]:
    first_with: dict[str, str] = {}
    for choice in choices:
        for word in dict.fromkeys(choice.list_words()):
            if word in first_with:
                yield f"{where}: {word!r} names both {first_with[word]} and {choice.name}: take it from one of them"
            first_with[word] = choice.name


def _find_wrong_button(state: State) -> Iterator[str]:
    button = f"{state.name}: the label of `button=`"
    if state.button:
        yield from _find_wrong_length(button, state.button, "a button", LIMITS.button)
    elif state.list_choices:
        yield f"{state.name}: what `list_choices=` returns may need a list: give `button=`, which opens it"
    elif (count := len(state.choices)) > LIMITS.buttons:
        yield f"{state.name}: {count} choices make it a list (three are buttons): give `button=`, which opens it"


def _find_long_texts(table: Table) -> Iterator[str]:
    prompts = [(f"{state.name}: the prompt", state.prompt) for state in table.states]
    answers = [(f"{where}: the answer", row.answer) for where, row in table.place_rows()]
    for what, text in (*prompts, *answers):
        if isinstance(text, str) and count_units(text) > MAX_TEXT_UNITS:
            yield from _find_wrong_length(what, text, "a message with a lead and options", MAX_TEXT_UNITS)
    for where, row in table.place_rows():
        if isinstance(row.lead, str) and count_units(row.lead) > MAX_LEAD_UNITS:
            yield from _find_wrong_length(f"{where}: the lead", row.lead, "the room before a prompt", MAX_LEAD_UNITS)


def _find_wrong_length(what: str, text: str, holder: str, most: int) -> Iterator[str]:
    """Units are those of UTF-16, in which most emoji are two."""
    length = count_units(text)
    if not text.strip():
        yield f"{what} is empty: give it words"
    elif length > most:
        shown = fit_on_one_line(text, MAX_SHOWN_UNITS)
        yield f'{what} "{shown}" has {length} UTF-16 units, {holder} holds {most}: shorten it'


def _name_row(row: Row) -> str:
    return f"row for {' and '.join(row.all_intents)}"


def _suggest(name: str, known: list[str]) -> str:
    """Returns what to write in place of a name that is not known."""
    if near := get_close_matches(name, known, 1):
        return f"did you mean {near[0]}?"
    return f"use one of {', '.join(dict.fromkeys(known))}"
