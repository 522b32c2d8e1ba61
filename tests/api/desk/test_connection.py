"""The desk's page about the connection: what is wrong, and what an admin does about it."""

import json
from datetime import timedelta

from api.web.credentials import Role
from storage import alerts, meta_snapshots, templates
from storage.alerts import Alert
from storage.sql.database import Tx
from storage.statuses import AlertSeverity
from storage.templates import NoticeAssignment
from tests.api.desk.rows import raise_alert
from tests.api.desk.visitor import visitor
from tests.api.rest_service import NUMBER, PHONE, Service

PAGE = "/desk/whatsapp"
BUTTON = "Try now</button>"
HOSTILE = "The account is \u202elocked</bdi><script>alert(1)</script>"
SHOWN = "<bdi>The account is \u202elocked&lt;/bdi&gt;&lt;script&gt;alert(1)&lt;/script&gt;</bdi>"


async def test_a_stopped_channel_is_tried_when_an_admin_says_so(service: Service) -> None:
    await raise_alert(service, Alert("channel", AlertSeverity.RED, HOSTILE, service.clock.now - timedelta(minutes=3)))
    async with visitor(service, Role.ADMIN) as ada, visitor(service, Role.AGENT) as alex:
        tickets = (await alex.get("/desk")).text
        assert f"WhatsApp is stopped: {SHOWN}" in tickets
        assert f'href="{PAGE}">What to do</a>' in tickets
        seen = (await alex.get(PAGE)).text
        assert ("Stopped</span>" in seen, SHOWN in seen, BUTTON in seen) == (True, True, False)
        assert "Since 1 Mar 2026, 11:57 UTC." in seen
        assert (await alex.send(f"{PAGE}/try-now")).status_code == 403
        assert BUTTON in (await ada.get(PAGE)).text

        done = await ada.send(f"{PAGE}/try-now")

        assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?tried=1")
        trying = (await ada.get(done.headers["location"])).text
        assert "Trying</span>" in trying
        assert (f'content="4; url={PAGE}"' in trying, BUTTON in trying) == (True, False)
        await raise_alert(service, Alert("channel", AlertSeverity.RED, "It still is.", service.clock.now))
        refused = (await ada.get(done.headers["location"])).text
        assert ("Stopped</span>" in refused, "refresh" in refused, BUTTON in refused) == (True, False, True)
    rows = await service.rows("SELECT actor FROM audit WHERE action = 'channel.try'")
    assert [tuple(row) for row in rows] == [("Alex admin (admin@example.com)",)]


async def test_what_is_known_of_the_number_and_of_templates(service: Service) -> None:
    now = service.clock.now
    known = {"number": "+1 555-000-1234", "name": "Tick \u202eDesk", "quality": "GREEN", "status": "CONNECTED"}

    async def write(tx: Tx) -> None:
        await meta_snapshots.claim(tx, NUMBER, now, timedelta(0))
        await meta_snapshots.write(tx, NUMBER, json.dumps(known))
        await alerts.raise_alert(tx, Alert("number:quality", AlertSeverity.YELLOW, "It is falling.", now))
        await templates.save_assignment(tx, NoticeAssignment("resolved", "en", "ticket_resolved", "en", "{}", now))

    async with visitor(service, Role.VIEWER) as vic:
        assert "Nothing heard yet</span>" in (await vic.get(PAGE)).text
        await service.resources.database.run(write)
        await service.customer()
        await service.data("POST", "/api/whatsapp/send", {"phoneNumber": PHONE, "message": "Hello"})
        page = (await vic.get(PAGE)).text
        for part in (
            "<bdi>+1 555-000-1234</bdi>", "<bdi>Tick \u202eDesk</bdi>", "<bdi>Green</bdi>", "<bdi>It is falling.</bdi>",
            "<bdi>ticket_resolved</bdi>",
            '(en)</span> <span class="state failed"><bdi>The template ', "Waiting to go out</dt><dd>1</dd>",
            'src="/api/whatsapp/qr?format=svg"',
        ):  # fmt: skip
            assert part in page, part
        picture = await vic.get("/api/whatsapp/qr?format=svg")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")


async def test_the_doctor_is_at_the_desk_too(light_service: Service) -> None:
    await raise_alert(light_service, Alert("channel", AlertSeverity.RED, HOSTILE, light_service.clock.now))
    async with visitor(light_service, Role.ADMIN) as ada:
        assert f'href="{PAGE}/doctor"' in (await ada.get(PAGE)).text
        page = (await ada.get(f"{PAGE}/doctor")).text
    first, _, rest = page.partition("Start here")
    assert "Needs fixing</span>" in first
    assert ": Graph API</strong> <bdi>The Graph API at WHATSAPP_API_URL can&#39;t be reached" in rest
    assert "<bdi>Nothing has gone out since 2026-03-01 12:00 UTC: The account is " in rest
    assert ("canary" in page, "<script>" in page) == (False, False)
