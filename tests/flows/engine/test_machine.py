"""A wrong table is an error when it is built, and names what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.engine.definition import MAX_LEAD_UNITS, Choice, FlowError, Intent, Row, State, TurnContext
from flows.engine.machine import Flow
from flows.language.formatting import count_units
from flows.limits import LIMITS
from flows.scripts.open_ticket import FLOWS

STAYS = Row(tuple(Intent), lead="Sorry.")


def never(context: TurnContext) -> bool:
    return False


def flow(*states: State, everywhere: tuple[Row, ...] = (STAYS,)) -> Flow:
    return Flow("wrong", states, everywhere)


ASK = State("ask", "How are you?", rows=(Row(Intent.CONTENT, then="end"),))
END = State("end", "Goodbye.", rows=(Row(Intent.GREETING, then="ask"),))
YES = Choice("yes", "Yes", then="end")
WITH_YES = replace(ASK, choices=(YES,))
LEFT = Row("yes", lead="Too late.")


def test_a_right_table_is_taken() -> None:
    assert flow(WITH_YES, END, everywhere=(STAYS, LEFT)).option_names == {"yes"}


def many(count: int, label: str = "Answer {}") -> tuple[Choice, ...]:
    return tuple(Choice(f"c{n}", label.format(n), then="end") for n in range(count))


def late(count: int) -> Row:
    return Row(tuple(f"c{n}" for n in range(count)), lead="Too late.")


@pytest.mark.parametrize(
    ("fault", "states", "everywhere"),
    [
        ("a flow needs a state", (), (STAYS,)),
        ("two states are called ask", (ASK, END, ASK), (STAYS,)),
        ("ask: there is no state ned", (replace(ASK, rows=(Row(Intent.CONTENT, then="ned"),)), END), (STAYS,)),
        ("everywhere: there is no state ned", (ASK, END), (STAYS, Row(Intent.MENU, then="ned"))),
        ("ask: there is no state ned", (replace(ASK, choices=(replace(YES, then="ned"),)), END), (STAYS, LEFT)),
        ("nothing is ever heard as contnet", (replace(ASK, rows=(Row("contnet", then="end"),)), END), (STAYS,)),
        ("no way leads to lost", (ASK, END, State("lost", "?", rows=(Row(Intent.MENU, then="ask"),))), (STAYS,)),
        ("end has no way out", (ASK, State("end", "Goodbye.", rows=(Row(Intent.MENU),))), (STAYS,)),
        ("ask: the option Yes leads nowhere", (replace(ASK, choices=(replace(YES, then=""),)), END), (STAYS, LEFT)),
        (
            "ask: the option topic leads nowhere",
            (replace(ASK, list_choices=lambda context: (), listed_names=("topic",), button="Choose"), END),
            (STAYS, Row("topic", lead="Too late.")),
        ),
        (
            "ask: a row for content is never reached",
            (replace(ASK, rows=(Row(Intent.CONTENT, then="end"), Row(Intent.CONTENT, when=never))), END),
            (STAYS,),
        ),
        ("ask has no answer to blank", (ASK, END), (Row(tuple(h for h in Intent if h != "blank"), lead="Sorry."),)),
        ("ask has no answer to blank", (ASK, END), (replace(STAYS, when=never),)),
        ("end has no answer to yes", (WITH_YES, END), (STAYS,)),
        (
            "ask: the label 'Yes, but only on Monday' must have 1 to 20",
            (replace(ASK, choices=(replace(YES, label="Yes, but only on Monday"),)), END),
            (STAYS, LEFT),
        ),
        (
            "ask: the label '👍👍👍👍👍👍👍👍👍👍👍' must have 1 to 20",
            (replace(ASK, choices=(replace(YES, label="👍" * 11),)), END),
            (STAYS, LEFT),
        ),
        ("ask: the label '' must have", (replace(ASK, choices=(replace(YES, label=""),)), END), (STAYS, LEFT)),
        (
            "must have 1 to 24",
            (replace(ASK, choices=many(4, "Answer number {} of a list"), button="Choose"), END),
            (STAYS, late(4)),
        ),
        ("ask: the list's button '' must have", (replace(ASK, choices=many(4)), END), (STAYS, late(4))),
        (
            "ask: the list's button 'Choose one of the ten' must have",
            (replace(ASK, choices=many(4), button="Choose one of the ten"), END),
            (STAYS, late(4)),
        ),
        (
            "ask offers 11 options, WhatsApp shows 10",
            (replace(ASK, choices=many(11), button="Choose"), END),
            (STAYS, late(11)),
        ),
        ("ask offers Yes twice", (replace(ASK, choices=many(2, "Yes")), END), (STAYS, late(2))),
        (
            "the text under Yes is longer than 72",
            (replace(ASK, choices=(replace(YES, description="." * 73),)), END),
            (STAYS, LEFT),
        ),
        ("ask: a text is longer than", (replace(ASK, prompt="." * LIMITS.body), END), (STAYS,)),
        ("a lead is longer than", (ASK, END), (replace(STAYS, lead="." * (MAX_LEAD_UNITS + 1)),)),
    ],
)
def test_a_wrong_table_is_refused(fault: str, states: tuple[State, ...], everywhere: tuple[Row, ...]) -> None:
    with pytest.raises(FlowError) as raised:
        flow(*states, everywhere=everywhere)
    assert fault in str(raised.value)


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_every_label_fits_whatsapp(flow: Flow) -> None:
    for state in flow.states:
        longest = LIMITS.button if len(state.choices) <= LIMITS.buttons else LIMITS.row
        assert len(state.choices) <= LIMITS.rows
        assert count_units(state.button) <= LIMITS.button
        for choice in state.choices:
            assert 0 < count_units(choice.label) <= longest
            assert count_units(choice.description) <= LIMITS.row_description
