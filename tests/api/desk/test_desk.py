"""The desk as agents use it, and as those who shouldn't try to."""

import asyncio
import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
from playwright.async_api import Browser, expect
from quart import Quart

from api.web.auth import PERMISSIONS, Permission, declaration
from api.web.credentials import Role
from bot.whatsapp.sanitize import MAX_TEXT_CHARACTERS
from storage import alerts, files, templates
from storage.alerts import Alert
from storage.files import FileRow
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, FileState, TicketStatus
from storage.templates import NoticeRow, StoredTemplate
from storage.tickets import MOVES
from tests.api.desk.visitor import PASSWORD, Visitor, hire, visitor
from tests.api.rest_service import PHONE, TICKET, Service
from tests.support.simulator_page import tiny_png

# Every page and form there is, and what it needs: one that is not here fails the test.
ROUTES = {
    ("GET", "/"): None,
    ("GET", "/desk"): Permission.READ,
    ("GET", "/desk/sign-in"): None,
    ("POST", "/desk/sign-in"): None,
    ("POST", "/desk/sign-out"): Permission.READ,
    ("GET", "/desk/tickets/<ticket:ticket_id>"): Permission.READ,
    ("POST", "/desk/tickets/<ticket:ticket_id>"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/ask"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/files/<file_id>/retry"): Permission.CHANGE_TICKETS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/replies"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/replies/<reply_id>/reaction"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/replies/<reply_id>/send-again"): Permission.WRITE_TO_CUSTOMERS,
    ("POST", "/desk/tickets/<ticket:ticket_id>/status"): Permission.CHANGE_TICKETS,
    ("GET", "/desk/whatsapp"): Permission.READ,
    ("GET", "/desk/whatsapp/doctor"): Permission.MANAGE,
    ("POST", "/desk/whatsapp/try-now"): Permission.MANAGE,
    ("GET", "/desk/static/<name>"): None,
    ("GET", "/desk/<path:rest>"): None,
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "' onfocus=alert(1) '",
    "javascript:alert(1)", "{{7*7}}{% raw %}", "${7*7}", "</textarea><script>alert(1)</script>", "\u202egnp.exe",
    "&lt;b&gt;", "<!--", "]]>", "</bdi></title></style>",
]  # fmt: skip


def routes(app: Quart) -> Iterator[tuple[str, str, Permission | None]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] == "desk":
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule, declaration(app.view_functions[rule.endpoint])


async def open_ticket(service: Service, **more: Any) -> int:
    return int((await service.data("POST", "/api/tickets", TICKET | more, status=201))["id"])


async def state(service: Service) -> list[Any]:
    """All that a form could change."""
    everything = (
        "SELECT id, status FROM ticket ORDER BY id",
        "SELECT id, ticket_id FROM reply ORDER BY id",
        "SELECT id, status FROM outbox ORDER BY id",
    )
    return [[tuple(row) for row in await service.rows(sql)] for sql in everything]


async def test_the_routes_are_these(light_service: Service) -> None:
    assert {(method, path): needed for method, path, needed in routes(light_service.app)} == ROUTES


