"""A placeholder for what can't be shown is short, clear, and never taken for an answer to a question."""

import json
import re
from pathlib import Path

import pytest

from bot.whatsapp.webhook import events as marks
from bot.whatsapp.webhook import handovers
from bot.whatsapp.webhook.message_types import read_message
from flows.language.formatting import MAX_TITLE_UNITS, count_units, make_title
from flows.language.matching import GREETINGS, THANKS, is_number, normalize_label, normalize_word
from flows.limits import LIMITS
from flows.recognize import COMMANDS
from flows.scripts.draft_actions import PLACEHOLDERS
from flows.scripts.open_ticket import FLOWS

KNOWN = json.loads((Path(__file__).parents[1] / "expected" / "messages.json").read_text("utf-8"))
MARKS = (
    *(marks.FROM_BUSINESS_APP, marks.FROM_META_AGENT, marks.TO_META_AGENT, marks.META_AGENT_SUMMARY),
    *(handovers.HANDED_OVER, handovers.HANDED_TO_US, handovers.META_LEADS, handovers.META_LEFT, handovers.OTHERS_LEAD),
)
OPENED = "[opened the chat]"
HUGE = "x" * 5000


def placeholders() -> list[str]:
    read = [read_message(message) for message, _ in KNOWN.values()]
    lines = [line for one in read for text in (one.text, one.shown) for line in text.splitlines()]
    return sorted({line for line in (*lines, *MARKS) if re.fullmatch(r"\[.*\]", line)})


def hugely(value: object) -> object:
    """The same with every text in it as long as can be."""
    if isinstance(value, dict):
        return {key: held if key in ("type", "id") else hugely(held) for key, held in value.items()}
    if isinstance(value, list):
        return [hugely(held) for held in value]
    return HUGE if isinstance(value, str) else value


@pytest.mark.parametrize("text", placeholders())
def test_a_placeholder_fits_and_says_something(text: str) -> None:
    assert 3 < count_units(text) <= LIMITS.body
    assert "None" not in text
    assert count_units(make_title(text)) <= MAX_TITLE_UNITS


@pytest.mark.parametrize("text", placeholders())
def test_a_placeholder_is_no_answer(text: str) -> None:
    word = normalize_word(text)
    assert (word in GREETINGS) == (text == OPENED)
    assert word not in THANKS
    assert word not in COMMANDS
    assert not is_number(word)
    for flow in FLOWS.values():
        choices = [choice for state in flow.states for choice in state.choices]
        assert not any(choice.is_named_by(word) for choice in choices)
        assert word not in {normalize_label(name) for name in flow.option_names}


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "sticker", "document"])
def test_a_file_without_words_is_counted_and_not_described(kind: str) -> None:
    read = read_message({"type": kind, kind: {"id": "1003"}})
    assert read.text in PLACEHOLDERS


@pytest.mark.parametrize("name", KNOWN)
def test_a_message_that_is_nothing_but_long_is_shown_at_a_bearable_length(name: str) -> None:
    message = hugely(KNOWN[name][0])
    assert isinstance(message, dict)
    read = read_message(message)
    own_words = ("body", "caption", "title", "payload", "text")  # these are the message
    kept = sum(json.dumps(message).count(f'"{key}": "{HUGE}"') for key in own_words)
    assert count_units(read.text) + count_units(read.shown) <= 20_000 + kept * len(HUGE) * 2
