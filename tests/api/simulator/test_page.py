"""Two customers on the page of phones, in a real browser, against a service that echoes."""

from pathlib import Path

from playwright.async_api import Browser, expect

from tests.api.simulator.echo_service import run_echo_service
from tests.support.simulator_page import phone_of, tiny_png, write


async def test_two_customers_chat_at_once_and_find_all_of_it_again(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        page = await browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
        await page.goto(f"{service.url}/simulator")
        ana, ben = phone_of(page, "Ana"), phone_of(page, "Ben")

        await write(ana, "list")
        await write(ben, "buttons")
        await ana.get_by_role("button", name="Choose a topic", exact=True).click()
        sheet = ana.get_by_role("dialog", name="Choose a topic")
        await expect(sheet.get_by_role("button", name="Send choice")).to_be_disabled()
        await sheet.get_by_role("radio", name="Topic 1").check()
        await sheet.get_by_role("button", name="Send choice").click()
        await expect(sheet).to_have_count(0)
        await ben.get_by_role("button", name="Change", exact=True).click()
        await expect(ana.get_by_text("You chose Topic 1 (r1)")).to_be_visible()
        await expect(ben.get_by_text("You chose Change (b1)")).to_be_visible()

        first = ben.get_by_role("article").first
        await first.hover()
        await first.get_by_role("button", name="Reply to this message").click()
        await expect(ben.get_by_role("group", name="Quoted message")).to_contain_text("buttons")
        await write(ben, "About *this* one <b>bold</b>")
        quoting = ben.locator('[data-by="customer"]').last
        await expect(quoting.get_by_role("button", name="In reply to You: buttons")).to_be_visible()
        await expect(quoting.locator("strong")).to_have_text("this")
        await expect(quoting).to_contain_text("<b>bold</b>")
        await service.until(lambda: "About *this* one <b>bold</b>" in service.texts())
        assert service.values("messages")[-1]["context"]["from"] == "15550100002"

        (tmp_path / "printer.png").write_bytes(tiny_png())
        await ana.get_by_label("File to send").set_input_files(tmp_path / "printer.png")
        await write(ana, "The printer")
        await expect(ana.get_by_role("img", name="printer.png")).to_be_visible()
        await expect(ana.get_by_text("Echo: a image")).to_be_visible()
        assert service.values("messages")[-1]["image"]["caption"] == "The printer"
        (tmp_path / "log.pdf").write_bytes(b"%PDF-1.7")
        await ana.get_by_label("File to send").set_input_files(tmp_path / "log.pdf")
        await ana.get_by_role("button", name="Send message").click()
        await expect(ana.get_by_role("link", name="log.pdf")).to_be_visible()
        await expect(ana.get_by_text("Echo: a document")).to_be_visible()

        for phone in (ana, ben):
            await expect(phone.get_by_role("img", name="Read")).to_have_count(
                await phone.get_by_role("article").count()
            )
        wamids = [m["wamid"] for m in await service.chat("15550100002") if m["by"] == "business"]
        for wamid in wamids:
            await service.until(lambda wamid=wamid: service.statuses(wamid)[-1:] == ["read"])  # type: ignore[misc]
        before = [await phone.get_by_role("log").inner_text() for phone in (ana, ben)]
        await page.reload()
        await expect(ana.get_by_role("article")).to_have_count(8)
        await expect(ben.get_by_role("article")).to_have_count(6)
        assert [await phone.get_by_role("log").inner_text() for phone in (ana, ben)] == before
        port = int(service.url.rpartition(":")[2])

    async with run_echo_service(tmp_path, port=port):
        await expect(page.get_by_role("status").filter(has_text="Reconnecting")).to_be_hidden()
        await write(ana, "Still there?")
        await expect(ana.get_by_text("Echo: Still there?")).to_be_visible()
        await expect(ana.get_by_role("article")).to_have_count(10)
        assert [line for line in complaints if "ERR_" not in line] == []


async def test_a_chat_that_is_not_open_stays_unread(tmp_path: Path, browser: Browser) -> None:
    async with run_echo_service(tmp_path) as service:
        page = await browser.new_page()
        await page.goto(f"{service.url}/simulator")
        ben = phone_of(page, "Ben")
        await write(ben, "silence")
        await ben.get_by_role("button", name="Back to chats").click()
        wamid = (await service.send(to="+15550100002", text={"body": "News"})).json()["messages"][0]["id"]
        await ben.get_by_role("button", name="Open chat with Tick Support, 1 unread").click()
        await expect(ben.get_by_text("News")).to_be_visible()
        await service.until(lambda: service.statuses(wamid) == ["sent", "delivered", "read"])


async def test_a_customer_can_be_added_and_writes_in_their_own_script(tmp_path: Path, browser: Browser) -> None:
    async with run_echo_service(tmp_path) as service:
        page = await browser.new_page()
        await page.goto(f"{service.url}/simulator")
        await page.get_by_role("button", name="Add customer").click()
        await page.get_by_role("textbox", name="Name").fill("Dina")
        number, add = (
            page.get_by_role("textbox", name="Phone number"),
            page.get_by_role("button", name="Add", exact=True),
        )
        for wrong in ("next to the door", "+1 555 010 0001"):
            await number.fill(wrong)
            await add.click()
        await expect(page.get_by_text("Another customer has this number.")).to_be_visible()
        await number.fill("")
        await add.click()
        dina = phone_of(page, "Dina")
        field = dina.get_by_role("textbox", name="Type a message")
        await field.fill("مرحبا")
        await field.press("Shift+Enter")
        await field.press_sequentially("2")
        await field.press("Enter")
        await service.until(lambda: service.texts() == ["مرحبا\n2"])
        await expect(dina.get_by_text("Echo: مرحبا")).to_be_visible()
        assert service.values("messages")[0]["from"] == "15550100003"
