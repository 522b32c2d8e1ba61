"""Our messages are as Meta's document describes them; the check can fail, and each of its exceptions is needed."""

import json
from typing import Any

import pytest

from bot.whatsapp.messages.build import build_body
from tests.support.openapi import contract
from tests.support.openapi.exceptions import EXCEPTIONS, DocumentException
from tests.support.places import ROOT

MESSAGES = json.loads((ROOT / "tests/bot/whatsapp/messages/messages.json").read_text("utf-8"))
SEND = "/v25.0/106540352242922/messages"
TEXT: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "+15550001111",
    "type": "text",
    "text": {"body": "Hello", "preview_url": False},
}
BUTTON = {"type": "reply", "reply": {"id": "a", "title": "A"}}


@pytest.fixture(autouse=True)
def _document(meta_document: None) -> None:
    """These tests are about it."""


def asking(**interactive: Any) -> dict[str, Any]:
    return TEXT | {"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}} | interactive}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("to", ["15550001111", "US.13491208655302741918"])
def test_every_type_of_message_is_as_meta_describes_it(name: str, to: str) -> None:
    assert contract.find_violations("POST", SEND, build_body(MESSAGES[name]["message"], to=to, opaque="42")) == []


@pytest.mark.parametrize(
    ("method", "target", "body", "violation"),
    [
        ("POST", SEND, TEXT | {"text": {"body": 7}}, "body text.body: 7 is not of type"),
        ("POST", SEND, TEXT | {"text": {"body": "x", "colour": "red"}}, "body text: Additional properties"),
        ("POST", SEND, TEXT | {"colour": "red"}, "body Unevaluated properties are not allowed ('colour'"),
        ("POST", SEND, TEXT | {"type": "hologram"}, "type is 'hologram'"),
        ("POST", SEND, TEXT | {"recipient_type": "crowd"}, "body recipient_type: "),
        ("POST", SEND, {key: value for key, value in TEXT.items() if key != "to"}, "body "),
        ("POST", SEND, TEXT | {"recipient": "US.1"}, "body "),
        ("POST", SEND, {key: value for key, value in TEXT.items() if key != "text"}, "body "),
        ("POST", SEND, TEXT | {"type": "image", "image": {"caption": "x"}}, "body "),
        ("POST", SEND, TEXT | {"type": "sticker", "sticker": {"id": "1", "caption": "x"}}, "body "),
        ("POST", SEND, asking(action={"buttons": [BUTTON] * 4}), "body interactive.action"),
        ("POST", SEND, asking(action={"buttons": []}), "body interactive.action"),
        ("POST", SEND, asking(action={"name": "cta_url"}), "body interactive.action"),
        ("POST", SEND, asking(body={"text": "x" * 1025}, action={"buttons": [BUTTON]}), "body interactive.body.text"),
        ("POST", SEND, asking(type="wheel", action={"buttons": [BUTTON]}), "body interactive.type"),
        ("POST", SEND, {"messaging_product": "whatsapp", "status": "typed", "message_id": "wamid.A"}, "body status"),
        ("POST", SEND, [], "body "),
        ("POST", SEND, contract.NO_BODY, "there is no body"),
        ("POST", "/v25.0/106540352242922/mesages", TEXT, "the document has no such call"),
        ("PUT", SEND, TEXT, "the document has no such call"),
        ("GET", "/v25.0/106540352242922?feilds=id", contract.NO_BODY, "query feilds: "),
        ("GET", "/v25.0/106540352242922?appsecret_proof=abc", contract.NO_BODY, "query appsecret_proof: "),
        ("GET", "/v25.0/106540352242922", {"a": 1}, "the document has no body here"),
        ("POST", "/v25.0/106540352242922/message_qrdls", {"prefilled_message": "x" * 141}, "body "),
        ("POST", "/v25.0/106540352242922/media", {"file": "...", "messaging_product": 1}, "body messaging_product"),
    ],
    ids=lambda value: "no body" if value is contract.NO_BODY else str(value),  # the same in every process
)  # fmt: skip
def test_what_meta_would_not_take_is_found(method: str, target: str, body: object, violation: str) -> None:
    found = contract.find_violations(method, target, body)
    assert found
    assert violation in found[0]


def test_headers_are_held_against_it_too() -> None:
    right = {"User-Agent": "tick/0.1.0", "authorization": "Bearer EAA", "Content-Type": "application/json"}
    assert contract.find_violations("POST", SEND, TEXT, right) == []
    for name, value in (("user-agent", "tick"), ("Authorization", "Basic EAA"), ("Content-Type", "text/plain")):
        (found,) = contract.find_violations("POST", SEND, TEXT, {name: value})
        assert f"header {name}".lower() in found.lower()


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: exception.name)
def test_an_exception_is_needed_and_enough(exception: DocumentException) -> None:
    method, target, held = exception.needed_by
    body = contract.NO_BODY if held is None else held
    assert contract.find_violations(method, target, body) == []
    assert contract.find_violations(method, target, body, without=exception.name)


def test_what_a_stand_in_recorded_is_taken_once() -> None:
    kind = {"content-type": "application/json"}
    contract.record_request("POST", "/simulator/graph" + SEND, kind, b'{"type": "hologram"}')
    contract.record_request("POST", SEND, kind, json.dumps(TEXT).encode())
    wrong, right = contract.take_violations()
    assert "hologram" in wrong[0]
    assert right == []
    assert contract.take_violations() == []


def test_a_multipart_body_is_read_as_its_fields() -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=xyz"}
    form = (
        b'--xyz\r\nContent-Disposition: form-data; name="messaging_product"\r\n\r\nwhatsapp\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF\r\n--xyz--\r\n'
    )
    for path in ("media", "messages"):
        contract.record_request("POST", f"/v25.0/106540352242922/{path}", kind, form)
    as_media, as_message = contract.take_violations()
    assert as_media == []
    assert as_message
