"""What holds for each of the desk's pages: escaping, headers, alerts at the top, and an error that stays inside."""

import html
import re

from api.web.credentials import Role
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS
from storage.alerts import Alert
from storage.statuses import AlertSeverity, FileState
from tests.api.desk.rows import add_customer_file, add_customer_message, open_ticket, raise_alert
from tests.api.desk.visitor import visitor
from tests.api.rest_service import Service

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "' onfocus=alert(1) '",
    "javascript:alert(1)", "{{7*7}}{% raw %}", "${7*7}", "</textarea><script>alert(1)</script>", "\u202egnp.exe",
    "&lt;b&gt;", "<!--", "]]>", "</bdi></title></style>",
]  # fmt: skip


async def test_what_an_operator_has_to_know(light_service: Service) -> None:
    at = light_service.clock.now
    ticket_id = await open_ticket(light_service)
    open_alerts = (
        Alert("channel", AlertSeverity.RED, "The access <token> has expired.", at),
        Alert("number:quality", AlertSeverity.YELLOW, "The quality is falling.", at),
        Alert("number:name", AlertSeverity.INFO, "The name was looked at.", at),
    )
    async with visitor(light_service, Role.VIEWER) as alex:
        assert 'class="alerts"' not in (await alex.get("/desk")).text
        for alert in open_alerts:
            await raise_alert(light_service, alert)
        for path in ("/desk", f"/desk/tickets/{ticket_id}"):
            page = (await alex.get(path)).text
            red, folded = re.findall(r'<p class="red">(.*?)</p>.*?<details>(.*?)</details>', page, re.DOTALL)[0]
            assert red.startswith("WhatsApp is stopped: <bdi>The access &lt;token&gt; has expired.</bdi> <time")
            assert "Since 1 Mar 2026, 12:00 UTC." in red
            assert ["2 warnings" in folded, "falling" in folded, "looked at" in folded] == [True] * 3
    async with visitor(light_service) as stranger:
        assert "expired" not in (await stranger.get("/desk/sign-in")).text


async def test_what_people_write_stays_text(light_service: Service) -> None:
    async with visitor(light_service, Role.AGENT) as alex:
        for text in HOSTILE:
            ticket_id = await open_ticket(light_service, name=text, description=text, issue_type_other=text)
            await light_service.execute("UPDATE ticket SET issue_type = ? WHERE id = ?", [text[:50], ticket_id])
            await alex.send(f"/desk/tickets/{ticket_id}/replies", message=text)
            draft = await alex.send(f"/desk/tickets/{ticket_id}/replies", message=text + "x" * MAX_TEXT_CHARACTERS)
            await light_service.execute("UPDATE reply SET author_name = ? WHERE ticket_id = ?", [text, ticket_id])
            await light_service.execute("UPDATE ticket SET attachment_name = ? WHERE id = ?", [text, ticket_id])
            reply_id = await add_customer_message(
                light_service, ticket_id, text, kind="note", author="meta", changed="edited"
            )
            for file_state in (FileState.STORED, FileState.FAILED):
                held = {"filename": text, "mime_type": text[:50], "reason": text, "reply_id": reply_id}
                await add_customer_file(light_service, ticket_id, file_state, **held)
            alert = Alert("template:x", AlertSeverity.RED, text, light_service.clock.now)
            await raise_alert(light_service, alert)
            for page in (
                (await alex.get(f"/desk/tickets/{ticket_id}")).text,
                (await alex.get("/desk")).text,
                draft.text,
            ):
                shown = html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
                assert shown in page
                assert "<script" not in page
                assert not re.search(r"<[^>]*\son\w+=", page)
                assert "<svg" not in page
                assert "src=x" not in page.replace("&lt;img src=x", "")
                # the direction in which it is to be read ends where it does: in attributes, fields, and isolated
                read = re.sub(r'="[^"]*"|<textarea.*?</textarea>', "", page, flags=re.DOTALL)
                assert read.count(shown) == sum(part.count(shown) for part in re.findall(r"<bdi[^>]*>[^<]*", read))


async def test_every_answer_is_protected(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    async with visitor(light_service, Role.AGENT) as alex:
        answers = [
            await alex.get(path)
            for path in (
                "/", "/desk", f"/desk/tickets/{ticket_id}", "/desk/tickets/77", "/desk/tickets/x", "/desk/", "/desk/x",
                "/desk/static/desk.css", "/desk/static/icon.svg", "/desk/static/../desk.py", "/desk/static/%2e%2e%2fx",
            )
        ]  # fmt: skip
        answers += [await alex.send(f"/desk/tickets/{ticket_id}/replies", message="x"), await alex.post("/desk", {})]
        answers += [await alex.post("/desk/sign-out", {}), await alex.send("/desk/sign-out")]
        answers += [await alex.get("/desk/sign-in"), await alex.sign_in("x"), await alex.get("/desk")]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [303, 200, 200, 404, 404, 404, 404, 200, 200, 404, 404, 303, 405, 403, 303, 200, 401, 303]
    for answer in answers:
        policy = {part.strip() for part in answer.headers["content-security-policy"].split(";")}
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} < policy
        assert "unsafe" not in str(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control") for name in answer.headers)
        if "text/html" in answer.headers["content-type"] and answer.status_code in (200, 401, 403, 404):
            assert {"style-src 'self'", "img-src 'self'", "form-action 'self'"} < policy
            assert not re.search(r"<script|<style|\sstyle=|https?://", answer.text)


async def test_what_breaks_inside_stays_inside(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    async with visitor(light_service, Role.AGENT) as alex:
        for table in ("reply", "agent"):
            await light_service.execute(f"ALTER TABLE {table} RENAME TO gone_{table}")
            broken = await alex.get(f"/desk/tickets/{ticket_id}")
            assert (broken.status_code, broken.headers["content-type"]) == (500, "text/html; charset=utf-8")
            assert "This did not work" in broken.text
            assert table not in broken.text
