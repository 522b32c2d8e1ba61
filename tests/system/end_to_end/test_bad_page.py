"""Bad input 43 on the simulator's page, in a real browser: what customers and the service say is shown letter by
letter, and none of it becomes a part of the page.
"""

from pathlib import Path
from typing import Any

from playwright.async_api import Browser, expect

from tests.api.simulator.echo_service import run_echo_service
from tests.support.simulator_page import phone_of

HOSTILE = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>', "{{7*7}} ${7*7}",
           "javascript:alert(1)", "<b onclick=alert(1)>*b*", "</textarea><iframe src=javascript:alert(1)>"]  # fmt: skip
SHORT = "<i onload=alert(1)>"
NAME = "<img src=x onerror=alert(1)>"
PHONE = "15550107777"


async def test_bad_input_43_markup_on_the_page(tmp_path: Path, browser: Browser) -> None:
    complaints: list[str] = []
    async with run_echo_service(tmp_path) as service:
        added = await service.http.post(f"{service.url}/simulator/api/customers", json={"name": NAME, "phone": PHONE})
        assert added.status_code == 201
        for text in HOSTILE:
            await service.write(PHONE, text=text)
            await service.until(lambda text=text: service.texts()[-1:] == [text])  # type: ignore[misc]
        await service.write(PHONE, option_id=SHORT, title=SHORT)
        written: dict[str, Any] = {"file": (f"{SHORT}.html", b"<script>alert(1)</script>", "text/html")}
        await service.http.post(
            f"{service.url}/simulator/api/customers/{PHONE}/files", files=written, data={"caption": HOSTILE[0]}
        )
        rows = [{"id": f"{SHORT}{at}", "title": SHORT + str(at), "description": SHORT} for at in range(3)]
        action = {"button": SHORT, "sections": [{"title": SHORT, "rows": rows}]}
        buttons = [{"type": "reply", "reply": {"id": SHORT, "title": SHORT}}]
        for kind, acts in (("list", action), ("button", {"buttons": buttons})):
            shown = {"type": kind, "body": {"text": HOSTILE[1]}, "action": acts}
            sent = await service.send(to=f"+{PHONE}", type="interactive", interactive=shown)
            assert sent.status_code == 200, sent.text

        page = await browser.new_page()
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
        await page.goto(f"{service.url}/simulator")
        phone = phone_of(page, NAME)
        for text in HOSTILE[:5]:
            await expect(phone.get_by_text(text).first).to_be_visible()
            await expect(phone.get_by_text(f"Echo: {text}").first).to_be_visible()
        await phone.get_by_role("button", name=SHORT, exact=True).first.click()
        await expect(phone.get_by_role("radio", name=f"{SHORT}2")).to_be_visible()
        made = "script:not([src]), img[onerror], svg[onload], iframe, [onclick], [onload], a[href^=javascript]"
        await expect(page.locator(made)).to_have_count(0)
        assert complaints == []
