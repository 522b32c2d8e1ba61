"""What customers do with their phones, and who they are, as webhooks report it to the service."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.simulator.echo_service import NUMBER_ID, TOKEN, EchoService, run_echo_service

ANA, BEN = "15550100001", "15550100002"


async def post(service: EchoService, path: str, status: int = 200, **data: Any) -> Any:
    answer = await service.http.post(f"{service.url}/simulator/api/customers{path}", json=data)
    assert answer.status_code == status, answer.text
    return answer.json().get("data")


async def read_customer(service: EchoService, phone: str) -> dict[str, Any]:
    chats = (await service.http.get(f"{service.url}/simulator/api/chats")).json()["data"]
    customer: dict[str, Any] = next(one for one in chats["customers"] if one["phone"] == phone)
    return customer


async def read_newest(service: EchoService) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the value and the message of the newest webhook with a message."""
    values = [body["entry"][0]["changes"][0]["value"] for body in service.bodies]
    value = [one for one in values if "messages" in one][-1]
    return value, value["messages"][0]


SIMPLE = {"id", "timestamp", "type", "from", "from_user_id"}


@pytest.mark.parametrize(
    ("written", "kind", "content"),
    [
        (
            {"location": {"latitude": 51.5, "longitude": -0.12, "name": "Office"}},
            "location",
            {"latitude": 51.5, "longitude": -0.12, "name": "Office"},
        ),
        (
            {"contact": {}},
            "contacts",
            [
                {
                    "name": {"formatted_name": "Ana", "first_name": "Ana"},
                    "phones": [{"phone": f"+{ANA}", "wa_id": ANA, "type": "CELL"}],
                    "origin": "other",
                }
            ],
        ),
    ],
)
async def test_a_place_and_a_card(tmp_path: Path, written: dict[str, Any], kind: str, content: Any) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, **written)
        await service.until(lambda: len(service.values("messages")) == 1)
        _, message = await read_newest(service)
        assert message.keys() == SIMPLE | {kind}
        assert (message["type"], message[kind]) == (kind, content)


@pytest.mark.parametrize(
    ("kind", "mime_type", "expected"),
    [
        ("voice", "audio/ogg; codecs=opus", {"voice": True, "mime_type": "audio/ogg; codecs=opus"}),
        ("", "audio/mpeg", {"voice": False, "mime_type": "audio/mpeg"}),
        ("sticker", "image/webp", {"animated": False, "mime_type": "image/webp"}),
    ],
)
async def test_a_voice_note_and_a_sticker(tmp_path: Path, kind: str, mime_type: str, expected: dict[str, Any]) -> None:
    async with run_echo_service(tmp_path) as service:
        answer = await service.http.post(
            f"{service.url}/simulator/api/customers/{ANA}/files",
            files={"file": ("f", b"content", mime_type)},
            data={"kind": kind},
        )
        assert answer.status_code == 201
        await service.until(lambda: len(service.values("messages")) == 1)
        _, message = await read_newest(service)
        shown = message[message["type"]]
        assert {key: shown[key] for key in expected} == expected
        assert len(shown["sha256"]) == 44
        fetched = await service.http.get(shown["url"], headers={"Authorization": f"Bearer {TOKEN}"})
        assert fetched.content == b"content"


