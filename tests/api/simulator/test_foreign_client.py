"""A client of Meta's API that others wrote, pywa, takes the simulator for Meta: it sends, uploads, reads webhooks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pywa_async.client import WhatsApp
from pywa_async.errors import WhatsAppError
from pywa_async.types.callback import Button

from tests.api.simulator.echo_service import NUMBER_ID, SECRET, TOKEN, EchoService, run_echo_service
from tests.api.simulator.test_people import ANA, post, read_customer

WABA = "102290129340398"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


class AtTheSimulator(httpx.AsyncHTTPTransport):
    """Leads what is meant for Meta's host to the simulator; the client knows no other address."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = httpx.URL(url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "graph.facebook.com":
            path = b"/simulator/graph" + request.url.raw_path
            request.url = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port, raw_path=path)
            request.headers["Host"] = f"{self._url.host}:{self._url.port}"
        return await super().handle_async_request(request)


@asynccontextmanager
async def run_with_client(folder: Path) -> AsyncIterator[tuple[EchoService, Any]]:
    """The simulator, and the client with the credentials for it."""
    async with run_echo_service(folder) as service, httpx.AsyncClient(transport=AtTheSimulator(service.url)) as session:
        client = WhatsApp(
            NUMBER_ID,
            TOKEN,
            session=session,
            server=None,
            waba_id=WABA,
            app_secret=SECRET,
            skip_duplicate_updates=False,
            api_version="25.0",
        )
        yield service, client


async def read_webhooks(service: EchoService, client: Any, count: int) -> None:
    """Hands so many webhooks to the client, which calls its handlers."""
    await service.until(lambda: len(service.posts) >= count)
    for body, signature in service.posts[:count]:
        assert await client.webhook_update_validator(body, signature) is None
        assert await client.webhook_update_handler(body) == ("ok", 200)


async def test_it_sends(tmp_path: Path) -> None:
    async with run_with_client(tmp_path) as (service, client):
        user_id = (await read_customer(service, ANA))["user_id"]
        await service.write(ANA, text="silence")
        await service.until(lambda: service.texts() == ["silence"])
        asked = service.values("messages")[0]["id"]

        await client.send_message(to=ANA, text="Hello", reply_to_message_id=asked)
        offered = [Button("Yes", "yes"), Button("No", "no")]
        await client.send_message(to=user_id, text="Well?", buttons=offered)
        await client.send_reaction(to=ANA, message_id=asked, emoji="👍")
        await client.send_location(to=ANA, latitude=51.5, longitude=-0.12, name="Office")
        await client.mark_message_as_read(asked)
        with pytest.raises(WhatsAppError) as refused:
            await client.send_message(to="abc", text="Hello")
        assert refused.value.code == 100

        chat = [message for message in await service.chat(ANA) if message["by"] == "business"]
        assert [(message["kind"], message["text"]) for message in chat] == [
            ("text", "Hello"),
            ("buttons", "Well?"),
            ("location", ""),
        ]
        assert chat[0]["quote"] == asked


async def test_it_uploads_and_makes_qr_codes(tmp_path: Path) -> None:
    async with run_with_client(tmp_path) as (service, client):
        await service.write(ANA, text="silence")
        uploaded = await client.upload_media(media=PNG, mime_type="image/png", filename="a.png")
        located = await client.get_media_url(uploaded.id)
        assert (located.mime_type, located.file_size) == ("image/png", len(PNG))
        await client.send_image(to=ANA, image=uploaded, caption="Look")
        assert (await service.chat(ANA))[-1]["media"]["size"] == len(PNG)
        code = await client.create_qr_code(prefilled_message="Hi", image_type="SVG")
        [listed] = await client.get_qr_codes(image_type="PNG")
        assert (listed.code, listed.prefilled_message) == (code.code, "Hi")
        assert listed.qr_image_url.endswith(f"{code.code}.png")
        assert (await client.get_qr_codes())[0].qr_image_url is None


async def test_it_reads_what_customers_and_statuses_say(tmp_path: Path) -> None:
    seen: list[Any] = []
    async with run_with_client(tmp_path) as (service, client):
        for hear in (
            client.on_message,
            client.on_message_status,
            client.on_phone_number_change,
            client.on_template_status_update,
        ):
            hear(lambda _, update: seen.append(update))
        ana = await read_customer(service, ANA)
        await service.write(ANA, text="silence")
        await service.until(lambda: len(service.posts) == 1)
        sent = (await service.send(to=f"+{ANA}", text={"body": "Hello"})).json()["messages"][0]["id"]
        await service.until(lambda: service.statuses(sent) == ["sent", "delivered"])
        files = {"file": ("a.png", PNG, "image/png")}
        await service.http.post(f"{service.url}/simulator/api/customers/{ANA}/files", files=files)
        await service.until(lambda: len(service.posts) >= 4)
        moved = await post(service, f"/{ANA}/identity", phone="+1 555 010 7777")

        await read_webhooks(service, client, 5)

        text, *statuses, picture, change = seen
        assert (text.text, text.from_user.bsuid, text.from_user.wa_id) == ("silence", ana["user_id"], ANA)
        assert [status.status.value for status in statuses] == ["sent", "delivered"]
        assert {status.from_user.bsuid for status in statuses} == {ana["user_id"]}
        assert picture.image.url.startswith(f"{service.graph}/files/{picture.image.id}?")
        assert (change.old_wa_id, change.new_wa_id, change.new_user_id) == (ANA, "15550107777", moved["user_id"])
