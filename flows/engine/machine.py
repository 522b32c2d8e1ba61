"""Compiles a flow's table, once it is checked, into one plain state machine (`transitions.Machine`).

Invariants
- One machine serves all conversations and holds none of them: a loaded conversation is passed in for one step. It is
  never added as a model, because that would set it back to the first state.
- No I/O in a callback: the plain `Machine` is used, not `AsyncMachine`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from transitions import Machine

from flows.engine.check import check
from flows.engine.definition import Action, Row, State, TurnContext

# At INFO the library writes several lines for each step, which would cost more than the step.
logging.getLogger("transitions").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Flow:
    """One conversation as a table. Building it raises FlowError where the table is wrong."""

    name: str
    states: tuple[State, ...]  # the first is where a conversation begins
    everywhere: tuple[Row, ...] = ()  # rows that hold in every state, after its own
    states_by_name: dict[str, State] = field(init=False, repr=False)
    option_names: frozenset[str] = field(init=False, repr=False)
    _machine: Machine = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self.name, self.states, self.everywhere)
        names = frozenset(name for state in self.states for name in state.choice_names)
        object.__setattr__(self, "states_by_name", {state.name: state for state in self.states})
        object.__setattr__(self, "option_names", names)
        object.__setattr__(self, "_machine", self._compile())

    def step(self, intent: str, context: TurnContext) -> Row:
        """Moves `context` to its next state, runs the actions of the row that fits, and returns that row."""
        self._machine.events[intent].trigger(context, context)
        if context.row is None:
            raise LookupError(f"{self.name}: no row of {context.state} was taken for {intent}")
        return context.row

    def _compile(self) -> Machine:
        transitions: list[dict[str, Any]] = [
            {
                "trigger": str(intent),
                "source": state.name,
                "dest": row.then or None,  # None stays, without leaving and entering
                "conditions": row.when,
                "before": _make_callback(row),
            }
            for state in self.states
            for row in (*state.own_rows, *self.everywhere)
            for intent in row.all_intents
        ]
        names = [state.name for state in self.states]
        return Machine(model=None, states=names, initial=None, transitions=transitions, auto_transitions=False)


def _make_callback(row: Row) -> Action:
    """Returns one callback for all actions of a row; it also records which row was taken."""

    def take_row(context: TurnContext) -> None:
        context.row = row
        for act in row.do:
            act(context)

    return take_row
