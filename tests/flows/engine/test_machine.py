"""A table runs as it is written: the first row that fits is taken, and its actions are done."""

from __future__ import annotations

import pytest

from flows import Conversation, Event
from flows.engine.definition import Choice, Intent, Row, State, TurnContext
from flows.engine.machine import Flow
from flows.language.formatting import count_units
from flows.limits import LIMITS
from flows.scripts.open_ticket import FLOWS
from tests.flows.transcript import NOW, OPENING


def is_late(context: TurnContext) -> bool:
    return context.event.late


def note_it(context: TurnContext) -> None:
    context.argument += "noted "


def file_it(context: TurnContext) -> None:
    context.argument += "filed "


STAYS = Row(tuple(Intent), lead="Sorry.")
ASK = State(
    "ask",
    "How are you?",
    rows=(
        Row(Intent.CONTENT, when=is_late, do=(note_it, file_it), then="end"),
        Row(Intent.CONTENT, do=(file_it,)),
    ),
    choices=(Choice("yes", "Yes", then="end", do=(note_it,)),),
)
END = State("end", "Goodbye.", rows=(Row(Intent.GREETING, then="ask"),))
FLOW = Flow("short", (ASK, END), (STAYS, Row("yes", lead="Too late.")))


def context_at(state: str, *, late: bool = False) -> TurnContext:
    return TurnContext(Conversation("short", state), Event("text", NOW, 1, late=late), OPENING)


@pytest.mark.parametrize(
    ("state", "late", "intent", "row", "then", "done"),
    [
        ("ask", True, Intent.CONTENT, ASK.rows[0], "end", "noted filed "),
        ("ask", False, Intent.CONTENT, ASK.rows[1], "ask", "filed "),
        ("ask", False, Intent.GREETING, STAYS, "ask", ""),
        ("ask", False, "yes", ASK.own_rows[2], "end", "noted "),
        ("end", False, "yes", FLOW.everywhere[1], "end", ""),
        ("end", False, Intent.GREETING, END.rows[0], "ask", ""),
    ],
)
def test_the_first_row_that_fits_is_taken(state: str, late: bool, intent: str, row: Row, then: str, done: str) -> None:
    context = context_at(state, late=late)
    assert FLOW.step(intent, context) == row
    assert (context.state, context.argument) == (then, done)


def test_what_can_be_tapped_is_known() -> None:
    assert FLOW.option_names == {"yes"}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_every_label_fits_whatsapp(flow: Flow) -> None:
    for state in flow.states:
        longest = LIMITS.button if len(state.choices) <= LIMITS.buttons else LIMITS.row
        assert len(state.choices) <= LIMITS.rows
        assert count_units(state.button) <= LIMITS.button
        for choice in state.choices:
            assert 0 < count_units(choice.label) <= longest
            assert count_units(choice.description) <= LIMITS.row_description
