"""What customers do on the page besides writing, and the panel of faults and updates, in a real browser."""

from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.api.simulator.echo_service import EchoService, run_echo_service
from tests.support.simulator_page import bubbles, phone_of, tiny_png, write

ANA, BEN = "15550100001", "15550100002"
NEWS_OF_12 = [{"type": "text", "text": "#12"}, {"type": "text", "text": "it is done"}]


async def open_page(service: EchoService, browser: Browser, complaints: list[str]) -> Page:
    page = await browser.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    await page.goto(f"{service.url}/simulator")
    await expect(phone_of(page, "Ben")).to_be_visible()  # it hears of what happens from now on
    return page


async def menu(phone: Locator, bubble: Locator, item: str) -> None:
    await bubble.hover()
    await bubble.get_by_role("button", name="More for this message").click()
    await phone.get_by_role("dialog", name="Message").get_by_role("button", name=item).click()


async def test_voice_stickers_places_and_cards_go_out(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        ana = phone_of(await open_page(service, browser, complaints), "Ana")
        for item, kind in (
            ("Voice message", "audio"),
            ("Sticker", "sticker"),
            ("Location", "location"),
            ("Contact card", "contacts"),
        ):
            await ana.get_by_role("button", name="Attach", exact=True).click()
            await ana.get_by_role("dialog", name="Attach").get_by_role("button", name=item).click()
            await expect(ana.get_by_text(f"Echo: a {kind}")).to_be_visible()
        kinds = {message["type"]: message for message in service.values("messages")}
        assert kinds["audio"]["audio"]["voice"] is True
        assert kinds["sticker"]["sticker"]["mime_type"] == "image/webp"
        await expect(ana.get_by_role("img", name="Sticker")).to_be_visible()
        await expect(bubbles(ana, "customer").last).to_contain_text("+1 555 010 0001")
        assert complaints == []


async def test_a_message_is_reacted_to_edited_and_deleted(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        ana = phone_of(await open_page(service, browser, complaints), "Ana")
        await write(ana, "A mistak")
        await expect(ana.get_by_text("Echo: A mistak", exact=True)).to_be_visible()
        first, answer = bubbles(ana, "customer").first, bubbles(ana, "business").first
        await menu(ana, answer, "❤️")
        await expect(answer.get_by_role("img", name="You reacted ❤️")).to_be_visible()
        await menu(ana, answer, "❤️")
        await expect(answer.get_by_role("img", name="You reacted")).to_have_count(0)
        await menu(ana, first, "Edit")
        field = ana.get_by_role("textbox", name="Type a message")
        await expect(field).to_have_value("A mistak")
        await field.fill("A mistake")
        await field.press("Enter")
        await expect(first).to_contain_text("A mistake")
        await expect(first).to_contain_text("Edited")
        await expect(field).to_have_value("")
        await menu(ana, first, "Delete for everyone")
        await expect(first).to_contain_text("This message was deleted")
        await service.until(lambda: len(service.values("messages")) == 5)
        kinds = [message["type"] for message in service.values("messages")]
        assert kinds == ["text", "reaction", "reaction", "edit", "revoke"]
        wamid = (await service.write(ANA, text="silence"))["wamid"]
        await service.send(to=f"+{ANA}", type="reaction", reaction={"message_id": wamid, "emoji": "🙏"})
        await expect(ana.get_by_role("img", name="Tick Support reacted 🙏")).to_be_visible()
        assert complaints == []


async def test_everything_that_a_business_sends_is_shown_and_can_be_answered(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        ben = phone_of(await open_page(service, browser, complaints), "Ben")
        await service.write(BEN, text="silence")
        to: dict[str, Any] = {"to": f"+{BEN}"}
        template = {"name": "ticket_news", "language": {"code": "en"}}
        await service.send(
            **to, type="template", template=template | {"components": [{"type": "body", "parameters": NEWS_OF_12}]}
        )
        for kind, name in (
            ("location_request_message", "send_location"),
            ("request_contact_info", "request_contact_info"),
        ):
            asked = {"type": kind, "body": {"text": f"Asking: {kind}"}, "action": {"name": name}}
            await service.send(**to, type="interactive", interactive=asked)
        link = {"display_text": "Open guide", "url": "https://example.com/guide"}
        guide = {"type": "cta_url", "body": {"text": "Read"}, "action": {"name": "cta_url", "parameters": link}}
        await service.send(**to, type="interactive", interactive=guide)
        await service.send(**to, type="location", location={"latitude": 1.5, "longitude": 2.5})
        card = [{"name": {"formatted_name": "Jo"}, "phones": [{"phone": "+15550100009"}]}]
        await service.send(**to, type="contacts", contacts=card)

        await expect(ben.get_by_text("There is news about your ticket #12: it is done")).to_be_visible()
        await expect(ben.get_by_role("link", name="Open guide")).to_have_attribute("href", "https://example.com/guide")
        await expect(ben.get_by_text("1.5, 2.5")).to_be_visible()
        await expect(ben.get_by_text("+1 555 010 0009")).to_be_visible()
        for answer in ("Show it", "Send location", "Share phone number"):
            await ben.get_by_role("button", name=answer, exact=True).click()
        await service.until(lambda: len(service.values("messages")) == 4)
        assert {message["type"] for message in service.values("messages")} == {"text", "button", "location", "contacts"}
        assert all("context" in message for message in service.values("messages")[1:])
        assert complaints == []


async def test_a_failure_says_why_and_typing_is_seen(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        page = await open_page(service, browser, complaints)
        ana = phone_of(page, "Ana")
        wamid = (await service.write(ANA, text="silence"))["wamid"]
        await service.send(status="read", message_id=wamid, typing_indicator={"type": "text"})
        await expect(ana.get_by_text("typing…")).to_be_visible()
        await expect(bubbles(ana, "customer").get_by_role("img", name="Read")).to_be_visible()
        await page.get_by_role("button", name="Meta").click()
        trouble = page.get_by_role("combobox", name="Trouble")
        await expect(trouble).to_be_focused()
        await trouble.select_option(label="Accepted, fails later: another code")
        await page.get_by_role("spinbutton", name="Error code").fill("131049")
        await page.get_by_role("button", name="Add", exact=True).press("Enter")
        await expect(page.get_by_role("list", name="Troubles that wait")).to_contain_text("131049")
        await service.send(to=f"+{ANA}", text={"body": "Hello"})
        await expect(
            ana.get_by_text("A message was not delivered: This message was not delivered to maintain")
        ).to_be_visible()
        assert complaints == []


async def test_troubles_time_and_news_are_set_by_hand(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        page = await open_page(service, browser, complaints)
        toggle = page.get_by_role("button", name="Meta")
        await toggle.press("Enter")
        panel, now = page.get_by_role("region", name="Meta"), service.simulator.clock()
        await panel.get_by_role("combobox", name="Trouble").select_option(label="Come twice")
        await panel.get_by_role("combobox", name="For").select_option(label="Ana")
        await panel.get_by_role("combobox", name="How often").select_option(label="Until removed")
        await panel.get_by_role("button", name="Add", exact=True).click()
        await expect(panel.get_by_role("listitem")).to_have_count(1)
        (fault,) = service.simulator.faults.list_all()
        assert (fault.then, fault.where, fault.phone, fault.times) == ("duplicate", "webhook", ANA, 0)
        await panel.get_by_role("button", name="Remove: Come twice").click()
        await expect(panel.get_by_text("All is well.")).to_be_visible()
        assert service.simulator.faults.list_all() == []
        before = await panel.locator("#clock").inner_text()
        await panel.get_by_role("button", name="25 hours").click()
        await expect(panel.locator("#clock")).not_to_have_text(before)
        await panel.get_by_role("combobox", name="News").select_option(label="Quality is red")
        await panel.get_by_role("button", name="Tell", exact=True).click()
        await expect(panel.get_by_text("Told.")).to_be_visible()
        assert service.simulator.clock() - now > 24 * 3_600
        assert service.simulator.setup.quality == "RED"
        await panel.press("Escape")
        await expect(panel).to_be_hidden()
        await expect(toggle).to_be_focused()
        assert complaints == []


async def test_what_a_customer_shows_is_changed_on_the_page(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        ana = phone_of(await open_page(service, browser, complaints), "Ana")
        for item, shown in (
            ("Hide the phone number", "number hidden"),
            ("Get another user id", "number hidden"),
            ("Show the phone number", "+1 555 010 0001"),
            ("Move to another number", "+1 555 010 0003"),
        ):
            await ana.get_by_role("button", name="What Ana shows").click()
            await ana.get_by_role("dialog", name="What Ana shows").get_by_role("button", name=item).click()
            await expect(ana).to_contain_text(shown)
        await write(ana, "Still me")
        await expect(ana.get_by_text("Echo: Still me")).to_be_visible()
        assert service.values("messages")[-1]["from"] == "15550100003"
        assert complaints == []


async def test_a_customer_is_removed_and_the_stage_set_anew(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        page = await open_page(service, browser, complaints)
        ana, ben = phone_of(page, "Ana"), phone_of(page, "Ben")
        await write(ben, "silence")
        for answer, left in (("Keep", 1), ("Remove, with the whole chat", 0)):
            await ana.get_by_role("button", name="What Ana shows").click()
            await ana.get_by_role("dialog", name="What Ana shows").get_by_role("button", name="Remove Ana").click()
            await ana.get_by_role("dialog", name="Remove Ana?").get_by_role("button", name=answer).click()
            await expect(ana).to_have_count(left)
        await expect(bubbles(ben, "customer")).to_have_count(1)

        await page.get_by_role("button", name="Meta").click()
        await page.get_by_role("button", name="Start over …").click()
        asked = page.get_by_role("dialog", name="Start over?")
        await asked.get_by_role("button", name="Cancel").click()
        await expect(bubbles(ben, "customer")).to_have_count(1)
        await page.get_by_role("button", name="Start over …").click()
        await asked.get_by_role("button", name="Start over", exact=True).click()
        await expect(ana).to_be_visible()
        await expect(bubbles(ben, "customer")).to_have_count(0)
        assert [line for line in complaints if "ERR_" not in line] == []


async def test_a_narrow_screen_shows_all_of_it(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        page = await open_page(service, browser, complaints)
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.get_by_role("button", name="Meta").click()
        (tmp_path / "a.png").write_bytes(tiny_png())
        ana = phone_of(page, "Ana")
        await ana.get_by_label("File to send").set_input_files(tmp_path / "a.png")
        await write(ana, "x" * 300)
        await expect(bubbles(ana, "customer").last).to_contain_text("xxx")
        widest = await page.evaluate("document.documentElement.scrollWidth")
        inside = await ana.get_by_role("log").evaluate("node => node.scrollWidth - node.clientWidth")
        assert (widest, inside) == (390, 0)
        assert complaints == []
