"""What the simulator promises the service: Meta's answers, Meta's webhooks, and nothing forgotten."""

import time
from pathlib import Path

from bot.whatsapp.graph.client import Accepted, GraphClient, GraphSettings, open_http
from bot.whatsapp.messages.build import build_body
from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, run_echo_service

ANA, BEN = "15550100001", "15550100002"


async def test_a_message_is_answered_and_its_statuses_come_in_order(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        written = await service.write(ANA, text="Hi / café 👍")
        await service.until(lambda: len(service.values("statuses")) == 2)
        answer = next(m for m in await service.chat(ANA) if m["by"] == "business")
        assert (answer["text"], answer["quote"]) == ("Echo: Hi / café 👍", written["wamid"])
        assert service.statuses(answer["wamid"]) == ["sent", "delivered"]

        await service.http.post(f"{service.url}/simulator/api/customers/{ANA}/open", json={})
        await service.until(lambda: service.statuses(answer["wamid"]) == ["sent", "delivered", "read"])
        assert await service.chat(BEN) == []


async def test_what_the_service_sends_along_comes_back_with_each_status(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="silence")
        await service.until(lambda: service.texts() == ["silence"])
        user_id = service.values("messages")[0]["from_user_id"]
        sent = await service.send(to=f"+{ANA}", text={"body": "Hello"}, biz_opaque_callback_data="row-7")
        wamid = sent.json()["messages"][0]["id"]
        assert sent.json() == {
            "messaging_product": "whatsapp",
            "contacts": [{"input": f"+{ANA}", "wa_id": ANA, "user_id": user_id}],
            "messages": [{"id": wamid}],
        }
        await service.until(lambda: len(service.statuses(wamid)) == 2)
        assert {status["biz_opaque_callback_data"] for status in service.values("statuses")} == {"row-7"}
        assert {status["recipient_id"] for status in service.values("statuses")} == {ANA}
        assert {status["recipient_user_id"] for status in service.values("statuses")} == {user_id}


async def test_the_services_own_client_is_understood(tmp_path: Path) -> None:
    options = [{"option_id": f"o{n}", "label": f"Option {n}", "description": ""} for n in range(3)]
    offers: list[dict[str, object]] = [
        {"type": "text", "text": "Hello"},
        {"type": "buttons", "text": "Well?", "options": options},
        {"type": "list", "text": "Well?", "button": "Choose", "options": options},
    ]
    async with run_echo_service(tmp_path) as service, open_http() as http:
        await service.write(ANA, text="silence")
        await service.until(lambda: service.texts() == ["silence"])
        client = GraphClient(GraphSettings(service.graph, NUMBER_ID, TOKEN, SECRET), http)
        for number, offer in enumerate(offers):
            outcome = await client.send(build_body(offer, to=ANA, opaque=str(number)))
            assert isinstance(outcome, Accepted), outcome
        assert [m["kind"] for m in await service.chat(ANA)][1:] == ["text", "buttons", "list"]


async def test_outside_the_window_a_message_is_accepted_and_then_fails(tmp_path: Path) -> None:
    offset = 0.0
    async with run_echo_service(tmp_path, clock=lambda: time.time() + offset) as service:
        await service.write(ANA, text="silence")
        await service.until(lambda: service.texts() == ["silence"])
        offset = 24 * 3_600 + 1
        sent = await service.send(to=f"+{ANA}", text={"body": "Still there?"})
        assert sent.status_code == 200
        await service.until(lambda: len(service.values("statuses")) == 1)
        failed = service.values("statuses")[0]
        assert (failed["status"], failed["errors"][0]["code"]) == ("failed", 131047)


async def test_a_number_that_nobody_has_is_undeliverable(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        assert (await service.send(to="+15550199999", text={"body": "Hello"})).status_code == 200
        await service.until(lambda: len(service.values("statuses")) == 1)
        assert service.values("statuses")[0]["errors"][0]["code"] == 131026


async def test_a_webhook_is_posted_until_it_is_taken_and_in_order(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path, status=503) as service:
        for number in range(5):
            await service.write(ANA, text=f"silence {number}")
        await service.write(BEN, text="Ben")
        await service.until(lambda: service.refused >= 4)
        assert [message["status"] for message in await service.chat(ANA)] == ["sent"] * 5
        service.status = 200
        await service.until(lambda: len(service.values("messages")) == 6)
        assert [text for text in service.texts() if text != "Ben"] == [f"silence {n}" for n in range(5)]


async def test_a_restart_keeps_chats_files_and_what_was_not_yet_told(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path, status=503) as service:
        added = await service.http.post(f"{service.url}/simulator/api/customers", json={"name": "Chen"})
        chen = added.json()["data"]["phone"]
        assert chen == "15550100003"
        await service.write(ANA, text="silence")
        files = {"file": ("report.pdf", b"%PDF-1.7 a report", "application/pdf")}
        await service.http.post(f"{service.url}/simulator/api/customers/{chen}/files", files=files)
        await service.until(lambda: service.refused >= 2)
    with (tmp_path / "chats.jsonl").open("a") as log:
        log.write('{"put": "message", "mess')  # a process that died in the middle of a line

    async with run_echo_service(tmp_path) as service:
        await service.until(lambda: len(service.values("messages")) == 2)
        assert service.texts()[0] in {"silence", ""}
        document = next(m for m in service.values("messages") if m["type"] == "document")
        assert document["document"]["filename"] == "report.pdf"
        await service.until(lambda: len(service.values("statuses")) == 2)
        located = await service.http.get(
            f"{service.graph}/{document['document']['id']}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert (located.json()["mime_type"], located.json()["file_size"]) == ("application/pdf", 17)
        url = located.json()["url"]
        assert (await service.http.get(url)).status_code == 401
        fetched = await service.http.get(url, headers={"Authorization": f"Bearer {TOKEN}"})
        assert fetched.content == b"%PDF-1.7 a report"

    async with run_echo_service(tmp_path) as service:
        chat = await service.chat(chen)
        assert [(m["by"], m["kind"]) for m in chat] == [("customer", "document"), ("business", "text")]
        assert chat[0]["status"] == "read"
        assert service.bodies == []


async def test_a_status_that_was_under_way_is_told_after_a_restart(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path, sent_after_seconds=3_600) as service:
        await service.write(ANA, text="silence")
        await service.until(lambda: service.texts() == ["silence"])
        sent = await service.send(to=f"+{ANA}", text={"body": "Hello"})
        wamid = sent.json()["messages"][0]["id"]
    async with run_echo_service(tmp_path) as service:
        await service.until(lambda: service.statuses(wamid) == ["sent", "delivered"])


async def test_taps_name_the_option_and_the_message_it_stood_in(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        await service.write(ANA, text="list")
        await service.until(lambda: len(service.values("statuses")) == 2)
        offered = (await service.chat(ANA))[-1]
        await service.write(ANA, wamid=offered["wamid"], option_id="r1")
        await service.write(ANA, wamid=offered["wamid"], option_id="forged", title="Never offered")
        await service.until(lambda: len(service.values("messages")) == 3)
        first, forged = service.values("messages")[1:]
        assert first["context"] == {"from": "15550783881", "id": offered["wamid"]}
        row = {"id": "r1", "title": "Topic 1", "description": "What topic 1 is about"}
        assert first["interactive"] == {"type": "list_reply", "list_reply": row}
        assert forged["interactive"]["list_reply"]["id"] == "forged"


async def test_media_goes_up_and_away_again(tmp_path: Path) -> None:
    async with run_echo_service(tmp_path) as service:
        token = {"Authorization": f"Bearer {TOKEN}"}
        form = {"messaging_product": "whatsapp", "type": "image/png"}
        picture = {"file": ("a.png", b"\x89PNG", "image/png")}
        media = f"{service.graph}/{NUMBER_ID}/media"
        media_id = (await service.http.post(media, data=form, files=picture, headers=token)).json()["id"]
        await service.write(ANA, text="silence")
        await service.send(to=f"+{ANA}", type="image", image={"id": media_id, "caption": "Look"})
        await service.until(lambda: len(service.values("statuses")) == 2)
        shown = (await service.chat(ANA))[-1]
        assert (shown["kind"], shown["text"], shown["media"]["media_id"]) == ("image", "Look", media_id)
        assert (await service.http.delete(f"{service.graph}/{media_id}", headers=token)).json() == {"success": True}
        assert (await service.http.get(f"{service.graph}/{media_id}", headers=token)).status_code == 400
