"""Whatever was written goes out whole: as a list, or in pieces, one after the other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.whatsapp.messages.build import build_body, fit_to_limits
from bot.whatsapp.messages.limits import TooLong, Unsendable
from bot.whatsapp.messages.split_text import split_before_question, split_text
from flows.language.formatting import count_units

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
LONG = "word " * 400  # 2,000 characters
QUESTION = "Which one?"


def options(count: int, label: str = "Option") -> list[dict[str, str]]:
    return [{"option_id": f"o{number}", "label": f"{label} {number}"} for number in range(count)]


def text(body: str) -> dict[str, Any]:
    return {"type": "text", "text": body}


BUTTONS = {"type": "buttons", "text": QUESTION, "options": options(2)}
AS_LIST = {"type": "list", "text": QUESTION, "button": "☰"}
LIST = {"type": "list", "text": QUESTION, "button": "Choose", "options": options(2)}
IMAGE = {"type": "media", "kind": "image", "file_id": "9"}
TEMPLATE = {"type": "template", "name": "hello", "language": "en", "body": ["x"]}
REACTION = {"type": "reaction", "wamid": "wamid.R", "emoji": "👍"}
SECTIONS = {"type": "list", "text": QUESTION, "button": "Go", "sections": [{"title": "T", "options": options(2)}]}

LONGER = options(2, "A label of 22 chars")
SAME = [{"option_id": "a", "label": "Yes"}, {"option_id": "b", "label": "Yes"}]

CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "a text": (text("Hello"), [text("Hello")]),
    "two paragraphs": (text("a" * 4000 + "\n\n" + "b" * 4000), [text("a" * 4000), text("b" * 4000)]),
    "a text that quotes": (
        text("a" * 4000 + " " + "b" * 200) | {"quoted": "wamid.Q", "notice": {"kind": "reply"}},
        [text("a" * 4000) | {"quoted": "wamid.Q", "notice": {"kind": "reply"}}, text("b" * 200)],
    ),
    "buttons": (BUTTONS, [BUTTONS]),
    "a list": (LIST, [LIST]),
    "a list in sections": (SECTIONS, [SECTIONS]),
    "four buttons": (BUTTONS | {"options": options(4)}, [AS_LIST | {"options": options(4)}]),
    "ten buttons": (BUTTONS | {"options": options(10), "button": "Choose"}, [LIST | {"options": options(10)}]),
    "labels for a list": (BUTTONS | {"options": LONGER}, [AS_LIST | {"options": LONGER}]),
    "labels that are the same": (BUTTONS | {"options": SAME}, [AS_LIST | {"options": SAME}]),
    "a long text before buttons": (
        BUTTONS | {"text": LONG + "\n\n" + QUESTION, "quoted": "wamid.Q"},
        [text(LONG.strip()) | {"quoted": "wamid.Q"}, BUTTONS],
    ),
    "a long text before a request": (
        {"type": "location_request", "text": "a" * 1000 + " " + "b" * 1000},
        [text("a" * 1000), {"type": "location_request", "text": "b" * 1000}],
    ),
    "a long text before a link": (
        {"type": "cta", "text": LONG + "\n" + QUESTION, "label": "Open", "url": "https://example.com"},
        [text(LONG.strip()), {"type": "cta", "text": QUESTION, "label": "Open", "url": "https://example.com"}],
    ),
    "an image": (IMAGE, [IMAGE]),
    "a caption": (IMAGE | {"caption": "x" * 1024}, [IMAGE | {"caption": "x" * 1024}]),
    "a long caption": (
        IMAGE | {"caption": "x" * 1025, "quoted": "wamid.Q"},
        [IMAGE | {"quoted": "wamid.Q"}, text("x" * 1025)],
    ),
    "a caption to hear": (IMAGE | {"kind": "audio", "caption": "Hi"}, [IMAGE | {"kind": "audio"}, text("Hi")]),
    "a caption of a sticker": (IMAGE | {"kind": "sticker", "caption": "Hi"}, [IMAGE | {"kind": "sticker"}, text("Hi")]),
    "a template": (TEMPLATE, [TEMPLATE]),
    "a reaction": (REACTION, [REACTION]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_too_much_for_one_message(name: str) -> None:
    message, fitted = CASES[name]
    assert fit_to_limits(message) == fitted
    for one in fitted:
        build_body({"media_id": "1", **one}, to="15550001111", opaque="42")


@pytest.mark.parametrize(
    "message",
    [
        text(""),
        text(" "),
        BUTTONS | {"options": options(11)},
        LIST | {"options": options(11)},
        BUTTONS | {"options": options(1, "A label that is longer than a row")},
        {"type": "hologram", "text": "x"},
        IMAGE | {"kind": "hologram", "caption": "x"},
        IMAGE | {"caption": 7},
        TEMPLATE | {"body": ["two\nlines"]},
        REACTION | {"wamid": ""},
        {},
    ],
    ids=str,
)
def test_what_no_split_can_mend_is_an_error_where_it_was_written(message: dict[str, Any]) -> None:
    with pytest.raises(Unsendable):
        fit_to_limits(message)


def test_a_text_without_end_is_an_error() -> None:
    with pytest.raises(TooLong):
        fit_to_limits(text("x" * 1_000_001))


@pytest.mark.parametrize(
    ("written", "limit", "pieces"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        ("short", 10, ["short"]),
        ("one two three", 8, ["one two", "three"]),
        ("line one\nline two", 12, ["line one", "line two"]),
        ("para one.\n\npara\ntwo", 16, ["para one.", "para\ntwo"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        (FAMILY * 3, 10, [FAMILY, FAMILY, FAMILY]),
        ("aaaa\u0301", 4, ["aaa", "a\u0301"]),
    ],
)
def test_a_long_text_is_cut_where_it_hurts_least(written: str, limit: int, pieces: list[str]) -> None:
    assert split_text(written, limit) == pieces


WRITTEN = st.text(alphabet=st.sampled_from("ab \n\U0001f600\u0301\u200d"), max_size=300)


@settings(deadline=None)
@given(WRITTEN, st.integers(2, 40))
def test_every_piece_fits_and_nothing_is_lost(written: str, limit: int) -> None:
    pieces = split_text(written, limit)
    assert all(0 < count_units(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(written.split())


@settings(deadline=None)
@given(WRITTEN, st.integers(2, 40))
def test_the_end_that_stays_fits_and_nothing_is_lost(written: str, limit: int) -> None:
    ahead, end = split_before_question(written, limit)
    assert count_units(end) <= limit
    assert "".join("".join([*ahead, end]).split()) == "".join(written.split())
    assert all(piece.strip() for piece in ahead)
