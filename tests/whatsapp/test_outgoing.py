"""What we send is in Meta's form, and within its limits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.whatsapp.outgoing import TooLong, Unsendable, build, message_of, split_text, units
from flows.model import Offer, Option, Say

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def options(count: int, **changes: object) -> list[dict[str, object]]:
    return [{"option_id": f"id:{number}", "label": f"Option {number}"} | changes for number in range(count)]


def sent(message: dict[str, Any], to: str = "15550001111", **more: str) -> dict[str, Any]:
    return build(message, to=to, opaque="42", **more)


def test_text() -> None:
    assert sent({"type": "text", "text": "Hello"}) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+15550001111",
        "type": "text",
        "text": {"body": "Hello", "preview_url": False},
        "biz_opaque_callback_data": "42",
    }


def test_buttons() -> None:
    body = sent({"type": "buttons", "text": "Sure?", "options": options(2)}, quoted_wamid="wamid.Q")
    assert body["context"] == {"message_id": "wamid.Q"}
    assert body["type"] == "interactive"
    assert body["interactive"] == {
        "type": "button",
        "body": {"text": "Sure?"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "id:0", "title": "Option 0"}},
                {"type": "reply", "reply": {"id": "id:1", "title": "Option 1"}},
            ]
        },
    }


def test_list() -> None:
    rows = [{"option_id": "a", "label": "A", "description": "first"}, {"option_id": "b", "label": "B"}]
    body = sent({"type": "list", "text": "Which?", "button": "Choose", "options": rows})
    assert body["interactive"] == {
        "type": "list",
        "body": {"text": "Which?"},
        "action": {
            "button": "Choose",
            "sections": [{"rows": [{"id": "a", "title": "A", "description": "first"}, {"id": "b", "title": "B"}]}],
        },
    }


@pytest.mark.parametrize("to", ["15550001111", "+15550001111"])
def test_a_phone_always_has_its_plus(to: str) -> None:
    body = sent({"type": "text", "text": "x"}, to)
    assert (body["to"], "recipient" in body) == ("+15550001111", False)


@pytest.mark.parametrize("to", ["US.13491208655302741918", "US.ENT.118", "user.0f"])
def test_a_user_id_is_a_recipient_and_never_in_to(to: str) -> None:
    body = sent({"type": "text", "text": "x"}, to)
    assert (body["recipient"], "to" in body) == (to, False)


LIST = {"type": "list", "text": "?", "button": "Choose"}
BUTTONS = {"type": "buttons", "text": "?"}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": "x" * 4097},
        {"type": "text", "text": "\U0001f600" * 2049},
        BUTTONS | {"text": "x" * 1025, "options": options(1)},
        BUTTONS | {"options": options(1, label="x" * 21)},
        BUTTONS | {"options": options(1, option_id="x" * 257)},
        LIST | {"text": "x" * 1025, "options": options(1)},
        LIST | {"button": "x" * 21, "options": options(1)},
        LIST | {"options": options(1, label="x" * 25)},
        LIST | {"options": options(1, description="x" * 73)},
        LIST | {"options": options(1, option_id="x" * 201)},
    ],
    ids=lambda message: str(message)[:20] + str(len(str(message))),
)
def test_one_over_a_limit_is_too_long(message: dict[str, Any]) -> None:
    with pytest.raises(TooLong):
        sent(message)


def test_at_every_limit_it_goes_out() -> None:
    sent({"type": "text", "text": "\U0001f600" * 2048})
    labels = [{"option_id": str(number) * 256, "label": str(number) * 20} for number in range(3)]
    sent({"type": "buttons", "text": "x" * 1024, "options": labels})
    rows = [{"option_id": str(at) * 200, "label": "x" * 24, "description": "x" * 72} for at in range(10)]
    sent({"type": "list", "text": "x" * 1024, "button": "x" * 20, "options": rows})
    build({"type": "text", "text": "x"}, to="1555", opaque="x" * 512)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": ""},
        {"type": "text", "text": " \n"},
        {"type": "text"},
        {"type": "hologram"},
        {},
        BUTTONS | {"options": []},
        BUTTONS | {"options": options(4)},
        BUTTONS | {"options": options(2, label="same")},
        BUTTONS | {"options": options(2, option_id="same")},
        BUTTONS | {"options": options(1, option_id=" x")},
        BUTTONS | {"options": options(1, label=" ")},
        LIST | {"options": options(11)},
        LIST | {"button": "", "options": options(4)},
    ],
    ids=str,
)
def test_what_meta_would_refuse_never_goes_out(message: dict[str, Any]) -> None:
    with pytest.raises(Unsendable):
        sent(message)


def test_somebody_must_be_there_to_send_to() -> None:
    with pytest.raises(Unsendable):
        sent({"type": "text", "text": "x"}, to="")


def test_what_a_flow_says_becomes_what_is_kept() -> None:
    few = tuple(Option(f"o{number}", f"Label {number}", "more") for number in range(3))
    assert message_of(Say("Hello")) == {"type": "text", "text": "Hello"}
    assert message_of(Offer("Which?", few[:1])) == {
        "type": "buttons",
        "text": "Which?",
        "options": [{"option_id": "o0", "label": "Label 0"}],
    }
    many = message_of(Offer("Which?", (*few, Option("o3", "Label 3")), "Choose"))
    assert (many["type"], many["button"]) == ("list", "Choose")
    assert isinstance(many["options"], list)
    assert many["options"][-1] == {"option_id": "o3", "label": "Label 3", "description": ""}
    for effect in (Say("Hello"), Offer("Which?", few), Offer("Which?", (*few, Option("o3", "Label 3")), "Choose")):
        sent(message_of(effect))


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
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
def test_a_long_text_is_cut_where_it_hurts_least(text: str, limit: int, pieces: list[str]) -> None:
    assert split_text(text, limit) == pieces


@given(st.text(alphabet=st.sampled_from("ab \n\U0001f600\u0301\u200d"), max_size=300), st.integers(2, 40))
def test_every_piece_fits_and_nothing_is_lost(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert all(0 < units(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
