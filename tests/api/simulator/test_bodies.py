"""The simulator's webhooks have the shape of the collected bodies, down to the bytes."""

import json
from typing import Any

import pytest

from api.simulator import bodies, message_bodies
from api.simulator.message_bodies import Attached, MessageHead
from tests.api.simulator.webhook_shapes import find_oddities
from tests.support.places import PAYLOADS

NUMBER = bodies.BusinessNumber("106540352242922", "15550783881", "102290129340398")
SHEENA = bodies.Person("Sheena Nelson", "16505551234")
WITH_USER_ID = bodies.Person("Sheena Nelson", "16505551234", "US.13491208655302741918")
HEAD = MessageHead(SHEENA, "w", 1)
PICTURE = Attached("1003383421387256", "image/jpeg", bytes.fromhex("49f8" + "00" * 30))


def load_payload(path: str) -> Any:
    return json.loads((PAYLOADS / path).read_bytes())


def get_shape(value: Any) -> Any:
    """Returns the value with types in place of its plain values, so that only the shape is left."""
    if isinstance(value, dict):
        return {key: get_shape(inner) for key, inner in value.items()}
    return [get_shape(inner) for inner in value] if isinstance(value, list) else type(value)


def test_the_bytes_are_those_of_metas_wire() -> None:
    signed = next((PAYLOADS / "signatures").glob("as_meta_sends*.raw")).read_bytes()
    jose = bodies.Person("José 👍", "16505551234")
    text = message_bodies.text(MessageHead(jose, "wamid.COMPOSED000001", 1749416384), "café / <b>@%")
    assert bodies.build_messages_webhook(NUMBER, [jose], [text]) == signed


def test_the_signature_is_the_one_that_belongs_to_them() -> None:
    known = (PAYLOADS / "signatures" / "signatures.json").read_text()
    signed = next((PAYLOADS / "signatures").glob("as_meta_sends*.raw")).read_bytes()
    assert bodies.sign(signed, "test-app-secret") in known


def test_a_slash_after_a_backslash_survives() -> None:
    text = message_bodies.text(HEAD, r"C:\/ \\/ \u0041 </script>")
    assert json.loads(bodies.encode_json(text))["text"]["body"] == r"C:\/ \\/ \u0041 </script>"


def test_an_image_with_a_quote() -> None:
    context = message_bodies.quote(bodies.Person(wa_id="15550783881"), "wamid.OUT000001")
    ours = json.loads(
        bodies.build_messages_webhook(
            NUMBER, [SHEENA], [message_bodies.image(MessageHead(SHEENA, "w", 1, context), PICTURE)]
        )
    )
    theirs = load_payload("webhooks/image_with_context_and_referral.json")
    message = theirs["entry"][0]["changes"][0]["value"]["messages"][0]
    del message["context"]["forwarded"]
    message.pop("referral", None)
    assert get_shape(ours) == get_shape(theirs)


def test_a_failed_status() -> None:
    theirs = load_payload("statuses-failed/failed_131047.json")
    error = theirs["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"][0]
    made = bodies.build_status_error(131047, error["title"], error["error_data"]["details"])
    assert made == error
    status = bodies.build_delivery_status(bodies.Person(wa_id="16505551234"), "w", 1751142888, "failed", errors=[made])
    assert get_shape(json.loads(bodies.build_statuses_webhook(NUMBER, [status]))) == get_shape(theirs)


def test_a_delivered_status() -> None:
    theirs = load_payload("webhooks/statuses_out_of_order_read_delivered_sent.json")
    delivered = theirs["entry"][0]["changes"][0]["value"]["statuses"][1]
    person = bodies.Person(wa_id=delivered["recipient_id"])
    assert bodies.build_delivery_status(person, delivered["id"], int(delivered["timestamp"]), "delivered") == delivered


@pytest.mark.parametrize(
    ("message", "kind", "content"),
    [
        (
            message_bodies.button_reply(HEAD, "submit", "Send"),
            "interactive",
            {"type": "button_reply", "button_reply": {"id": "submit", "title": "Send"}},
        ),
        (
            message_bodies.list_reply(HEAD, "hw", "Hardware", "Printers"),
            "interactive",
            {"type": "list_reply", "list_reply": {"id": "hw", "title": "Hardware", "description": "Printers"}},
        ),
        (
            message_bodies.document(HEAD, Attached("1", "application/pdf", b"\x00", "a.pdf"), "See"),
            "document",
            {"caption": "See", "filename": "a.pdf", "mime_type": "application/pdf", "sha256": "AA==", "id": "1"},
        ),
        (
            message_bodies.audio(HEAD, Attached("1", "audio/ogg; codecs=opus", b"\x00"), voice=True),
            "audio",
            {"mime_type": "audio/ogg; codecs=opus", "sha256": "AA==", "id": "1", "voice": True},
        ),
    ],
)
def test_a_message_of_each_kind(message: dict[str, Any], kind: str, content: dict[str, Any]) -> None:
    common = {"from": "16505551234", "id": "w", "timestamp": "1", "type": kind}
    assert message == common | {kind: content}


def test_a_hidden_phone_number_leaves_no_key() -> None:
    hidden = bodies.Person("Sheena", user_id="US.13491208655302741918")
    webhook = json.loads(
        bodies.build_messages_webhook(NUMBER, [hidden], [message_bodies.text(MessageHead(hidden, "w", 1), "Hi")])
    )
    value = webhook["entry"][0]["changes"][0]["value"]
    assert value["contacts"] == [{"profile": {"name": "Sheena"}, "user_id": "US.13491208655302741918"}]
    assert "from" not in value["messages"][0]
    assert value["messages"][0]["from_user_id"] == "US.13491208655302741918"


@pytest.mark.parametrize("to", ["15550100001", "5" * 400, "US.13491208655302741918", ""])
def test_any_address_makes_an_id(to: str) -> None:
    wamid = bodies.make_wamid(to, b"0123456789")
    assert wamid.startswith("wamid.")
    assert len(wamid) < 200


def test_the_rules_for_a_webhook_notice_what_is_wrong() -> None:
    head = MessageHead(WITH_USER_ID, "wamid.1", 1)
    right = json.loads(bodies.build_messages_webhook(NUMBER, [WITH_USER_ID], [message_bodies.text(head, "Hi")]))
    assert list(find_oddities(right)) == []
    wrong = json.loads(json.dumps(right))
    message = wrong["entry"][0]["changes"][0]["value"]["messages"][0]
    message |= {"timestamp": "soon", "text": {"content": "Hi"}, "from": ""}
    assert {odd.partition(" ")[0] for odd in find_oddities(wrong)} == {"id", "text", "from"}
