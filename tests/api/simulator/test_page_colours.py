"""The simulator's page can be read by day and by night: its contrasts are measured in a real browser."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.simulator.echo_service import EchoService, run_echo_service
from tests.api.simulator.test_people import ANA, BEN, post
from tests.support.simulator_page import bubbles, phone_of, write

CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")
expect.set_options(timeout=15_000)
GROUNDS = {"light": "rgb(223, 227, 223)", "dark": "rgb(11, 20, 26)"}


async def fill_chats(service: EchoService) -> None:
    """Has everything said that looks different."""
    first = (await service.write(ANA, text="A *bold* word, `code` and https://example.com"))["wamid"]
    await service.until(lambda: len(service.texts()) == 1)
    for text in ("buttons", "list", "silence"):
        await service.write(ANA, text=text)
    await service.write(ANA, text="An answer to myself", quote=first)
    await service.write(ANA, location={"latitude": 51.5, "longitude": -0.12, "name": "Office"})
    await service.write(ANA, contact={})
    files = {"file": ("log.pdf", b"%PDF", "application/pdf")}
    await service.http.post(f"{service.url}/simulator/api/customers/{ANA}/files", files=files)
    gone = (await service.write(ANA, text="silence, gone"))["wamid"]
    await post(service, f"/{ANA}/messages/{gone}/revoke")
    await post(service, f"/{ANA}/messages/{first}/edit", text="An *edited* word, and https://example.com")
    await post(service, f"/{ANA}/messages/{first}/reaction", emoji="👍")
    await service.send(to=f"+{ANA}", type="reaction", reaction={"message_id": "wamid.unheard", "emoji": "👍"})
    await post(service, f"/{BEN}/identity", shows="user_id")
    await service.http.post(f"{service.url}/simulator/api/faults", json={"then": "lost", "where": "statuses"})


async def look(page: Page, folder: Path, name: str) -> list[str]:
    """Returns what is hard to read now."""
    await page.screenshot(path=folder / f"{name}.png")
    return [f"{name}: {line}" for line in await page.evaluate(CONTRAST)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read(tmp_path: Path, browser: Browser, scheme: Literal["light", "dark"]) -> None:
    async with run_echo_service(tmp_path / "meta") as service:
        await fill_chats(service)
        page = await browser.new_page(
            viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        await page.goto(f"{service.url}/simulator")
        ana, ben = phone_of(page, "Ana"), phone_of(page, "Ben")
        await expect(ana.get_by_text("Echo: a document")).to_be_visible()
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == GROUNDS[scheme]
        await write(ben, "silence")
        await ben.get_by_role("button", name="Back to chats").click()
        await bubbles(ana, "business").last.hover()
        hard = await look(page, tmp_path, "chats")

        await page.get_by_role("button", name="Meta").click()
        await expect(page.get_by_role("list", name="Troubles that wait")).to_contain_text("until removed")
        await ana.get_by_role("button", name="Choose a topic", exact=True).click()
        await ana.get_by_role("radio").first.check()
        await ben.get_by_role("button", name="What Ben shows").click()
        hard += await look(page, tmp_path, "sheets")

        await page.get_by_role("button", name="Add customer").click()
        adding = page.get_by_role("dialog", name="Add customer")
        await adding.get_by_role("textbox", name="Name").fill("Twin")
        await adding.get_by_role("textbox", name="Phone number").fill("nobody's")
        await adding.get_by_role("button", name="Add", exact=True).click()
        await expect(page.get_by_role("alert").filter(has_text="A phone number has")).to_be_visible()
        hard += await look(page, tmp_path, "dialog")
        assert hard == []
