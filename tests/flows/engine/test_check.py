"""A wrong table is an error when it is built, in a sentence that says where it is wrong and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.engine.check import MAX_TEXT_UNITS
from flows.engine.definition import MAX_LEAD_UNITS, Choice, FlowError, Intent, Row, State, TurnContext
from flows.engine.machine import Flow


def never(context: TurnContext) -> bool:
    return False


STAYS = Row(tuple(Intent), lead="Sorry.")
ASK = State("ask", "How are you?", rows=(Row(Intent.CONTENT, then="end"),))
END = State("end", "Goodbye.", rows=(Row(Intent.GREETING, then="ask"),))
YES = Choice("yes", "Yes", then="end")
WITH_YES = replace(ASK, choices=(YES,))
LATE = Row("yes", lead="Too late.")
LISTED = replace(ASK, list_choices=lambda context: (), listed_names=("topic",), button="Choose")
LATE_TOPIC = Row("topic", lead="Too late.")


def ask(*rows: Row) -> State:
    return replace(ASK, rows=rows)


def offer(*choices: Choice, button: str = "") -> tuple[tuple[State, ...], tuple[Row, ...]]:
    """A table whose first state offers these."""
    late = Row(tuple(choice.name for choice in choices), lead="Too late.")
    return (replace(ASK, choices=choices, button=button), END), (STAYS, late)


def many(count: int, label: str = "Answer {}") -> tuple[Choice, ...]:
    return tuple(Choice(f"c{n}", label.format(n), then="end") for n in range(count))


FAULTS = {
    "a forgotten comma": (
        *offer(replace(YES, words="yeah")),  # type: ignore[arg-type]
        'ask, choice yes: `words=` is one text: end it with a comma, as in `words=("text",)`',
    ),
    "an action without brackets": (
        (ask(Row(Intent.CONTENT, then="end", do=lambda context: None)), END),  # type: ignore[arg-type]
        (STAYS,),
        "ask, row for content: `do=` is one action: put it in brackets and end it with a comma, as in `do=(action,)`",
    ),
    "a fourth choice is told of its button first": (
        (replace(ASK, choices=many(4)), END),
        (STAYS,),
        "ask: 4 choices make it a list (three are buttons): give `button=`, which opens it",
    ),
    "no state": ((), (STAYS,), "there is no state: give the flow one, in which a conversation begins"),
    "a state twice": ((ASK, END, ASK), (STAYS,), "two states are called ask: rename one of them"),
    "a mistyped target": (
        (ask(Row(Intent.CONTENT, then="ned")), END),
        (STAYS,),
        "ask, row for content: there is no state ned: did you mean end?",
    ),
    "a target like none": (
        (ask(Row((Intent.CONTENT, Intent.BLANK), then="confirm")), END),
        (STAYS,),
        "ask, row for content and blank: there is no state confirm: use one of ask, end",
    ),
    "a choice's target": (
        *offer(replace(YES, then="ned")),
        "ask, choice yes: there is no state ned: did you mean end?",
    ),
    "a target everywhere": (
        (ASK, END),
        (STAYS, Row(Intent.MENU, then="ned")),
        "everywhere, row for menu: there is no state ned: did you mean end?",
    ),
    "a mistyped intent": (
        (ask(Row("contnet", then="end")), END),
        (STAYS,),
        "ask, row for contnet: there is no intent or choice contnet: did you mean content?",
    ),
    "an intent like none": (
        (ask(Row("shout", then="end")), END),
        (STAYS,),
        "ask, row for shout: there is no intent or choice shout: use one of menu, cancel, greeting, thanks, content, "
        "noise, blank, unreadable, old_option, quote, handed_over",
    ),
    "a row never reached": (
        (ask(Row(Intent.CONTENT, then="end"), Row(Intent.CONTENT, when=never)), END),
        (STAYS,),
        "ask: the last row for content is never reached, since one before it has no `when=`: give that one a "
        "condition, or remove a row",
    ),
    "a row never reached everywhere": (
        (ASK, END),
        (STAYS, Row(Intent.MENU, then="ask")),
        "everywhere: the last row for menu is never reached, since one before it has no `when=`: give that one a "
        "condition, or remove a row",
    ),
    "an intent without a row": (
        (ASK, END),
        (Row(tuple(intent for intent in Intent if intent != Intent.BLANK), lead="Sorry."),),
        "ask: nothing answers blank: add a row without `when=`, here or everywhere",
    ),
    "an intent with a condition alone": (
        (ASK, END),
        (replace(STAYS, when=never),),
        "ask: nothing answers blank: add a row without `when=`, here or everywhere",
    ),
    "an old button without a row": (
        (WITH_YES, END),
        (STAYS,),
        "end: nothing answers yes: add a row without `when=`, here or everywhere",
    ),
    "a choice that leads nowhere": (
        *offer(replace(YES, then="")),
        'ask, choice yes: it leads nowhere: give `then=` (to stay: "ask")',
    ),
    "a listed choice without a row": (
        (LISTED, END),
        (STAYS, LATE_TOPIC),
        'ask: nothing happens when a topic is tapped: add a row for "topic"',
    ),
    "no way out": (
        (ASK, replace(END, rows=(Row(Intent.MENU),))),
        (STAYS,),
        "end: no row of its own leads to another state: give one of them `then=`",
    ),
    "no way in": (
        (ASK, END, State("lost", "?", rows=(Row(Intent.MENU, then="ask"),))),
        (STAYS,),
        'lost: no way leads there from ask: give a row `then="lost"`, or remove the state',
    ),
    "a label too long for a button": (
        *offer(replace(YES, label="Yes, but only on Monday")),
        'ask, choice yes: the label "Yes, but only on Monday" has 23 UTF-16 units, a button holds 20: shorten it',
    ),
    "emoji that are two units each": (
        *offer(replace(YES, label="👍" * 11)),
        f'ask, choice yes: the label "{"👍" * 11}" has 22 UTF-16 units, a button holds 20: shorten it',
    ),
    "a label too long for a list": (
        *offer(*many(4, "Answer number {} of a list"), button="Choose"),
        'ask, choice c0: the label "Answer number 0 of a list" has 25 UTF-16 units, a list row holds 24: shorten it',
    ),
    "a label without words": (*offer(replace(YES, label=" ")), "ask, choice yes: the label is empty: give it words"),
    "a description too long": (
        *offer(replace(YES, description="." * 73)),
        f'ask, choice yes: the description "{"." * 39}…" has 73 UTF-16 units, a list row holds 72: shorten it',
    ),
    "a list without a button": (
        *offer(*many(4)),
        "ask: 4 choices make it a list (three are buttons): give `button=`, which opens it",
    ),
    "the desk's list without a button": (
        (replace(LISTED, rows=(*ASK.rows, Row("topic", then="end")), button=""), END),
        (STAYS, LATE_TOPIC),
        "ask: what `list_choices=` returns may need a list: give `button=`, which opens it",
    ),
    "a button too long": (
        *offer(*many(4), button="Choose one of the ten"),
        'ask: the label of `button=` "Choose one of the ten" has 21 UTF-16 units, a button holds 20: shorten it',
    ),
    "more choices than a list holds": (
        *offer(*many(11), button="Choose"),
        "ask: 11 choices are offered, a list holds 10: ask in two steps",
    ),
    "a label twice": (*offer(*many(2, "Yes")), "ask: 'yes' names both c0 and c1: take it from one of them"),
    "a word twice": (
        *offer(YES, Choice("sure", "Sure", then="end", words=("Yes!",))),
        "ask: 'yes' names both yes and sure: take it from one of them",
    ),
    "a prompt too long": (
        (replace(ASK, prompt="." * (MAX_TEXT_UNITS + 1)), END),
        (STAYS,),
        f'ask: the prompt "{"." * 39}…" has 865 UTF-16 units, a message with a lead and options holds 864: shorten it',
    ),
    "an answer too long": (
        (ask(Row(Intent.CONTENT, then="end", answer="." * 865)), END),
        (STAYS,),
        f'ask, row for content: the answer "{"." * 39}…" has 865 UTF-16 units, a message with a lead and options holds '
        "864: shorten it",
    ),
    "a lead too long": (
        (ASK, END),
        (replace(STAYS, intents=tuple(Intent)[1:]), Row(Intent.MENU, lead="." * (MAX_LEAD_UNITS + 1))),
        f'everywhere, row for menu: the lead "{"." * 39}…" has 161 UTF-16 units, the room before a prompt holds 160: '
        "shorten it",
    ),
}


def test_a_right_table_is_taken() -> None:
    assert Flow("right", (WITH_YES, END), (STAYS, LATE)).option_names == {"yes"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_table_is_refused(name: str) -> None:
    states, everywhere, sentence = FAULTS[name]
    with pytest.raises(FlowError) as raised:
        Flow("wrong", states, everywhere)
    assert str(raised.value) == f"wrong: {sentence}"
