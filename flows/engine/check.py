"""What can be wrong with a table. It is looked for when the flow is built, so that no customer ever finds it.

A flow that passes answers everything in every state: a turn can't meet a message that has no row.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows.engine.definition import MAX_LEAD_UNITS, FlowError, Intent, Row, State
from flows.language.formatting import count_units
from flows.limits import LIMITS


def check(flow: str, states: tuple[State, ...], everywhere: tuple[Row, ...]) -> None:
    """Raises FlowError with the first thing that is wrong."""
    for faults in (_names, _rows, _ways, _labels):
        for fault in faults(states, everywhere):
            raise FlowError(f"{flow}: {fault}")


def _names(states: tuple[State, ...], everywhere: tuple[Row, ...]) -> Iterator[str]:
    names = [state.name for state in states]
    if not states:
        yield "a flow needs a state"
    yield from (f"two states are called {name}" for name in names if names.count(name) > 1)
    targets = [("everywhere", row) for row in everywhere]
    targets += [(state.name, row) for state in states for row in state.own_rows]
    yield from (f"{where}: there is no state {row.then}" for where, row in targets if row.then not in ("", *names))


def _rows(states: tuple[State, ...], everywhere: tuple[Row, ...]) -> Iterator[str]:
    known = {*map(str, Intent), *(name for state in states for name in state.choice_names)}
    for row in (*everywhere, *(row for state in states for row in state.own_rows)):
        yield from (f"nothing is ever heard as {intent}" for intent in row.all_intents if intent not in known)
        if isinstance(row.lead, str) and count_units(row.lead) > MAX_LEAD_UNITS:
            yield f"a lead is longer than {MAX_LEAD_UNITS}: {row.lead}"
    for state in states:
        settled: set[str] = set()
        for row in state.own_rows:
            yield from (
                f"{state.name}: a row for {intent} is never reached" for intent in row.all_intents if intent in settled
            )
            settled.update(row.all_intents if row.when is None else ())
        settled.update(intent for row in everywhere if row.when is None for intent in row.all_intents)
        yield from (f"{state.name} has no answer to {intent}" for intent in sorted(known - settled))


def _ways(states: tuple[State, ...], everywhere: tuple[Row, ...]) -> Iterator[str]:
    for state in states:
        for choice in state.choices:
            if not choice.then:
                yield f"{state.name}: the option {choice.label} leads nowhere"
        own = {intent for row in state.own_rows for intent in row.all_intents}
        yield from (f"{state.name}: the option {name} leads nowhere" for name in state.listed_names if name not in own)
        if all(row.then in ("", state.name) for row in state.own_rows):
            yield f"{state.name} has no way out"
    reached, news = set[str](), {states[0].name} | {row.then for row in everywhere if row.then}
    by_name = {state.name: state for state in states}
    while news:
        reached |= news
        news = {row.then for name in news for row in by_name[name].own_rows if row.then} - reached
    yield from (f"no way leads to {state.name}" for state in states if state.name not in reached)


def _labels(states: tuple[State, ...], everywhere: tuple[Row, ...]) -> Iterator[str]:
    for state in states:
        choices, labels = state.choices, [choice.label for choice in state.choices]
        longest = LIMITS.button if len(choices) <= LIMITS.buttons else LIMITS.row
        if len(choices) > LIMITS.rows:
            yield f"{state.name} offers {len(choices)} options, WhatsApp shows {LIMITS.rows}"
        yield from (f"{state.name} offers {label} twice" for label in labels if labels.count(label) > 1)
        for choice in choices:
            if not 0 < count_units(choice.label) <= longest:
                yield f"{state.name}: the label {choice.label!r} must have 1 to {longest} characters"
            if count_units(choice.description) > LIMITS.row_description:
                yield f"{state.name}: the text under {choice.label} is longer than {LIMITS.row_description}"
        is_list = state.list_choices or len(choices) > LIMITS.buttons
        if is_list and not 0 < count_units(state.button) <= LIMITS.button:
            yield f"{state.name}: the list's button {state.button!r} must have 1 to {LIMITS.button} characters"
        texts = [state.prompt, *(row.answer for row in (*everywhere, *state.own_rows))]
        for text in texts:
            if isinstance(text, str) and count_units(text) > LIMITS.body - MAX_LEAD_UNITS:
                yield f"{state.name}: a text is longer than {LIMITS.body - MAX_LEAD_UNITS}: {text[:40]}"
