"""Parameters of templates: what fits them, and what a notice reads like once it is filled in."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.templates.notice_kinds import NoticeKind, NoticeValue
from bot.templates.parameters import (
    ParameterMapping,
    TemplateComponents,
    fill_parameters,
    find_mismatches,
    parse_components,
    to_single_line,
)
from tests.support.growth import TIMES_LONGER, compute_growth

BODY = {"type": "BODY", "text": "Hello {{1}}, your ticket {{2}} has news."}
NAMED = {"type": "BODY", "text": "Hello {{name}}, your ticket {{ticket}} has news. {{name}}!"}
VALUES_OF_TICKET = {"ticket_id": "12", "title": "Printer on fire", "name": "Ann", "text": "Try it now."}


def parse(*components: object, category: str = "UTILITY") -> TemplateComponents:
    return parse_components(json.dumps(components), category)


def mapping(body: Any, header: Any = ()) -> ParameterMapping:
    return ParameterMapping.from_request(body, header)


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


@pytest.mark.parametrize(("components", "body", "header", "filled"), FITTING)
def test_template_that_fits(components: list[object], body: object, header: object, filled: object) -> None:
    template, given = parse(*components), mapping(body, header)
    assert find_mismatches("in_progress", template, given) == []
    stored = ParameterMapping.from_json(given.to_json())
    assert fill_parameters(template, stored, VALUES_OF_TICKET) == filled


NOT_FITTING = json.loads((Path(__file__).parent / "misfits.json").read_text("utf-8"))


@pytest.mark.parametrize("case", NOT_FITTING)
def test_template_that_does_not_fit(case: dict[str, Any]) -> None:
    found = find_mismatches("in_progress", parse(*case["components"]), mapping(case["body"], case["header"]))
    assert [f"{mismatch.field}: {mismatch.sentence}" for mismatch in found] == case["why"]


@pytest.mark.parametrize(
    "stored", ["", "{", "{}", "null", "[1]", '[{"type": 5}]', "[" * 9000, '[{"type":"BODY","text":7}]']
)
def test_components_that_can_not_be_read(stored: str) -> None:
    assert "Its text is not known: sync the templates." in parse_components(stored).problems


@pytest.mark.parametrize("text", [" ", "\n", "a ", "{{ ", "{{", "{{1}} ", " }}"])
def test_no_text_of_a_template_takes_more_than_its_length(text: str) -> None:
    def fill(body: str) -> object:
        template = parse({"type": "BODY", "text": body})
        return fill_parameters(template, mapping([]), {})

    assert compute_growth(fill, lambda length: "{{" + text * length, 20) < 4 * TIMES_LONGER


def test_the_spaces_around_a_name_are_not_of_it() -> None:
    template = parse({"type": "BODY", "text": "{{ ticket }} is {{\nticket\t}} of {{name}}"})
    assert template.body.parameters == ("ticket", "name")
    given = ParameterMapping({"ticket": "ticket_id", "name": "name"})
    assert fill_parameters(template, given, VALUES_OF_TICKET) == {
        "body": {"ticket": VALUES_OF_TICKET["ticket_id"], "name": VALUES_OF_TICKET["name"]}
    }


def test_template_for_codes_is_not_for_a_desk() -> None:
    template = parse(BODY, category="authentication")
    assert template.problems == ("It is for one-time codes, which a support desk does not send.",)


@pytest.mark.parametrize("kind", NoticeKind)
def test_only_a_reply_has_to_carry_the_agents_text(kind: NoticeKind) -> None:
    template = parse({"type": "BODY", "text": "{{1}}"})
    for value in NoticeValue:
        found = find_mismatches(kind, template, mapping([value]))
        assert bool(found) == (kind is NoticeKind.REPLY and value is not NoticeValue.TEXT)
    assert find_mismatches("reply", template, mapping(["name"])) == [
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
def test_text_in_a_body(text: str, value: str, filled: str | None) -> None:
    made = fill_parameters(parse({"type": "BODY", "text": text}), mapping(["text"]), {"text": value})
    assert isinstance(made, str) if filled is None else made == {"body": [filled]}


TOO_LONG = "has no room for it: its header would have 61 characters, and WhatsApp takes 60"


@pytest.mark.parametrize(("title", "fits"), [("x" * 60, True), ("x" * 61, False), ("", True)])
def test_title_in_a_header(title: str, fits: bool) -> None:
    template = parse({"type": "HEADER", "format": "TEXT", "text": "{{1}}"}, {"type": "BODY", "text": "News."})
    filled = fill_parameters(template, mapping([], ["title"]), {"title": title})
    assert filled == ({"body": [], "header": [title or "–"]} if fits else TOO_LONG)


def test_a_name_that_nobody_gave_is_no_reason_to_stay_silent() -> None:
    template, given = parse({"type": "BODY", "text": "{{1}}: {{2}}"}), mapping(["name", "ticket_id"])
    assert fill_parameters(template, given, {"ticket_id": "12"}) == {"body": ["–", "12"]}
    why_not = "needs the ticket's number in its body, and there is nothing to put there"
    assert fill_parameters(template, given, {"name": "Ann"}) == why_not


def test_to_single_line() -> None:
    assert to_single_line("  a \u00a0\n\n b\u3000c\td  ") == "a b c d"
