"""What fits a template, and what a notice reads like in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.templates.parameters import KINDS, VALUES, Filling, fill, in_one_line, mismatches, read_form

BODY = {"type": "BODY", "text": "Hello {{1}}, your ticket {{2}} has news."}
NAMED = {"type": "BODY", "text": "Hello {{name}}, your ticket {{ticket}} has news. {{name}}!"}
VALUES_OF_TICKET = {"ticket_id": "12", "title": "Printer on fire", "name": "Ann", "text": "Try it now."}


def components(*parts: object) -> str:
    return json.dumps(parts)


FITTING = [
    ([BODY], ["name", "ticket_id"], [], {"body": ["Ann", "12"]}),
    ([NAMED], {"name": "name", "ticket": "ticket_id"}, [], {"body": {"name": "Ann", "ticket": "12"}}),
    ([{"type": "BODY", "text": "News."}], [], [], {"body": []}),
    ([{"type": "BODY", "text": "{{2}} {{1}} {{2}}"}], ["name", "text"], [], {"body": ["Ann", "Try it now."]}),
    ([{"type": "BODY", "text": "{{ 1 }}"}], ["ticket_id"], [], {"body": ["12"]}),
    (
        [{"type": "HEADER", "format": "TEXT", "text": "Ticket {{1}}"}, BODY, {"type": "FOOTER", "text": "Tick {{1}}"}],
        ["name", "ticket_id"], ["ticket_id"], {"body": ["Ann", "12"], "header": ["12"]},
    ),
    (
        [{"type": "header", "format": "text", "text": "{{subject}}"}, {"type": "body", "text": "{{words}}"}],
        {"words": "text"}, {"subject": "title"},
        {"body": {"words": "Try it now."}, "header": {"subject": "Printer on fire"}},
    ),
    (
        [BODY, {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Ok"}, {"type": "URL", "text": "Us", "url": "https://example.com/"},
            {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001234"},
        ]}],
        ["name", "ticket_id"], [], {"body": ["Ann", "12"]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "body", "header", "filled"), FITTING)
def test_template_that_fits(parts: list[object], body: object, header: object, filled: object) -> None:
    form, filling = read_form(components(*parts), "UTILITY"), Filling.of(body, header)  # type: ignore[arg-type]
    assert mismatches("in_progress", form, filling) == []
    assert fill(form, Filling.from_json(filling.to_json()), VALUES_OF_TICKET) == filled


NOT_FITTING = json.loads((Path(__file__).parent / "misfits.json").read_text("utf-8"))


@pytest.mark.parametrize("case", NOT_FITTING)
def test_template_that_does_not_fit(case: dict[str, Any]) -> None:
    form, filling = read_form(components(*case["components"]), "UTILITY"), Filling.of(case["body"], case["header"])
    assert [f"{field}: {sentence}" for field, sentence in mismatches("in_progress", form, filling)] == case["why"]


@pytest.mark.parametrize(
    "stored", ["", "{", "{}", "null", "[1]", '[{"type": 5}]', "[" * 9000, '[{"type":"BODY","text":7}]']
)
def test_components_that_can_not_be_read(stored: str) -> None:
    assert "Its text is not known: sync the templates." in read_form(stored).problems


def test_template_for_codes_is_not_for_a_desk() -> None:
    form = read_form(components(BODY), "authentication")
    assert form.problems == ("It is for one-time codes, which a support desk does not send.",)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_reply_has_to_carry_words(kind: str) -> None:
    form = read_form(components({"type": "BODY", "text": "{{1}}"}))
    for value in VALUES:
        found = mismatches(kind, form, Filling.of([value], []))
        assert bool(found) == (kind == "reply" and value != "text")
    assert mismatches("reply", form, Filling.of(["name"], [])) == [
        ("body", "A reply has to carry the agent's words: put `text` into the body.")
    ]


@pytest.mark.parametrize(
    ("text", "value", "filled"),
    [
        ("{{1}}", "one\ntwo\r\n\r\nthree\tfour     five  ", "one two three four five"),
        ("{{1}}", "x" * 1024, "x" * 1024),
        ("{{1}}", "x" * 1025, None),
        ("{{1}}!", "x" * 1024, None),
        ("{{1}}", "\U0001f600" * 512, "\U0001f600" * 512),
        ("{{1}}", "\U0001f600" * 512 + "x", None),
        ("{{1}} {{1}}", "x" * 511, "x" * 511),
        ("{{1}} {{1}}", "x" * 512, None),
        ("{{1}}", " \n\t ", None),
        ("{{1}}", "", None),
        ("{{1}}", "{{1}} \\1", "{{1}} \\1"),
        ("{{1}}", "a\x00b\u2028c\x1b[31m", "ab c"),
    ],
)
def test_words_in_a_template(text: str, value: str, filled: str | None) -> None:
    form = read_form(components({"type": "BODY", "text": text}))
    made = fill(form, Filling.of(["text"], []), {"text": value})
    assert isinstance(made, str) if filled is None else made == {"body": [filled]}


TOO_LONG = "has no room for it: its header would have 61 characters, and WhatsApp takes 60"


@pytest.mark.parametrize(("title", "made"), [("x" * 60, True), ("x" * 61, False), ("", True)])
def test_title_in_a_header(title: str, made: bool) -> None:
    form = read_form(
        components({"type": "HEADER", "format": "TEXT", "text": "{{1}}"}, {"type": "BODY", "text": "News."})
    )
    filled = fill(form, Filling.of([], ["title"]), {"title": title})
    assert filled == ({"body": [], "header": [title or "–"]} if made else TOO_LONG)


def test_a_name_that_nobody_gave_is_no_reason_to_stay_silent() -> None:
    form = read_form(components({"type": "BODY", "text": "{{1}}: {{2}}"}))
    assert fill(form, Filling.of(["name", "ticket_id"], []), {"ticket_id": "12"}) == {"body": ["–", "12"]}
    why_not = "needs the ticket's number in its body, and there is nothing to put there"
    assert fill(form, Filling.of(["name", "ticket_id"], []), {"name": "Ann"}) == why_not


def test_in_one_line() -> None:
    assert in_one_line("  a \u00a0\n\n b\u3000c\td  ") == "a b c d"
