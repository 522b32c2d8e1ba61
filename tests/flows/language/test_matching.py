"""What counts as the same word, and what a person can't see."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.language.matching import GREETINGS, is_blank, is_number, normalize_word, read_number


@pytest.mark.parametrize(
    "text",
    ["menu", "MENU", " Menu ", "menu.", "menu!!", "menú", "mènü", "ＭＥＮＵ", "m\u200benu", "me\u00adnu", "\ufeffmenu",
     "menu…", "*menu*", "_menu_", "«menu»", "m\u0640enu", "menu\u202e", "menu 。", "“menu”"],
)  # fmt: skip
def test_is_the_word_menu(text: str) -> None:
    assert normalize_word(text) == "menu"


@pytest.mark.parametrize("text", ["menu please", "the menu", "men", "menu?no", "me nu", ""])
def test_is_another_word(text: str) -> None:
    assert normalize_word(text) != "menu"


@pytest.mark.parametrize(
    "text", ["1", " １ ", "①", "١", "1.", "one", "One!", "१", "۱", "𝟏", "1)", "1️⃣", "(1)", "⑴", "⒈"]
)
def test_is_one(text: str) -> None:
    assert read_number(normalize_word(text)) == 1


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "100", "1 2", "½", "one two", "third", ""])
def test_picks_nothing(text: str) -> None:
    assert not 0 < read_number(normalize_word(text)) <= 10


def test_ten_in_arabic() -> None:
    assert read_number(normalize_word("١٠")) == 10
    assert is_number(normalize_word("0"))


@pytest.mark.parametrize(
    "text", ["Hi!", "HELLO", "¡Hola!", "السلام عليكم", "السـلام عليكم", "안녕하세요", "नमस्ते", "Olá", "👋🏽"]
)
def test_is_a_greeting(text: str) -> None:
    assert normalize_word(text) in GREETINGS


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\t", "\u200b", "\u200b\u200c\u200d\u2060\ufeff", "\u00a0", "\u3164", "\u2800", "\u202e", "\u0301"],
)
def test_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text", ["a", "?", "👍", "👨‍👩‍👧", "🇩🇪", "☝🏿", "z" + "\u0335" * 500, "\u200ba", "🫨", "\u202eabc"]
)
def test_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@settings(deadline=None)
@given(st.text())
def test_what_is_compared_is_settled(text: str) -> None:
    assert normalize_word(normalize_word(text)) == normalize_word(text)
