"""Every kind of message has one event, written down in expected/messages.json."""

import json
import re
from pathlib import Path

import pytest

from bot.whatsapp.sanitize import clean_file_name, clean_mime_type
from bot.whatsapp.webhook.events import read_event, read_profile_name, read_status
from tests.bot.whatsapp.webhook.reading import OUR_NUMBER, RECEIVED_AT, describe_outcome

EXPECTED = json.loads((Path(__file__).parents[1] / "expected" / "messages.json").read_text("utf-8"))


def webhook(message: dict[str, object]) -> bytes:
    whole = {"from": "15550001111", "id": "wamid.A", "timestamp": "1749416383"} | message
    value = {"metadata": {"phone_number_id": OUR_NUMBER}, "messages": [whole]}
    changes = [{"field": "messages", "value": value}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_message_is_read_as_written_down(name: str) -> None:
    message, event = EXPECTED[name]
    (outcome,) = describe_outcome(webhook(message))
    assert outcome["event"] == event | {"wamid": "wamid.A"}


def test_five_thousand_phones_are_a_line() -> None:
    cards = [{"name": {"formatted_name": "n" * 5000}, "phones": [{"phone": "5" * 50}] * 5000}] * 5
    (outcome,) = describe_outcome(webhook({"type": "contacts", "contacts": cards}))
    event = outcome["event"]
    assert isinstance(event, dict)
    assert len(event["text"]) < 2000


def test_an_option_id_that_is_too_long_is_none() -> None:
    """A part of it would be another option's."""
    message = {"type": "button", "button": {"payload": "x" * 257, "text": "Send"}}
    event = read_event(json.dumps({"message": message}), item_id=3, at=RECEIVED_AT, late=True)
    assert (event.kind, event.option_id, event.text, event.item_id, event.late) == ("text", "", "Send", 3, True)


@pytest.mark.parametrize("wamid", ["w" * 201, "with space", "d\u00e9j\u00e0", "\ud800", "~"], ids=ascii)
def test_a_strange_wamid_fits_its_column_and_is_found_again(wamid: str) -> None:
    message = {"id": wamid, "type": "text", "text": {"body": "x"}, "context": {"id": wamid}}
    event = read_event(json.dumps({"message": message}), item_id=3, at=RECEIVED_AT, late=False)
    assert re.fullmatch(r"~[0-9a-f]{64}", event.wamid)
    assert event.wamid == event.quoted_wamid == read_status(json.dumps({"id": wamid})).wamid


def test_the_name_of_the_sender() -> None:
    assert read_profile_name('{"message": {}, "contact": {"name": "Ann"}}') == "Ann"
    for payload in ("", "{", '{"contact": null}', '{"contact": {"name": null}}'):
        assert read_profile_name(payload) == ""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.txt", "y.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("a\0.png", "a.png"),
        (".htaccess", "htaccess"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("a\nb\tc.txt", "a_b_c.txt"),
        ('<img src="x">.png', "_img src=_x__.png"),
        ("x" * 5000 + ".pdf", "x" * 115 + "\u2026.pdf"),
        ("x" * 5000, "x" * 119 + "\u2026"),
        ("   ", ""),
        ("..", ""),
        ("/", ""),
        ("r\u00e9sum\u00e9 \u0645.doc", "r\u00e9sum\u00e9 \u0645.doc"),
    ],
    ids=lambda value: repr(value)[-30:],
)
def test_names_of_files(given: str, shown: str) -> None:
    assert clean_file_name(given) == shown


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Image/PNG", "image/png"),
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
        ("", "application/octet-stream"),
        ("image", "application/octet-stream"),
        ("image/png\r\nSet-Cookie: x", "application/octet-stream"),
        ("a/" + "b" * 1000, "application/octet-stream"),
    ],
    ids=lambda value: repr(value)[-30:],
)
def test_types_of_files(given: str, kept: str) -> None:
    assert clean_mime_type(given) == kept
