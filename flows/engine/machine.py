"""How a table becomes a state machine: checked, then compiled once into one plain `Machine`.

The machine is shared by all conversations and holds none of them. A conversation that was loaded is handed to it for
one step; it is never added as a model, because that would set it back to the start.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from transitions import Machine

from flows.engine.check import check
from flows.engine.definition import Act, Row, State, TurnContext

# At INFO the library writes several lines for each step, which would cost more than the step.
logging.getLogger("transitions").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Flow:
    name: str
    states: tuple[State, ...]  # the first is where a conversation begins
    everywhere: tuple[Row, ...] = ()
    by_name: dict[str, State] = field(init=False, repr=False)
    option_names: frozenset[str] = field(init=False, repr=False)
    _machine: Machine = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self.name, self.states, self.everywhere)
        object.__setattr__(self, "by_name", {state.name: state for state in self.states})
        object.__setattr__(self, "option_names", frozenset(name for state in self.states for name in state.names))
        object.__setattr__(self, "_machine", self._compile())

    def hear(self, intent: str, context: TurnContext) -> Row:
        """One step: the conversation is moved, what belongs to the step is done, and the row that was taken is told."""
        self._machine.events[intent].trigger(context, context)
        return context.taken()

    def _compile(self) -> Machine:
        steps: list[dict[str, Any]] = [
            {
                "trigger": str(intent),
                "source": state.name,
                "dest": row.then or None,  # None stays, without leaving and entering
                "conditions": row.when,
                "before": _taking(row),
            }
            for state in self.states
            for row in (*state.own_rows, *self.everywhere)
            for intent in row.each
        ]
        names = [state.name for state in self.states]
        return Machine(model=None, states=names, initial=None, transitions=steps, auto_transitions=False)


def _taking(row: Row) -> Act:
    """One callback for all that a row does, which also notes the row."""

    def take(context: TurnContext) -> None:
        context.row = row
        for act in row.do:
            act(context)

    return take