async def test_a_reaction_its_removal_an_edit_and_a_revoke(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        about = (await service.write(ANA, text="silence, please"))["wamid"]
        path = f"/{ANA}/messages/{about}"
        assert (await post(service, f"{path}/reaction", emoji="👍"))["reactions"] == {"customer": "👍"}
        assert (await post(service, f"{path}/reaction", emoji=""))["reactions"] == {}
        assert (await post(service, f"{path}/edit", text="silence now"))["edited"] is True
        assert (await post(service, f"{path}/revoke"))["revoked"] is True
        await service.until(lambda: len(service.values("messages")) == 5)
        given, taken, edited, revoked = service.values("messages")[1:]
        assert (given["type"], given["reaction"]) == ("reaction", {"message_id": about, "emoji": "👍"})
        assert taken["reaction"] == {"message_id": about}
        assert edited["edit"] == {
            "original_message_id": about,
            "message": {"context": {"id": about}, "type": "text", "text": {"body": "silence now"}},
        }
        assert (revoked["type"], revoked["revoke"]) == ("revoke", {"original_message_id": about})
        chat = await service.chat(ANA)
        assert [
            (one["kind"], one["text"], one["edited"], one["revoked"]) for one in chat if one["by"] == "customer"
        ] == [("text", "silence now", True, True)]
        await post(service, f"{path}/edit", 400, text="too late")
        await post(service, f"/{BEN}/messages/{about}/revoke", 400)


async def test_a_caption_is_edited_with_its_picture(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        files = {"file": ("a.png", b"\x89PNG", "image/png")}
        url = f"{service.url}/simulator/api/customers/{ANA}/files"
        wamid = (await service.http.post(url, files=files, data={"caption": "old"})).json()["data"]["wamid"]
        await post(service, f"/{ANA}/messages/{wamid}/edit", text="new")
        await service.until(lambda: len(service.values("messages")) == 2)
        whole = service.values("messages")[1]["edit"]["message"]
        assert (whole["type"], whole["image"]["caption"], whole["image"]["mime_type"]) == ("image", "new", "image/png")


async def test_the_business_reacts_and_takes_it_back(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        about = (await service.write(ANA, text="silence"))["wamid"]
        for emoji, shown in (("🙏", {"business": "🙏"}), ("", {})):
            sent = await service.send(to=f"+{ANA}", type="reaction", reaction={"message_id": about, "emoji": emoji})
            wamid = sent.json()["messages"][0]["id"]
            await service.until(lambda wamid=wamid: service.statuses(wamid) == ["sent"])  # type: ignore[misc]
            assert (await service.chat(ANA))[0]["reactions"] == shown
        lost = await service.send(to=f"+{ANA}", type="reaction", reaction={"message_id": "wamid.gone", "emoji": "🙏"})
        wamid = lost.json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(wamid) == ["failed"])
        assert service.values("statuses")[-1]["errors"][0]["code"] == 131009


ASKS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "location_request_message",
        {"name": "send_location"},
        {"location": {"latitude": 1, "longitude": 2}},
        "location_request",
    ),
    ("request_contact_info", {"name": "request_contact_info"}, {"contact": {}}, "contact_request"),
]


@pytest.mark.parametrize(("kind", "action", "answer", "shown"), ASKS)
async def test_what_is_asked_for_is_answered(
    tmp_path: Path, kind: str, action: dict[str, Any], answer: dict[str, Any], shown: str
) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="silence")
        await service.send(
            to=f"+{ANA}", type="interactive", interactive={"type": kind, "body": {"text": "Please"}, "action": action}
        )
        asked = (await service.chat(ANA))[-1]
        assert (asked["kind"], len(asked["options"])) == (shown, 1)
        await service.write(ANA, quote=asked["wamid"], **answer)
        await service.until(lambda: len(service.values("messages")) == 2)
        _, message = await read_newest(service)
        assert message["context"]["id"] == asked["wamid"]
        assert kind != "request_contact_info" or message["contacts"][0]["origin"] == "contact_request"


@pytest.mark.parametrize(
    ("content", "kind", "seen"),
    [
        ({"type": "location", "location": {"latitude": 1, "longitude": 2, "name": "X"}}, "location", {"name": "X"}),
        (
            {"type": "contacts", "contacts": [{"name": {"formatted_name": "Jo"}, "phones": [{"phone": "+15550109"}]}]},
            "contacts",
            {"name": "Jo", "phone": "15550109"},
        ),
    ],
)
async def test_the_business_sends_a_place_and_a_card(
    tmp_path: Path, content: dict[str, Any], kind: str, seen: dict[str, Any]
) -> None:
    async with run_echo_service(tmp_path) as service:
        assert (await service.send(to=f"+{ANA}", **content)).status_code == 200
        shown = (await service.chat(ANA))[-1]
        assert shown["kind"] == kind
        assert seen.items() <= shown["extra"].items()