async def test_every_role_on_every_route(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    for role in Role:
        async with visitor(light_service, role) as alex:
            for method, path, needed in routes(light_service.app):
                if needed is None or path == "/desk/sign-out":
                    continue
                address = (
                    path.replace("<ticket:ticket_id>", str(ticket_id))
                    .replace("<reply_id>", "5")
                    .replace("<file_id>", "5")
                )
                before = await state(light_service)
                answer = await (alex.get(address) if method == "GET" else alex.send(address, message="x", status="new"))
                if needed in PERMISSIONS[role]:
                    assert answer.status_code in (200, 303, 404, 409, 422), (role, address)
                else:
                    assert answer.status_code == 403
                    assert await state(light_service) == before
            page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
            assert ("/replies" in page) == (Permission.WRITE_TO_CUSTOMERS in PERMISSIONS[role])
            assert ("/status" in page) == (Permission.CHANGE_TICKETS in PERMISSIONS[role])


async def test_a_stranger(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    before = await state(light_service)
    key = {"Authorization": f"Bearer {light_service.keys[Role.ADMIN]}"}  # opens the API, and no page
    async with visitor(light_service) as stranger:
        assert (await stranger.get("/")).headers["location"] == "/desk"
        for headers in ({}, key):
            for path in ("/desk", f"/desk/tickets/{ticket_id}", "/desk/tickets/77"):
                refused = await stranger.get(path, headers=headers)
                assert refused.status_code == 303
                assert refused.headers["location"].startswith("/desk/sign-in?next=%2Fdesk")
            for path in ("/desk/sign-out", f"/desk/tickets/{ticket_id}/replies", f"/desk/tickets/{ticket_id}/status"):
                refused = await stranger.post(path, {"message": "x", "status": "closed"}, headers=headers)
                assert refused.status_code == 401
    assert await state(light_service) == before


async def test_forms_that_are_not_ours(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    before = await state(light_service)
    replies, status = f"/desk/tickets/{ticket_id}/replies", f"/desk/tickets/{ticket_id}/status"
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.ADMIN) as eve:
        token = await alex.token()
        form = {"message": "x", "status": "closed"}
        good = form | {"csrf_token": token}
        for path in (replies, status, "/desk/sign-out"):
            for wrong in ("", "x", token[:-1], token.upper(), "\u00e9" * 64, await eve.token()):
                assert (await alex.post(path, form | {"csrf_token": wrong})).status_code == 403
            assert (await alex.post(path, form)).status_code == 403
            for origin in (None, "null", "https://evil.example", f"http://127.0.0.1:{light_service.port + 1}"):
                assert (await alex.post(path, good, origin=origin)).status_code == 403
            for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x", ""):
                headers = {"Origin": str(alex.http.base_url), "Content-Type": kind}
                for body in (json.dumps(good), str(httpx.QueryParams(good))):
                    assert (await alex.http.post(path, content=body, headers=headers)).status_code == 403
        for strange in (b"\xff\xfe&&&=%ED%A0%80", b"&".join([b"a=1"] * 5000)):
            headers = {"Origin": str(alex.http.base_url), "Content-Type": "application/x-www-form-urlencoded"}
            assert (await alex.http.post(replies, content=strange, headers=headers)).status_code == 403
        for path in (replies, status):
            assert (await alex.get(f"{path}?{httpx.QueryParams(good)}")).status_code == 404
        assert await state(light_service) == before
        assert (await alex.post(replies, good)).status_code == 303


async def test_answering_and_moving(service: Service) -> None:
    await service.customer()
    ticket_id = await open_ticket(service, mobile=PHONE)
    path = f"/desk/tickets/{ticket_id}"
    async with visitor(service, Role.AGENT) as alex:
        done = await alex.send(f"{path}/replies", message="We are on it.\r\nReally.")
        assert (done.status_code, done.headers["location"]) == (303, f"{path}#end")
        done = await alex.send(f"{path}/status", status="in_progress")
        assert (done.status_code, done.headers["location"]) == (303, path)
        page = (await alex.get(path)).text
        assert '<bdi class="words">We are on it.\nReally.</bdi>' in page
        assert '<bdi class="by">Alex agent</bdi>' in page
        assert '<span class="delivery queued">Queued</span>' in page
        assert '<span class="status in_progress">In progress</span>' in page
        sent = await service.sent()
        assert [(row["origin"], row["status"]) for row in sent] == [
            ("notice", "queued"), ("agent", "queued"), ("notice", "queued"),
        ]  # fmt: skip
        await service.accept(sent[1]["id"], "wamid.1")
        assert "On its way" in (await alex.get(path)).text
    rows = await service.rows(
        "SELECT actor, action, detail FROM audit WHERE object_id = ? ORDER BY id", [str(ticket_id)]
    )
    assert [tuple(row) for row in rows][1:] == [
        ("Alex agent (agent@example.com)", "ticket.reply", ""),
        ("Alex agent (agent@example.com)", "ticket.status", "new -> in_progress"),
    ]


async def test_what_was_said_in_its_order(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service, mobile=PHONE)
    await light_service.customer("+15550009999")
    at = to_millis(light_service.clock.now)
    said = [("customer", "third", 0, 3000), ("customer", "first", 1, 1000), ("bot", "second", 0, 2000)]
    for number, (author, message, late, after) in enumerate(said):
        await light_service.execute(
            "INSERT INTO reply (id, ticket_id, author, author_name, message, late, written_at, created_at) "
            "VALUES (?, ?, ?, '', ?, ?, ?, ?)",
            [number + 1, ticket_id, author, message, late, at + after, at],
        )
    async with visitor(light_service, Role.AGENT) as alex:
        await alex.send(f"/desk/tickets/{ticket_id}/replies", message="held, since they have not written")
        page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
    articles = re.findall(r'<article class="said (\w+)"[^>]*>(.*?)</article>', page, re.DOTALL)
    assert [who for who, _ in articles] == ["customer", "agent", "customer", "bot", "customer"]
    assert ["Arrived late" in text for _, text in articles] == [False, False, True, False, False]
    assert ">Held</span>" in articles[1][1]
    assert "has not written for 24 hours" in articles[1][1]
    assert [TICKET["description"] in articles[0][1], "first" in articles[2][1], "third" in articles[4][1]] == [True] * 3


async def customers_message(service: Service, ticket_id: int, text: str = "Which one?", **more: Any) -> int:
    """A message of the customer is on the ticket; returns its id."""
    reply_id, at = service.resources.ids.next(), to_millis(service.clock.now)
    values = {
        "id": reply_id, "ticket_id": ticket_id, "author": "customer", "author_name": "", "message": text,
        "whatsapp_message_id": f"wamid.{reply_id}", "late": False, "written_at": at, "created_at": at, **more,
    }  # fmt: skip
    async with service.resources.database.transaction() as tx:
        await tx.insert("reply", list(values), [tuple(values.values())])
    return reply_id


async def raise_alert(service: Service, alert: Alert) -> None:
    await service.resources.database.run(lambda tx: alerts.raise_alert(tx, alert))


async def customers_file(service: Service, ticket_id: int, state: FileState, **more: Any) -> int:
    """A file of the customer is on the ticket; returns its id."""
    file_id, now = service.resources.ids.next(), service.clock.now
    row = FileRow(file_id, "in", "document", state, now, now, ticket_id=ticket_id, **more)
    await service.resources.database.run(lambda tx: files.insert(tx, [row]))
    return file_id


async def test_answering_with_files(service: Service) -> None:
    await service.customer()
    ticket_id = await open_ticket(service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}/replies"
    sent = [("file", ("lamps.png", PNG, "image/png")), ("file", ("report.pdf", b"%PDF-1.4", "application/pdf"))]
    async with visitor(service, Role.AGENT) as alex:
        assert (await alex.send(path, files=sent, message="Both.\r\nOf them.")).status_code == 303
        nothing = [("file", ("", b"", "application/octet-stream"))]  # what a browser sends for a field left empty
        assert (await alex.send(path, files=nothing, message="None.")).status_code == 303
        assert (await alex.send(path, files=nothing, message=" ")).status_code == 422
        assert (await alex.send(path, files=sent[:1], message="")).status_code == 303
        page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
        first, second, alone = await service.rows("SELECT id FROM file ORDER BY id")
        assert page.count(f'<img src="/api/files/{first[0]}?inline=1" alt="lamps.png"') == 1
        assert f'<a href="/api/files/{second[0]}" download><bdi>report.pdf</bdi></a>' in page
        assert (await alex.get(f"/api/files/{first[0]}?inline=1")).content == PNG
    messages = [row["message"] for row in await service.sent()]
    assert [(m["type"], m.get("caption", m.get("text", "")), m.get("file_id")) for m in messages] == [
        ("media", "Both.\nOf them.", str(first[0])),
        ("media", "", str(second[0])),
        ("text", "None.", None),
        ("media", "", str(alone[0])),
    ]


async def test_a_form_with_files_that_is_not_ours(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    path = f"/desk/tickets/{ticket_id}/replies"
    sent = [("file", ("lamps.png", PNG, "image/png"))]
    before = await state(light_service)
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.VIEWER) as vic:
        good = {"csrf_token": await alex.token(), "message": "A <long> answer."}
        refused = [
            await alex.post(path, good | {"csrf_token": "x"}, files=sent),
            await alex.post(path, good, files=sent, origin="https://evil.example"),
            await alex.post(path, good, files=sent, origin=None),
            await vic.send(path, files=sent, message="x"),
            await alex.post(f"/desk/tickets/{ticket_id}/status", good | {"status": "closed"}, files=sent),
        ]
        assert [answer.status_code for answer in refused] == [403] * 5
        assert "A &lt;long&gt; answer." in refused[0].text
        late = {"message": "x", "file": ""}  # the token after the file is no token
        body = [*sent, *((name, (None, value)) for name, value in (late | good).items())]
        assert (await alex.post(path, {}, files=body)).status_code == 403
        await light_service.execute("DELETE FROM desk_session")
        signed_out = await alex.post(path, good, files=sent)
        assert (signed_out.status_code, "A &lt;long&gt; answer." in signed_out.text) == (401, True)
    assert await state(light_service) == before
    assert await light_service.rows("SELECT id FROM file") == []
    assert light_service.kept_files() == []


async def test_files_that_are_not_taken(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}/replies"
    good = ("file", ("lamps.png", PNG, "image/png"))
    async with visitor(light_service, Role.AGENT) as alex:
        for sent in (
            [("file", ("a.zip", b"PK", "application/zip"))],
            [good] * 11,
            [("file", ("empty.pdf", b"", "application/pdf"))],
        ):
            refused = await alex.send(path, files=sent, message="Look at this.")
            assert (refused.status_code, "Look at this." in refused.text) == (422, True), sent[0]
            assert 'role="alert"><bdi>The answer was not sent. ' in refused.text
        assert await light_service.sent() == []
        assert light_service.kept_files() == []
        # what is wrong with the words costs no file: the next try has it still
        kept = await alex.send(path, files=[good], message="x" * (MAX_TEXT_CHARACTERS + 1))
        assert (kept.status_code, "Attached: <bdi>lamps.png</bdi>" in kept.text) == (422, True)
        (attached,) = re.findall(r'name="attached" value="(\d+)"', kept.text)
        assert (await alex.send(path, attached=attached, message="Look.")).status_code == 303
        again = await alex.send(path, attached=attached, message="Again.")
        assert (again.status_code, "already sent with another answer" in again.text) == (422, True)
        assert (await alex.send(path, attached="7,x,," + "9" * 30, message="Look.")).status_code == 422
    [row] = await light_service.sent()
    assert (row["message"]["caption"], row["message"]["file_id"]) == ("Look.", attached)


async def test_quoting(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}"
    asked = await customers_message(light_service, ticket_id, "Which <one>?")
    async with visitor(light_service, Role.AGENT) as alex:
        mine = await alex.send(path, message="So far.", quote_this=str(asked))
        assert f'name="quote" value="{asked}"' in mine.text
        assert ">\nSo far.</textarea>" in mine.text
        for nothing in ("", "7", "x", str(ticket_id)):
            page = (await alex.send(path, message="So far.", quote_this=nothing, quote=str(asked))).text
            assert 'name="quote"' not in page
        assert (await alex.send(f"{path}/replies", message="This one.", quote=str(asked))).status_code == 303
        refused = await alex.send(f"{path}/replies", message="This one.", quote="7")
        assert (refused.status_code, ">\nThis one.</textarea>" in refused.text) == (422, True)
        page = (await alex.get(path)).text
        assert '<bdi class="words">Which &lt;one&gt;?</bdi>\n</blockquote>' in page
    [row] = await light_service.sent()
    assert row["message"]["quoted"] == f"wamid.{asked}"


async def test_asking_and_reacting(light_service: Service) -> None:
    service = light_service
    await service.customer()
    ticket_id = await open_ticket(service, mobile=PHONE, whatsapp_notifications=False)
    path = f"/desk/tickets/{ticket_id}"
    asked = await customers_message(service, ticket_id)
    async with visitor(service, Role.AGENT) as alex:
        for form in ({"for": "location", "message": " "}, {"for": "contact", "message": "Whom?"}):
            assert (await alex.send(f"{path}/ask", **form, ask_idempotency_id="70")).status_code == 303
        assert (await alex.send(f"{path}/ask", message="Whom?", **{"for": "money"})).status_code == 422
        assert (await alex.send(f"{path}/replies/{asked}/reaction", emoji="👍")).status_code == 303
        page = (await alex.get(path)).text
        assert "Asks for the location" in page
        assert re.search(r'<p class="reaction"><bdi>👍</bdi> ', page)
        for wrong in ({"emoji": "ok"}, {"emoji": "👍", "idempotency_id": "x" * 50}):
            answer = await alex.send(f"{path}/replies/{asked}/reaction", **wrong)
            assert answer.status_code == (422 if wrong["emoji"] == "ok" else 303)
        assert (await alex.send(f"{path}/replies/7/reaction", emoji="👍")).status_code == 404
        sent = await service.sent()
        assert [row["message"]["type"] for row in sent] == ["location_request", "reaction", "reaction"]
        assert sent[0]["text"] == "Where are you? Please share your location.", "a second click asked once"
        service.clock.forward(hours=23)
        await service.execute("UPDATE desk_session SET expires_at = expires_at * 2")
        page = (await alex.get(path)).text
        assert "Window closed: answers are held until the customer writes." in page
        assert "/reaction" not in page
        assert "/ask" not in page
        refused = await alex.send(f"{path}/ask", **{"for": "location", "message": "Where?"})
        assert (refused.status_code, ">\nWhere?</textarea>" in refused.text) == (409, True)
        assert (await alex.send(f"{path}/replies/{asked}/reaction", emoji="👍")).status_code == 409
        nobodys = await open_ticket(service)
        assert (
            await alex.send(f"/desk/tickets/{nobodys}/ask", **{"for": "contact", "message": "x"})
        ).status_code == 409
    assert len(await service.sent()) == 3


async def test_files_and_where_they_stand(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    now = light_service.clock.now
    reply_id = await customers_message(light_service, ticket_id)
    broken = await customers_file(
        light_service, ticket_id, FileState.FAILED, filename="a.pdf", reason="It broke off.", size=2_345_678
    )
    refused = await customers_file(
        light_service, ticket_id, FileState.REFUSED, reason="It is too large.", reply_id=reply_id
    )
    await customers_file(light_service, ticket_id, FileState.EXPIRED, filename="old.pdf")
    foreign = await customers_file(light_service, await open_ticket(light_service), FileState.FAILED)
    path = f"/desk/tickets/{ticket_id}"
    async with visitor(light_service, Role.AGENT) as alex, visitor(light_service, Role.VIEWER) as vic:
        page = (await alex.get(path)).text
        description, reply = re.findall(r"<article.*?</article>", page, re.DOTALL)
        assert ["2.3 MB" in description, "It broke off." in description, "old.pdf" in description] == [True] * 3
        assert "<bdi>Refused: It is too large.</bdi>" in reply
        assert re.findall(r'action="([^"]*/retry)"', page) == [f"{path}/files/{broken}/retry"]
        assert "/retry" not in (await vic.get(path)).text
        for file_id in (refused, foreign, 7, "x", "9" * 30):
            assert (await alex.send(f"{path}/files/{file_id}/retry")).status_code == 409
        light_service.clock.forward(minutes=1)
        assert (await alex.send(f"{path}/files/{broken}/retry")).status_code == 303
    waiting = await light_service.rows("SELECT id, due_at FROM file WHERE state = 'waiting'")
    assert [tuple(row) for row in waiting] == [(broken, to_millis(now) + 60_000)]
    audit = await light_service.rows("SELECT object_id FROM audit WHERE action = 'file.retry'")
    assert [row[0] for row in audit] == [str(broken)]


async def test_what_an_operator_has_to_know(light_service: Service) -> None:
    at = light_service.clock.now
    ticket_id = await open_ticket(light_service)
    told = (
        Alert("channel", AlertSeverity.RED, "The access <token> has expired.", at),
        Alert("number:quality", AlertSeverity.YELLOW, "The quality is falling.", at),
        Alert("number:name", AlertSeverity.INFO, "The name was looked at.", at),
    )
    async with visitor(light_service, Role.VIEWER) as alex:
        assert 'class="alerts"' not in (await alex.get("/desk")).text
        for alert in told:
            await raise_alert(light_service, alert)
        for path in ("/desk", f"/desk/tickets/{ticket_id}"):
            page = (await alex.get(path)).text
            red, folded = re.findall(r'<p class="red">(.*?)</p>.*?<details>(.*?)</details>', page, re.DOTALL)[0]
            assert red.startswith("WhatsApp is stopped: <bdi>The access &lt;token&gt; has expired.</bdi> <time")
            assert "Since 1 Mar 2026, 12:00 UTC." in red
            assert ["2 warnings" in folded, "falling" in folded, "looked at" in folded] == [True] * 3
    async with visitor(light_service) as stranger:
        assert "expired" not in (await stranger.get("/desk/sign-in")).text


async def test_the_window(light_service: Service) -> None:
    service = light_service
    await service.customer(wrote_ago=timedelta(hours=2))
    ticket_id = await open_ticket(service, mobile=PHONE)
    at = service.clock.now

    async def choose(tx: Tx) -> None:
        made = StoredTemplate("1", "answer_en", "en", "UTILITY", "APPROVED", "", "[]", at, at)
        await templates.take_list(tx, [made], at, complete=True)
        await templates.save_notice(tx, NoticeRow("reply", "en", "answer_en", "en", "{}", at))

    async with visitor(service, Role.AGENT) as alex:
        path = f"/desk/tickets/{ticket_id}"
        page = (await alex.get(path)).text
        assert "Free answers until Monday 10:00 UTC." in page
        assert "The customer is told on WhatsApp." in page
        service.clock.forward(hours=22)
        await service.execute("UPDATE desk_session SET expires_at = expires_at * 2")
        page = (await alex.get(path)).text
        assert "Window closed: answers are held until the customer writes." in page
        assert "The customer is told by a template that carries it, or else once they write." in page
        await service.resources.database.run(choose)
        assert "Window closed: answers go out by the template <bdi>answer_en</bdi>" in (await alex.get(path)).text
        await service.execute("UPDATE customer SET unreachable_at = 1, unreachable_reason = 'No <b>WhatsApp</b>.'")
        page = (await alex.get(path)).text
        assert "can&#39;t reach" in page or "can't reach" in page
        assert "No &lt;b&gt;WhatsApp&lt;/b&gt;." in page


async def test_only_legal_moves(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    async with visitor(light_service, Role.AGENT) as alex:
        path = f"/desk/tickets/{ticket_id}"
        for current in TicketStatus:
            await light_service.execute("UPDATE ticket SET status = ?", [current])
            offered = set(re.findall(r'<option value="(\w+)">', (await alex.get(path)).text))
            assert offered == MOVES[current]
        refused = await alex.send(f"{path}/status", status="new")
        assert refused.status_code == 409
        assert "closed can&#39;t become new" in refused.text
        for status in ("", "gone", "NEW", "closed' --"):
            assert (await alex.send(f"{path}/status", status=status)).status_code == 422
        assert [row[0] for row in await light_service.rows("SELECT status FROM ticket")] == ["closed"]
        assert (await alex.send("/desk/tickets/77/status", status="new")).status_code == 404
        assert (await alex.send("/desk/tickets/77/replies", message="x")).status_code == 404


async def test_a_double_click_answers_once(service: Service) -> None:
    ticket_id = await open_ticket(service)
    async with visitor(service, Role.AGENT) as alex:
        page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
        (once,) = re.findall(r'name="idempotency_id" value="(\d+)"', page)
        path = f"/desk/tickets/{ticket_id}/replies"
        both = await asyncio.gather(*(alex.send(path, message="We are on it.", idempotency_id=once) for _ in range(2)))
        assert [answer.status_code for answer in both] == [303, 303]
        assert (await alex.send(path, message="We are on it.", idempotency_id=once)).status_code == 303
        assert (await alex.send(path, message="And again.", idempotency_id="no number")).status_code == 303
    said = await service.rows("SELECT message FROM reply ORDER BY id")
    assert [row[0] for row in said] == ["We are on it.", "And again."]


async def test_an_answer_that_can_not_go_out(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    async with visitor(light_service, Role.AGENT) as alex:
        for message in ("", " \r\n ", "\u200b\u2060", "\u0000", "x" * (MAX_TEXT_CHARACTERS + 1)):
            refused = await alex.send(f"/desk/tickets/{ticket_id}/replies", message=message)
            assert refused.status_code == 422
            assert 'role="alert"' in refused.text
            assert "x" not in message or message in refused.text  # nobody has to write it again
    assert await light_service.rows("SELECT id FROM reply") == []


async def test_what_people_write_stays_text(light_service: Service) -> None:
    async with visitor(light_service, Role.AGENT) as alex:
        for text in HOSTILE:
            more = {"name": text, "description": text, "issue_type": text[:50], "issue_type_other": text}
            ticket_id = await open_ticket(light_service, **more)
            await alex.send(f"/desk/tickets/{ticket_id}/replies", message=text)
            draft = await alex.send(f"/desk/tickets/{ticket_id}/replies", message=text + "x" * MAX_TEXT_CHARACTERS)
            await light_service.execute("UPDATE reply SET author_name = ? WHERE ticket_id = ?", [text, ticket_id])
            await light_service.execute("UPDATE ticket SET attachment_name = ? WHERE id = ?", [text, ticket_id])
            said = await customers_message(light_service, ticket_id, text, kind="note", author="meta", changed="edited")
            for file_state in (FileState.STORED, FileState.FAILED):
                held = {"filename": text, "mime_type": text[:50], "reason": text, "reply_id": said}
                await customers_file(light_service, ticket_id, file_state, **held)
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


async def test_the_list(light_service: Service) -> None:
    async with visitor(light_service, Role.VIEWER) as alex:
        assert "No tickets yet" in (await alex.get("/desk")).text
        ids = []
        for _ in range(30):
            light_service.clock.forward(seconds=1)
            ids.append(await open_ticket(light_service))
        await light_service.execute("UPDATE ticket SET status = 'waiting' WHERE id = ?", [ids[3]])

        async def listed(query: str) -> list[int]:
            page = (await alex.get(f"/desk{query}")).text
            return [int(number) for number in re.findall(r'aria-label="Ticket (\d+)"', page)]

        newest = ids[::-1]
        assert await listed("") == newest[:25]
        assert await listed("?page=2") == newest[25:]
        assert await listed("?status=waiting") == [ids[3]]
        assert await listed("?status=closed") == []
        assert "No ticket has this status" in (await alex.get("/desk?status=closed")).text
        assert await listed("?page=9999999999999") == newest[:25]
        assert await listed("?page=99999999") == []
        for query in ("?page=0", "?page=-1", "?page=x", "?page=%C2%B2", "?status=gone", "?status=<script>", "?a[]=1"):
            assert await listed(query) == newest[:25]
        assert "status=new&amp;page=2" in (await alex.get("/desk?status=new")).text
        assert "page=1" in (await alex.get("/desk?page=2")).text


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


async def test_the_session_opens_the_api(service: Service) -> None:
    async def ask(alex: Visitor, method: str, path: str, body: object, **headers: str) -> int:
        return (await alex.http.request(method, path, json=body, headers=headers)).status_code

    ticket_id = await open_ticket(service)
    status, body = f"/api/tickets/{ticket_id}/status", {"status": "waiting"}
    async with visitor(service, Role.AGENT) as alex, visitor(service, Role.VIEWER) as vic:
        origin, token = {"Origin": str(alex.http.base_url)}, {"X-CSRF-Token": await alex.token()}
        assert (await alex.get("/api/tickets")).status_code == 200
        assert (await vic.get("/api/tickets")).status_code == 200
        before = await state(service)
        others = {"X-CSRF-Token": await vic.token()}
        for headers in ({}, origin, token, origin | others, token | {"Origin": "https://evil.example"}):
            assert await ask(alex, "PUT", status, body, **headers) == 403
        assert await ask(vic, "PUT", status, body, **origin, **others) == 403
        assert await ask(alex, "PUT", status, body, **origin, **token, Authorization="Bearer tick_x") == 401
        form = await alex.http.post("/api/replies", data={"ticket_id": "1", "message": "x"}, headers=origin | token)
        assert form.status_code == 415
        assert (await alex.get(f"/api/tickets?key={service.keys[Role.ADMIN]}")).status_code == 401
        assert await state(service) == before
        assert await ask(alex, "PUT", status, body, **origin, **token) == 200
        reply = {"ticket_id": ticket_id, "message": "On it."}
        assert await ask(alex, "POST", "/api/replies", reply, **origin, **token) == 201
    rows = await service.rows("SELECT actor FROM audit WHERE action IN ('ticket.status', 'ticket.reply')")
    assert {row[0] for row in rows} == {"Alex agent (agent@example.com)"}


async def test_a_day_at_the_desk(light_service: Service, browser: Browser) -> None:
    await light_service.customer()
    hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>" + "W" * 500
    ticket_id = await open_ticket(light_service, mobile=PHONE, description=hostile, issue_title="Printer on fire")
    await customers_message(light_service, ticket_id, "It still burns.")
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
    sent = [row["message"] for row in await light_service.sent()]
    assert (sent[1]["caption"], sent[2]["emoji"]) == ("Pull the plug.\nWe are coming.", "👍")
