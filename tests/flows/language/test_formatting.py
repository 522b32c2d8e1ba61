"""Texts that are made to fit: what a quote mark is, and that no text takes more than its length."""

from collections.abc import Callable

import pytest

from flows.language.formatting import ZERO_WIDTH_SPACE, escape_marks
from flows.language.matching import normalize_word
from tests.support.growth import TIMES_LONGER, compute_growth


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("> a", "#> a"),
        ("a > b", "a > b"),
        ("a\n  > b\n>c", "a\n  #> b\n#>c"),
        ("\n\n\n> a", "\n\n\n#> a"),
        ("\u00a0> a", "\u00a0#> a"),
    ],
)
def test_a_quote_mark_at_the_beginning_of_a_line_marks_nothing(text: str, shown: str) -> None:
    assert escape_marks(text).replace(ZERO_WIDTH_SPACE, "#") == shown


@pytest.mark.parametrize("work", [escape_marks, normalize_word])
@pytest.mark.parametrize("text", ["\n", " ", " \n", "\u2014", ">\n", "\u00e9-"])
def test_no_text_takes_more_than_its_length(work: Callable[[str], object], text: str) -> None:
    assert compute_growth(work, lambda length: text * length, 300) < 4 * TIMES_LONGER