async def test_a_customer_without_a_phone_is_written_to_by_their_user_id(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        chen = await post(service, "", 201, name="Chen", username="chen", shows="user_id")
        await service.write(chen["phone"], text="silence")
        await service.until(lambda: len(service.values("messages")) == 1)
        value, message = await read_newest(service)
        user_id = chen["user_id"]
        assert value["contacts"] == [{"profile": {"name": "Chen", "username": "chen"}, "user_id": user_id}]
        assert (message["from_user_id"], "from" in message) == (user_id, False)
        sent = (await service.send(recipient=user_id, text={"body": "Hello"})).json()
        assert sent["contacts"] == [{"input": user_id, "user_id": user_id}]
        wamid = sent["messages"][0]["id"]
        await service.until(lambda: service.statuses(wamid) == ["sent", "delivered"])
        first, second = service.values("statuses")
        assert (first["recipient_user_id"], "recipient_id" in first) == (user_id, False)
        people = [body["entry"][0]["changes"][0]["value"].get("contacts") for body in service.bodies[-2:]]
        assert [one[0]["profile"] for one in people] == [{"name": "Chen"}, {"name": "Chen", "username": "chen"}]
        assert second["recipient_user_id"] == user_id


async def test_nobody_has_this_user_id(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        sent = (await service.send(recipient="US.1", text={"body": "Hello"})).json()
        await service.until(lambda: service.statuses(sent["messages"][0]["id"]) == ["failed"])
        (status,) = service.values("statuses")
        assert (status["recipient_user_id"], "recipient_id" in status) == ("US.1", False)
        assert status["errors"][0]["code"] == 131026


async def test_a_user_id_in_to_is_silently_dropped(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        chen = await post(service, "", 201, name="Chen", shows="user_id")
        await service.write(chen["phone"], text="silence")
        sent = await service.send(to=chen["user_id"], text={"body": "Hello"})
        assert sent.status_code == 200
        after = (await service.send(recipient=chen["user_id"], text={"body": "Hello"})).json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(after) == ["sent", "delivered"])
        assert service.statuses(sent.json()["messages"][0]["id"]) == []


async def test_a_phone_vanishes_and_comes_back(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        user_ids = set()
        for shows, keys in (
            ("phone", {"from", "from_user_id"}),
            ("user_id", {"from_user_id"}),
            ("phone", {"from", "from_user_id"}),
        ):
            await post(service, f"/{ANA}/identity", shows=shows)
            before = len(service.values("messages"))
            await service.write(ANA, text="silence")
            await service.until(lambda before=before: len(service.values("messages")) > before)  # type: ignore[misc]
            _, message = await read_newest(service)
            assert {"from", "from_user_id"} & message.keys() == keys
            user_ids.add(message["from_user_id"])
        assert len(user_ids) == 1
        await post(service, f"/{ANA}/identity", 400, shows="nothing")


async def test_a_customer_gets_another_number_and_keeps_the_chat(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="silence")
        was = (await read_customer(service, ANA))["user_id"]
        moved = await post(service, f"/{ANA}/identity", phone="+1 555 010 7777")
        assert (moved["phone"], len(moved["messages"])) == ("15550107777", 1)
        await service.until(lambda: len(service.values("messages")) == 2)
        value, message = await read_newest(service)
        assert "contacts" not in value
        assert (message["from"], message["from_user_id"], message["type"]) == (ANA, was, "system")
        assert moved["user_id"] != was
        assert message["system"] == {
            "body": f"User Ana changed from {ANA} to 15550107777",
            "type": "user_changed_number",
            "wa_id": "15550107777",
            "user_id": moved["user_id"],
            "previous_user_id": was,
        }
        await service.write("15550107777", text="silence 2")
        await service.until(lambda: len(service.values("messages")) == 3)
        assert service.values("messages")[-1]["from"] == "15550107777"
        assert service.values("messages")[-1]["from_user_id"] == moved["user_id"]
        await post(service, "/15550107777/identity", 400, phone=BEN)
        await post(service, "/15550107777/identity", 400, user_id="new")  # it comes with a number alone
    async with run_echo_service(tmp_path) as service:
        chat = await service.chat("15550107777")
        assert [one["text"] for one in chat if one["by"] == "customer"] == ["silence", "silence 2"]
        assert (await read_customer(service, "15550107777"))["user_id"] == moved["user_id"]


@pytest.mark.parametrize("change", [{"phone": "+1 555 010 7777"}, {"user_id": "new"}])
async def test_of_somebody_whose_number_is_hidden_only_the_user_id_changes(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    async with run_echo_service(tmp_path) as service:
        was = (await post(service, f"/{ANA}/identity", shows="user_id"))["user_id"]
        now = (await post(service, f"/{ANA}/identity", **change))["user_id"]
        await service.until(lambda: len(service.values("messages")) == 1)
        value, message = await read_newest(service)
        assert ("contacts" in value, "from" in message) == (False, False)
        assert message["from_user_id"] == now  # already: who they were is said by previous_user_id alone
        assert message["system"] == {
            "body": f"User Ana changed from {was} to {now}",
            "type": "user_changed_user_id",
            "user_id": now,
            "previous_user_id": was,
        }
        assert ANA not in json.dumps(service.bodies)


async def test_a_quote_says_who_is_quoted(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        user_id = (await read_customer(service, ANA))["user_id"]
        own = (await service.write(ANA, text="silence"))["wamid"]
        sent = (await service.send(to=f"+{ANA}", text={"body": "Hello"})).json()["messages"][0]["id"]
        for quoted in (own, sent):
            await service.write(ANA, text="silence", quote=quoted)
        await service.until(lambda: len(service.values("messages")) == 3)
        of_own, of_ours = (message["context"] for message in service.values("messages")[1:])
        assert of_own == {"from": ANA, "from_user_id": user_id, "id": own}
        assert of_ours == {"from": "15550783881", "id": sent}


async def test_a_customer_is_removed_and_the_number_is_somebody_elses(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        files = {"file": ("a.pdf", b"%PDF", "application/pdf")}
        assert (await service.http.post(f"{service.url}/simulator/api/customers/{ANA}/files", files=files)).is_success
        was = (await read_customer(service, ANA))["user_id"]
        await service.until(lambda: len(service.values("messages")) == 1)
        address = f"{service.url}/simulator/api/customers/{ANA}"
        assert (await service.http.delete(address)).json() == {"success": True}
        assert (await service.http.delete(address)).status_code == 400
        assert list((tmp_path / "files").iterdir()) == []
        unknown = (await service.send(to=f"+{ANA}", text={"body": "Hello"})).json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(unknown) == ["failed"])
    async with run_echo_service(tmp_path) as service:
        chats = (await service.http.get(f"{service.url}/simulator/api/chats")).json()["data"]["customers"]
        assert [one["phone"] for one in chats] == [BEN]
        again = await post(service, "", 201, name="Abe", phone=ANA)
        assert again["messages"] == []
        assert again["user_id"] != was


async def test_the_stage_is_begun_anew(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path, status=503) as service:
        simulator = service.simulator
        was = (await read_customer(service, ANA))["user_id"]
        await service.write(ANA, text="never acknowledged")
        await service.until(lambda: service.refused > 0)
        await post(service, "", 201, name="Chen")
        await service.http.post(f"{service.url}/simulator/api/faults", json={"then": "lost", "where": "statuses"})
        await service.http.post(f"{service.url}/simulator/api/setup", json={"quality": "RED"})
        simulator.advance(60)
        ahead = simulator.clock()

        assert (await service.http.post(f"{service.url}/simulator/api/start-over", json={})).json() == {"success": True}

        chats = (await service.http.get(f"{service.url}/simulator/api/chats")).json()["data"]["customers"]
        assert [(one["phone"], one["name"], one["messages"]) for one in chats] == [(ANA, "Ana", []), (BEN, "Ben", [])]
        assert chats[0]["user_id"] != was
        assert (simulator.faults.list_all(), simulator.setup.quality) == ([], "GREEN")
        assert simulator.clock() >= ahead
        service.status = 200
        await service.write(ANA, text="silence")
        await service.until(lambda: bool(service.values("messages")))
        assert service.texts() == ["silence"]  # what waited to be posted is gone
    async with run_echo_service(tmp_path) as service:
        assert [one["text"] for one in await service.chat(ANA)] == ["silence"]


async def test_a_large_upload_goes_to_the_disk_and_back_with_its_name(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000  # far more than any other request may have
    async with run_echo_service(tmp_path) as service:
        files = {"file": ("Übersicht 2026.pdf", content, "application/pdf")}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        form = {"messaging_product": "whatsapp", "type": "application/pdf"}
        up = await service.http.post(f"{service.graph}/{NUMBER_ID}/media", data=form, files=files, headers=headers)
        located = (await service.http.get(f"{service.graph}/{up.json()['id']}", headers=headers)).json()
        assert located["file_size"] == len(content)
        fetched = await service.http.get(located["url"], headers=headers)
        assert fetched.content == content
        assert "filename*=UTF-8''%C3%9Cbersicht%202026.pdf" in fetched.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("mime_type", "size", "code"),
    [
        ("application/x-msdownload", 1, 100),
        ("image/webp", 512 * 1024 + 1, 131053),
        ("image/png", 5 * 1024 * 1024 + 1, 131053),
        ("image/png", 0, 100),
    ],
)
async def test_an_upload_that_may_not_be_sent_is_refused(tmp_path: Path, mime_type: str, size: int, code: int) -> None:
    async with run_echo_service(tmp_path) as service:
        answer = await service.http.post(
            f"{service.graph}/{NUMBER_ID}/media",
            data={"messaging_product": "whatsapp", "type": mime_type},
            files={"file": ("f", b"x" * size, mime_type)},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert answer.json()["error"]["code"] == code
        assert list((tmp_path / "files").iterdir()) == []


async def test_ids_of_media_do_not_live_for_ever(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        files = {"file": ("a.pdf", b"%PDF", "application/pdf")}
        url = f"{service.url}/simulator/api/customers/{ANA}/files"
        inbound = (await service.http.post(url, files=files)).json()["data"]["media"]["media_id"]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        located = (await service.http.get(f"{service.graph}/{inbound}", headers=headers)).json()
        service.simulator.advance(301)
        assert (await service.http.get(located["url"], headers=headers)).status_code == 404
        assert (await service.http.get(f"{service.graph}/{inbound}", headers=headers)).status_code == 200
        service.simulator.advance(7 * 86_400)
        gone = await service.http.get(f"{service.graph}/{inbound}", headers=headers)
        assert gone.json()["error"]["error_subcode"] == 33


async def test_only_a_file_may_be_large(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        large = b" " * (4 * 1024 * 1024 + 1)
        for path in (f"/simulator/api/customers/{ANA}/messages", f"/simulator/graph/v25.0/{NUMBER_ID}/messages"):
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            answer = await service.http.post(service.url + path, content=large, headers=headers)
            assert answer.status_code == 413
        files = {"file": ("a.bin", large, "application/octet-stream")}
        sent = await service.http.post(f"{service.url}/simulator/api/customers/{ANA}/files", files=files)
        assert sent.json()["data"]["media"]["size"] == len(large)
