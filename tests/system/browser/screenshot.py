"""Takes docs/simulator.png (`make screenshot`): two customers in mid-conversation, in the real demo and browser."""

import asyncio
import sys
from contextlib import closing
from pathlib import Path

import httpx
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.support.demo_process import Demo
from tests.support.places import ROOT
from tests.support.servers import program
from tests.support.simulator_page import attach, bubbles, open_browser, phone_of, pick, quote, tap, write

TARGET = ROOT / "docs" / "simulator.png"
SIZE = ViewportSize(width=930, height=800)
SCALE = 1.5
# What Ana holds her phone at: the box that makes the Wi-Fi.
LAMPS = ("#3fd06a", "#3fd06a", "#ff4136", "#3fd06a")
BOX = (
    '<div id="photo" style="position:relative;width:480px;height:190px;overflow:hidden;'
    'background:linear-gradient(#e9e2d6 0 128px,#b98d5f 128px,#8f673f)">'
    '<div style="position:absolute;left:70px;top:52px;width:340px;height:96px;border-radius:22px 22px 12px 12px;'
    'background:linear-gradient(#fdfdfd,#cfd5da);box-shadow:0 16px 22px #0006">'
    '<div style="display:flex;justify-content:center;gap:44px;padding-top:42px">'
    + "".join(
        f'<i style="width:13px;height:13px;border-radius:50%;background:{lamp};box-shadow:0 0 16px 4px {lamp}"></i>'
        for lamp in LAMPS
    )
    + "</div></div></div>"
)


async def take_photo(browser: Browser, path: Path) -> None:
    page = await browser.new_page()
    await page.set_content(BOX)
    await page.locator("#photo").screenshot(path=path)
    await page.close()


async def play(page: Page, demo: Demo, photo: Path) -> None:
    ana, ben = phone_of(page, "Ana"), phone_of(page, "Ben")
    await write(ana, "Hi")
    await pick(ana, "Choose a topic", "Network")
    await expect(bubbles(ana, "business").last).to_contain_text("Tell us what is happening")
    await write(ana, "The Wi-Fi in the meeting room drops every few minutes.")
    await tap(ana, "Send")
    await expect(bubbles(ana, "business").last).to_contain_text("Done: your ticket is")
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {demo.key}"}) as agent:
        moved = await agent.put(f"{demo.url}/api/tickets/1/status", json={"status": "in_progress"})
        asked = {"ticket_id": 1, "message": "Which lamps are on at the box?"}
        replied = await agent.post(f"{demo.url}/api/replies", json=asked)
        moved.raise_for_status()
        replied.raise_for_status()
    await expect(bubbles(ana, "business").last).to_contain_text("Which lamps")
    await quote(bubbles(ana, "business").last)
    await attach(ana, photo)
    await write(ana, "The third one is red")
    await expect(bubbles(ana, "business").last).to_contain_text("that is added to your ticket")

    await write(ben, "My laptop does not start since this morning")
    await pick(ben, "Choose a topic", "Hardware")
    await expect(bubbles(ben, "business").last).to_contain_text("Please check")
    for phone in (ana, ben):
        unread = phone.locator('article:not([data-status="read"])[data-by="business"]')
        await expect(unread).to_have_count(0)
    # What was hovered over or tapped last is not to stand out.
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement.blur()")


async def main(target: Path) -> None:
    with closing(Demo()) as demo:
        demo.start()
        async with open_browser(program("chromium", "chromium-browser", "google-chrome"), "--lang=en-GB") as browser:
            photo = demo.folder / "box.png"
            await take_photo(browser, photo)
            page = await browser.new_page(viewport=SIZE, device_scale_factor=SCALE, reduced_motion="reduce")
            await page.goto(f"{demo.url}/simulator")
            await play(page, demo, photo)
            await page.screenshot(path=target)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET))
