"""The simulator refuses what Meta would refuse, in Meta's words, and strangers altogether."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from api.simulator.access import is_loopback
from api.simulator.error_codes import UNKNOWN, get_title
from api.simulator.graph_error import GraphError
from api.simulator.message_rules import find_message_error
from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, build_buttons, build_list, run_echo_service
from tests.support.places import PAYLOADS

TO = {"messaging_product": "whatsapp", "to": "+15550100001"}
ANA = "/simulator/api/customers/15550100001"


def interactive(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return TO | {"type": "interactive", "interactive": content | changes}


def asking(kind: str, name: str = "", **parameters: str) -> dict[str, Any]:
    action = {"name": name or kind} | ({"parameters": parameters} if parameters else {})
    return {"type": kind, "body": {"text": "Please"}, "action": action}


@pytest.mark.parametrize(
    "body",
    [
        TO | {"text": {"body": "x" * 4096}},
        TO | {"type": "text", "text": {"body": "👍", "preview_url": False}, "context": {"message_id": "wamid.1"}},
        {"messaging_product": "whatsapp", "recipient": "US.134", "type": "text", "text": {"body": "x"}},
        TO | {"to": "1 (555) 010-0001", "text": {"body": "x"}},
        TO | {"to": "15550100001", "text": {"body": "x"}},
        TO | {"recipient": "US.134", "type": "text", "text": {"body": "of both, `to` counts"}},
        interactive(build_buttons("x" * 20)),
        interactive(build_buttons("a", "b", "c"), body={"text": "x" * 1024}),
        interactive(build_list(10, title="{:024d}")),
        TO | {"type": "image", "image": {"id": "known", "caption": "x" * 1024}},
        TO | {"type": "document", "document": {"link": "https://example.com/a.pdf", "filename": "a.pdf"}},
        TO | {"type": "sticker", "sticker": {"id": "known"}},
        TO | {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👨‍👩‍👧‍👦"}},
        TO | {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": ""}},
        TO | {"type": "location", "location": {"latitude": -90, "longitude": "180"}},
        TO | {"type": "contacts", "contacts": [{"name": {"formatted_name": "Jo"}}] * 257},
        interactive(asking("cta_url", display_text="x" * 20, url="https://example.com")),
        interactive(asking("location_request_message", "send_location")),
        interactive(asking("request_contact_info")),
        interactive(asking("flow")),
    ],
)
def test_what_is_within_the_limits_is_accepted(body: dict[str, Any]) -> None:
    assert find_message_error(body, {"known"}.__contains__) is None


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (100, None),
        (100, {"to": "+15550100001", "text": {"body": "x"}}),
        (131008, {"messaging_product": "whatsapp", "text": {"body": "x"}}),
        (131009, TO | {"to": 15550100001, "recipient": "US.134", "text": {"body": "x"}}),
        (131009, TO | {"to": 15550100001, "text": {"body": "x"}}),
        (100, TO | {"to": "abc", "text": {"body": "x"}}),
        (100, TO | {"to": "+", "text": {"body": "x"}}),
        (100, TO | {"to": "0015550100001", "text": {"body": "x"}}),
        (100, TO | {"to": "15550100001,15550100002", "text": {"body": "x"}}),
        (100, {"messaging_product": "whatsapp", "recipient": "@ana", "text": {"body": "x"}}),
        (131008, TO),
        (131008, TO | {"text": {"body": " "}}),
        (131008, TO | {"type": "text", "text": "x"}),
        (131008, TO | {"type": ["text"], "text": {"body": "x"}}),
        (100, TO | {"text": {"body": "x" * 4097}}),
        (131009, TO | {"text": {"body": "x"}, "context": {}}),
        (131009, TO | {"text": {"body": "x"}, "biz_opaque_callback_data": 7}),
        (100, interactive(build_buttons(), body={"text": "x" * 1025})),
        (131008, interactive(build_buttons(), body={})),
        (131008, interactive(build_buttons(), action=None)),
        (131009, interactive(build_buttons(), type="carousel")),
        (131009, interactive(build_buttons(), action={"buttons": []})),
        (131009, interactive(build_buttons("a", "b", "c", "d"))),
        (131009, interactive(build_buttons("same", "same"))),
        (100, interactive(build_buttons("x" * 21))),
        (100, interactive(build_list(11), footer={"text": "x" * 61})),
        (131009, interactive(build_list(11))),
        (100, interactive(build_list(1, title="x" * 25))),
        (131009, interactive(build_list(0))),
        (131009, TO | {"type": "image", "image": {"id": "unknown"}}),
        (131008, TO | {"type": "document", "document": {}}),
        (131008, TO | {"type": "template", "template": {"name": "no_language"}}),
        (131008, TO | {"type": "reaction", "reaction": {"emoji": "👍"}}),
        (131008, TO | {"type": "reaction", "reaction": {"message_id": "wamid.1"}}),
        (131009, TO | {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "ok"}}),
        (131009, TO | {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👍" * 17}}),
        (
            131009,
            TO | {"type": "reaction", "reaction": {"message_id": "w", "emoji": ""}, "context": {"message_id": "w"}},
        ),
        (131008, TO | {"type": "location", "location": {"latitude": 1}}),
        (131009, TO | {"type": "location", "location": {"latitude": 90.1, "longitude": 0}}),
        (131009, TO | {"type": "contacts", "contacts": []}),
        (131009, TO | {"type": "contacts", "contacts": [{"name": {"formatted_name": "Jo"}}] * 258}),
        (131008, TO | {"type": "contacts", "contacts": [{"name": {}}]}),
        (100, TO | {"type": "audio", "audio": {"id": "known", "caption": "x"}}),
        (100, TO | {"type": "image", "image": {"id": "known", "caption": "x" * 1025}}),
        (100, interactive(asking("cta_url", display_text="x" * 21, url="https://example.com"))),
        (131009, interactive(asking("cta_url", display_text="x", url="javascript:alert(1)"))),
        (131009, interactive(asking("location_request_message", "elsewhere"))),
        (131051, TO | {"type": "hologram", "hologram": {"id": "1"}}),
    ],
)
async def test_what_meta_would_refuse_is_refused(code: int, body: Any) -> None:
    refusal = find_message_error(body, {"known"}.__contains__)
    assert refusal is not None
    assert refusal.code == code
    error = refusal.build_body("trace")["error"]
    assert error["code"] == code
    assert error["message"].startswith(f"(#{code}) ")
    assert error["error_data"]["details"]


async def test_the_graph_api_checks_who_calls(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        number = f"{service.graph}/{NUMBER_ID}"
        token = {"Authorization": f"Bearer {TOKEN}"}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            refused = await service.http.get(number, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, 190)
        proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
        asked = {"appsecret_proof": proof, "fields": "display_phone_number,quality_rating"}
        answer = await service.http.get(number, params=asked, headers=token)
        assert answer.json() == {
            "display_phone_number": "15550783881",
            "quality_rating": "GREEN",
            "id": NUMBER_ID,
        }
        assert answer.headers["facebook-api-version"] == "v25.0"
        forged = await service.http.get(number, params={"appsecret_proof": "0" * 64}, headers=token)
        assert (forged.status_code, forged.json()["error"]["code"]) == (400, 100)
        foreign = await service.http.post(f"{service.graph}/999/messages", json=TO, headers=token)
        assert foreign.json()["error"]["error_subcode"] == 33


async def test_a_message_is_marked_as_read_with_those_before_it(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        sent = [await service.write("15550100001", text="silence") for _ in range(2)]
        await service.until(lambda: len(service.values("messages")) == 2)
        marked = await service.send(status="read", message_id=sent[1]["wamid"])
        assert marked.json() == {"success": True}
        assert [m["status"] for m in await service.chat("15550100001")] == ["read", "read"]
        unknown = await service.send(status="read", message_id="wamid.unknown")
        assert unknown.json()["error"]["code"] == 131009


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:5000", True),
        ("127.9.9.9:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("192.0.2.1:5000", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_only_this_machine_is_named(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours


async def test_a_web_page_from_elsewhere_can_do_nothing(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        url = service.url + ANA + "/messages"
        hello = {"text": "Hello"}
        rebound = await service.http.get(f"{service.url}/simulator/api/chats", headers={"Host": "evil.example"})
        assert rebound.status_code == 403
        foreign = await service.http.post(url, json=hello, headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 403
        cross = await service.http.post(url, json=hello, headers={"Sec-Fetch-Site": "cross-site"})
        assert cross.status_code == 403
        simple = await service.http.post(url, content=b'{"text": "Hello"}', headers={"Content-Type": "text/plain"})
        assert simple.status_code == 415
        own = {"Origin": service.url, "Sec-Fetch-Site": "same-origin"}
        assert (await service.http.post(url, json=hello, headers=own)).status_code == 201
        policy = (await service.http.get(f"{service.url}/simulator")).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ANA + "/messages", {}),
        (ANA + "/messages", []),
        (ANA + "/messages", {"text": " "}),
        (ANA + "/messages", {"text": 5}),
        (ANA + "/messages", {"option_id": "never", "wamid": "offered"}),
        ("/simulator/api/customers/15550999999/messages", {"text": "Hello"}),
        ("/simulator/api/customers", {"name": " "}),
        ("/simulator/api/customers", {"name": "Twin", "phone": "+1 555 010 0001"}),
        ("/simulator/api/customers", {"name": "Short", "phone": "123"}),
        (ANA + "/files", {}),
    ],
)
async def test_a_request_that_makes_no_sense_is_told_so(tmp_path: Path, path: str, body: Any) -> None:
    async with run_echo_service(tmp_path) as service:
        answer = await service.http.post(service.url + path, json=body)
        assert answer.status_code == 400
        assert answer.json()["success"] is False


async def test_a_message_to_ourselves_is_refused_and_a_bad_sound_fails_later(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        refused = await service.send(to="+15550783881", text={"body": "Me"})
        assert refused.json()["error"]["code"] == 131021
        await service.write("15550100001", text="silence")
        with (tmp_path / "sound").open("w+b") as sound:
            sound.write(b"OggS")
            sound.seek(0)
            media = await service.simulator.media.save(sound, "audio/opus", "", inbound=False)
        sent = await service.send(to="+15550100001", type="audio", audio={"id": media.media_id})
        wamid = sent.json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(wamid) == ["failed"])
        assert service.values("statuses")[-1]["errors"][0]["code"] == 131053


@pytest.mark.parametrize("document", sorted(PAYLOADS.glob("responses/*.json")), ids=lambda path: path.stem)
def test_an_error_has_the_shape_of_the_collected_one(document: Path) -> None:
    theirs = json.loads(document.read_bytes())["error"]
    ours = GraphError(theirs["code"]).build_body("trace")["error"]
    assert ours.keys() - {"is_transient", "error_data"} == theirs.keys() - {"error_data"}
    assert get_title(theirs["code"]) != UNKNOWN[0]
    assert (ours["type"], ours["code"]) == (theirs["type"], theirs["code"])
