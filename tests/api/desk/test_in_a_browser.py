"""A day of an agent at the desk, in a real browser."""

from playwright.async_api import Browser, expect

from api.web.credentials import Role
from tests.api.desk.rows import add_customer_message, open_ticket
from tests.api.desk.visitor import PASSWORD, hire
from tests.api.rest_service import PHONE, Service
from tests.support.simulator_page import tiny_png


async def test_a_day_at_the_desk(light_service: Service, browser: Browser) -> None:
    await light_service.customer()
    hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>" + "W" * 500
    ticket_id = await open_ticket(light_service, mobile=PHONE, description=hostile, issue_title="Printer on fire")
    await add_customer_message(light_service, ticket_id, "It still burns.")
    email = await hire(light_service, Role.AGENT)
    page = await browser.new_page(viewport={"width": 400, "height": 800})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "401" not in line.text else None)
    page.on("dialog", lambda dialog: complaints.append(dialog.message))

    async def sign_in(password: str) -> None:
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in").click()

    await page.goto(f"http://127.0.0.1:{light_service.port}/desk/tickets/{ticket_id}")
    await sign_in("wrong")
    await expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    await sign_in(PASSWORD)
    await expect(page.get_by_role("heading", name="Printer on fire")).to_be_visible()
    await page.get_by_role("link", name="← Tickets").click()
    await page.get_by_role("link", name=f"Ticket {ticket_id}").click()
    await expect(page.get_by_role("article").first).to_contain_text(hostile)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400

    await page.get_by_label("Answer").fill("Pull the plug.\nWe are coming.")
    await page.get_by_role("button", name="Quote").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("form blockquote")).to_contain_text("It still burns.")
    await expect(page.get_by_label("Answer")).to_have_value("Pull the plug.\nWe are coming.")
    await page.get_by_label("Files").set_input_files(
        {"name": "plug.png", "mimeType": "image/png", "buffer": tiny_png()}
    )
    await page.get_by_role("button", name="Send answer").click()
    await expect(page.get_by_role("article").last).to_contain_text("Queued")
    await expect(page.get_by_role("article").last.locator("blockquote")).to_contain_text("It still burns.")
    shown = page.get_by_role("img", name="plug.png")
    await shown.scroll_into_view_if_needed()
    await expect(shown).to_have_js_property("naturalWidth", 2)
    await page.get_by_text("React", exact=True).click()
    await page.get_by_role("button", name="👍").click()
    await expect(page.locator(".reaction")).to_contain_text("👍")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    await page.get_by_label("Status").select_option("In progress")
    await page.get_by_role("button", name="Set status").click()
    await expect(page.locator(".headline .status")).to_have_text("In progress")
    await expect(page.get_by_role("article").last).to_contain_text("We are coming.")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in to the desk")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Sign in to the desk")).to_be_visible()
    assert complaints == []
    sent = [row["message"] for row in await light_service.read_outbox()]
    assert (sent[1]["caption"], sent[2]["emoji"]) == ("Pull the plug.\nWe are coming.", "👍")
