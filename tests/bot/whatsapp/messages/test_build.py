"""What we send has the shape that Meta describes, and is within its limits."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.whatsapp.messages.build import build_body, effect_to_message
from bot.whatsapp.messages.limits import TooLong, Unsendable
from flows.effects import Offer, Option, Say

MESSAGES = json.loads((Path(__file__).parent / "messages.json").read_text("utf-8"))
HEAD = {"messaging_product": "whatsapp", "recipient_type": "individual", "biz_opaque_callback_data": "42"}
SMILE = "\U0001f600"


def options(count: int, **changes: object) -> list[dict[str, object]]:
    return [{"option_id": f"id:{number}", "label": f"Option {number}"} | changes for number in range(count)]


def sections(*rows: int, title: str = "Title") -> list[dict[str, object]]:
    return [
        {"title": title, "options": [{"option_id": f"{at}.{row}", "label": "Row"} for row in range(count)]}
        for at, count in enumerate(rows)
    ]


def sent(message: Mapping[str, Any], to: str = "15550001111", **more: str) -> dict[str, Any]:
    return build_body(message, to=to, opaque="42", **more)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_type_of_message(name: str) -> None:
    assert sent(MESSAGES[name]["message"]) == HEAD | {"to": "+15550001111"} | MESSAGES[name]["content"]


def test_a_quote_may_be_given_beside_the_message() -> None:
    body = sent({"type": "text", "text": "x", "quoted": "wamid.A"}, quoted_wamid="wamid.B")
    assert body["context"] == {"message_id": "wamid.B"}


@pytest.mark.parametrize("to", ["15550001111", "+15550001111"])
def test_a_phone_always_has_its_plus(to: str) -> None:
    body = sent({"type": "text", "text": "x"}, to)
    assert (body["to"], "recipient" in body) == ("+15550001111", False)


@pytest.mark.parametrize("to", ["US.13491208655302741918", "US.ENT.118", "user.0f"])
def test_a_user_id_is_a_recipient_and_never_in_to(to: str) -> None:
    body = sent({"type": "text", "text": "x"}, to)
    assert (body["recipient"], "to" in body) == (to, False)


LIST = {"type": "list", "text": "?", "button": "Choose", "options": options(1)}
BUTTONS = {"type": "buttons", "text": "?", "options": options(1)}
SECTIONS = {"type": "list", "text": "?", "button": "Choose", "sections": sections(1, 1)}
CTA = {"type": "cta", "text": "?", "label": "Open", "url": "https://example.com"}
PLACE = {"type": "location_request", "text": "?"}
NUMBER = {"type": "contact_request", "text": "?"}
IMAGE = {"type": "media", "kind": "image", "media_id": "1"}
DOCUMENT = {"type": "media", "kind": "document", "media_id": "1"}
REACTION = {"type": "reaction", "wamid": "wamid.R", "emoji": SMILE}
TEMPLATE = {"type": "template", "name": "hello", "language": "en"}

# (message, key, what is just allowed, what is just too long)
LENGTHS = [
    ({"type": "text"}, "text", "x" * 4096, "x" * 4097),
    ({"type": "text"}, "text", SMILE * 2048, SMILE * 2048 + "x"),
    *((held, "text", "x" * 1024, "x" * 1025) for held in (BUTTONS, LIST, SECTIONS, CTA, PLACE, NUMBER)),
    (BUTTONS, "options", options(1, label=SMILE * 10), options(1, label=SMILE * 10 + "x")),
    (BUTTONS, "options", options(1, option_id="x" * 256), options(1, option_id="x" * 257)),
    (LIST, "button", "x" * 20, "x" * 21),
    (LIST, "options", options(1, label="x" * 24), options(1, label="x" * 25)),
    (LIST, "options", options(1, description=SMILE * 36), options(1, description=SMILE * 36 + "x")),
    (LIST, "options", options(1, option_id="x" * 200), options(1, option_id="x" * 201)),
    (SECTIONS, "sections", sections(1, 1, title="x" * 24), sections(1, 1, title="x" * 25)),
    (SECTIONS, "sections", sections(1, title="x" * 24), sections(1, title="x" * 25)),
    (CTA, "label", "x" * 20, "x" * 21),
    (CTA, "url", "https://example.com/" + "x" * 1980, "https://example.com/" + "x" * 1981),
    (IMAGE, "caption", SMILE * 512, SMILE * 513),
    (DOCUMENT, "filename", "x" * 240, "x" * 241),
    (TEMPLATE, "header", ["x" * 60], ["x" * 61]),
    (TEMPLATE, "body", ["x" * 1024], ["x" * 1025]),
    (TEMPLATE, "body", {"name": "x" * 1024}, {"name": "x" * 1025}),
]


@pytest.mark.parametrize(("message", "key", "allowed", "over"), LENGTHS, ids=str)
def test_up_to_a_limit_it_goes_out_and_beyond_it_does_not(
    message: dict[str, Any], key: str, allowed: object, over: object
) -> None:
    sent(message | {key: allowed})
    with pytest.raises(TooLong):
        sent(message | {key: over})


def test_our_own_mark_has_a_limit_too() -> None:
    build_body({"type": "text", "text": "x"}, to="15550001111", opaque="x" * 512)
    with pytest.raises(TooLong):
        build_body({"type": "text", "text": "x"}, to="15550001111", opaque="x" * 513)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (BUTTONS, {"options": options(3)}),
        (LIST, {"options": options(10)}),
        (LIST, {"options": options(2, label="same")}),
        (SECTIONS, {"sections": sections(*[1] * 10)}),
        (SECTIONS, {"sections": sections(4, 6)}),
        (SECTIONS, {"sections": sections(2, title="")}),
        (REACTION, {"emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"}),
        (REACTION, {"emoji": "1\ufe0f\u20e3"}),
        (TEMPLATE, {"body": ["three   spaces"]}),
        (TEMPLATE, {"body": {}, "header": None}),
    ],
    ids=str,
)
def test_as_many_as_whatsapp_takes(message: dict[str, Any], changes: dict[str, Any]) -> None:
    sent(message | changes)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ({"type": "text"}, {"text": ""}),
        ({"type": "text"}, {"text": " \n"}),
        ({"type": "text"}, {"text": 7}),
        ({"type": "text"}, {}),
        ({"type": "text"}, {"text": "x", "quoted": 7}),
        ({"type": "text"}, {"text": "x", "quoted": "wamid.A "}),
        ({"type": "hologram"}, {}),
        ({"type": ["text"]}, {}),
        ({}, {}),
        (BUTTONS, {"options": []}),
        (BUTTONS, {"options": None}),
        (BUTTONS, {"options": "abc"}),
        (BUTTONS, {"options": ["a"]}),
        (BUTTONS, {"options": options(4)}),
        (BUTTONS, {"options": options(2, label="same")}),
        (BUTTONS, {"options": options(2, option_id="same")}),
        (BUTTONS, {"options": options(1, option_id=" x")}),
        (BUTTONS, {"options": options(1, option_id="x\n")}),
        (BUTTONS, {"options": options(1, label=" ")}),
        (LIST, {"options": options(11)}),
        (LIST, {"options": options(2, option_id="same")}),
        (LIST, {"options": options(1, option_id="x ")}),
        (LIST, {"options": options(1, description=None)}),
        (LIST, {"button": ""}),
        (SECTIONS, {"sections": []}),
        (SECTIONS, {"sections": sections(*[1] * 11)}),
        (SECTIONS, {"sections": sections(5, 6)}),
        (SECTIONS, {"sections": sections(1, 1, title="")}),
        (SECTIONS, {"sections": sections(1) + sections(1)}),
        (SECTIONS, {"sections": [{"title": "x", "options": []}]}),
        (CTA, {"url": "javascript:alert(1)"}),
        (CTA, {"url": "https://example.com/a b"}),
        (CTA, {"url": ""}),
        (CTA, {"label": ""}),
        (PLACE, {"text": ""}),
        (NUMBER, {"text": ""}),
        (IMAGE, {"media_id": ""}),
        (IMAGE, {"media_id": None}),
        (IMAGE, {"kind": "hologram"}),
        (IMAGE, {"kind": None}),
        (IMAGE, {"kind": "audio", "caption": "x"}),
        (IMAGE, {"kind": "sticker", "caption": "x"}),
        (REACTION, {"wamid": ""}),
        (REACTION, {"emoji": "ok"}),
        (REACTION, {"emoji": SMILE + " " + SMILE}),
        (TEMPLATE, {"name": "Hello"}),
        (TEMPLATE, {"name": ""}),
        (TEMPLATE, {"name": "x" * 513}),
        (TEMPLATE, {"language": "english!"}),
        (TEMPLATE, {"language": None}),
        (TEMPLATE, {"body": "one"}),
        (TEMPLATE, {"body": [""]}),
        (TEMPLATE, {"body": [" "]}),
        (TEMPLATE, {"body": [7]}),
        (TEMPLATE, {"body": ["one\ntwo"]}),
        (TEMPLATE, {"body": ["one\ttwo"]}),
        (TEMPLATE, {"body": ["four    spaces"]}),
        (TEMPLATE, {"body": {"Name": "x"}}),
        (TEMPLATE, {"header": ["one\r"]}),
    ],
    ids=str,
)
def test_what_meta_would_refuse_never_goes_out(message: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(Unsendable):
        sent(message | changes)


def test_somebody_must_be_there_to_send_to() -> None:
    with pytest.raises(Unsendable):
        sent({"type": "text", "text": "x"}, to="")


def test_what_a_flow_says_becomes_what_is_kept() -> None:
    few = tuple(Option(f"o{number}", f"Label {number}", "more") for number in range(3))
    assert effect_to_message(Say("Hello")) == {"type": "text", "text": "Hello"}
    assert effect_to_message(Offer("Which?", few[:1])) == {
        "type": "buttons",
        "text": "Which?",
        "options": [{"option_id": "o0", "label": "Label 0"}],
    }
    many = effect_to_message(Offer("Which?", (*few, Option("o3", "Label 3")), "Choose"))
    assert (many["type"], many["button"]) == ("list", "Choose")
    assert isinstance(many["options"], list)
    assert many["options"][-1] == {"option_id": "o3", "label": "Label 3", "description": ""}
    for effect in (Say("Hello"), Offer("Which?", few), Offer("Which?", (*few, Option("o3", "Label 3")), "Choose")):
        sent(effect_to_message(effect))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(st.sampled_from(sorted(LIST | IMAGE)), held, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.sampled_from([BUTTONS, LIST, SECTIONS, CTA, IMAGE, REACTION, TEMPLATE]),
    st.dictionaries(st.sampled_from(sorted(SECTIONS | CTA | IMAGE | REACTION | TEMPLATE)), ANYTHING, max_size=4),
)
def test_whatever_the_outbox_holds_it_is_sent_or_refused(message: dict[str, Any], changes: dict[str, Any]) -> None:
    with suppress(Unsendable):
        assert json.dumps(sent(message | changes))
