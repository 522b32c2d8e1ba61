"""Tickets over the REST API: opened, listed, read, moved, and what the customer is told of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from storage import files
from storage.files import FileRow
from storage.sql.columns import to_millis
from storage.sql.database import Database, Tx
from storage.statuses import FileState, TicketStatus
from storage.tickets import MOVES
from tests.api.rest_service import PHONE, TICKET, Service

FIELDS = {
    "id", "name", "email", "mobile", "description", "issue_type", "issue_type_other", "issue_title", "attachment_name",
    "attachment_type", "status", "whatsapp_enabled", "whatsapp_notifications", "created_at", "updated_at",
}  # fmt: skip


async def test_ticket_of_a_customer_in_the_window(service: Service) -> None:
    customer_id = await service.customer()
    body = TICKET | {"mobile": "+1 (555) 000-1234", "email": "ann@example.com", "issue_title": "Fire"}
    ticket = await service.data("POST", "/api/tickets", body, status=201)
    assert set(ticket) == FIELDS | {"delivery"}
    assert ticket["delivery"] == "queued"
    assert (ticket["status"], ticket["mobile"], ticket["email"]) == ("new", PHONE, "ann@example.com")
    assert ticket["created_at"] == "2026-03-01T12:00:00.250000Z"
    [row] = await service.read_outbox()
    assert row["text"].startswith(f"We have opened ticket *#{ticket['id']}* for you.")
    assert (row["customer_id"], row["version"], row["origin"], row["status"]) == (customer_id, 1, "notice", "queued")
    assert row["ticket_id"] == ticket["id"]
    [[actor, action, object_id]] = await service.rows(
        "SELECT actor, action, object_id FROM audit WHERE action <> 'key.create'"
    )
    assert actor.startswith("key the agent's (tick_")
    assert (action, object_id) == ("ticket.open", str(ticket["id"]))
    events = await service.rows(
        "SELECT ticket_id, customer_id, kind, author, api_key.role, was, became, ticket_event.at FROM ticket_event "
        "JOIN api_key ON api_key.id = author_id"
    )
    at = to_millis(service.clock.now)
    assert [tuple(event) for event in events] == [
        (ticket["id"], customer_id, "opened", "api_key", "agent", "", "new", at)
    ]
    claim = await service.resources.lanes.claim(10)
    assert [lane.customer_id for lane in claim.lanes] == [customer_id]
    del ticket["delivery"]
    customer = {"name": "Ann", "unreachable": None, "window_open_until": "2026-03-02T11:00:00.250000Z"}
    whole = await service.data("GET", f"/api/tickets/{ticket['id']}")
    assert whole == ticket | {"files": [], "customer": customer}


@pytest.mark.parametrize("nothing", [None, "", " ", "\u200b"])
async def test_a_mobile_with_nothing_to_see_is_none(light_service: Service, nothing: str | None) -> None:
    ticket = await light_service.data("POST", "/api/tickets", TICKET | {"mobile": nothing}, status=201)
    assert (ticket["mobile"], ticket["whatsapp_enabled"]) == (None, False)


@pytest.mark.parametrize("email", ["o'neil@example.com", "'@example.com", "ann+desk@example.com"])
async def test_an_address_may_have_an_apostrophe(light_service: Service, email: str) -> None:
    ticket = await light_service.data("POST", "/api/tickets", TICKET | {"email": email}, status=201)
    assert ticket["email"] == email


@pytest.mark.parametrize("unknown", ["Hardware", "hard", "rooms", "hardware,other"])
async def test_an_unknown_issue_type_is_refused_with_those_that_there_are(light_service: Service, unknown: str) -> None:
    answer = await light_service.expect_refusal(422, "POST", "/api/tickets", TICKET | {"issue_type": unknown})
    valid = "must be one of hardware, software, network, account, billing, other"
    assert answer["errors"] == [{"field": "issue_type", "message": valid}]


async def test_a_ticket_whose_issue_type_is_gone_is_read_like_any_other(light_service: Service) -> None:
    ticket = await light_service.data("POST", "/api/tickets", TICKET, status=201)
    await light_service.execute("UPDATE ticket SET issue_type = 'fax' WHERE id = ?", [ticket["id"]])
    assert (await light_service.data("GET", f"/api/tickets/{ticket['id']}"))["issue_type"] == "fax"
    [listed] = await light_service.data("GET", "/api/tickets")
    assert listed["issue_type"] == "fax"
    moved = await light_service.data("PUT", f"/api/tickets/{ticket['id']}/status", {"status": "closed"})
    assert (moved["status"], moved["issue_type"]) == ("closed", "fax")


@pytest.mark.parametrize("nothing", [None, "", " ", "\u202e\u200b"])
async def test_a_title_with_nothing_to_see_is_none(light_service: Service, nothing: str | None) -> None:
    ticket = await light_service.data("POST", "/api/tickets", TICKET | {"issue_title": nothing}, status=201)
    assert ticket["issue_title"] is None


async def test_unseen_number_makes_a_customer_once(service: Service) -> None:
    first = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)
    second = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)
    assert (first["delivery"], second["delivery"]) == ("held", "held")
    assert [alias for (alias,) in await service.rows("SELECT alias FROM alias")] == ["p:15550001234"]
    [[version, body]] = await service.rows("SELECT version, body FROM conversation")
    assert version == 2
    assert "15550001234" in body
    assert len({row["customer_id"] for row in await service.read_outbox()}) == 1


async def test_many_open_a_ticket_for_one_stranger_at_once(service: Service) -> None:
    asked = [service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201) for _ in range(8)]
    made = await asyncio.gather(*asked)
    assert len({ticket["id"] for ticket in made}) == 8
    assert len(await service.rows("SELECT id FROM customer")) == 1
    assert [row["version"] for row in await service.read_outbox()] == list(range(1, 9))


@pytest.mark.parametrize(
    ("known", "dialled"),
    [
        ("+5511998765432", "+551198765432"),
        ("+551198765432", "+5511998765432"),
        ("+5215512345678", "+525512345678"),
        ("+543512345678", "+5493512345678"),
    ],
)
async def test_number_in_its_other_national_form(light_service: Service, known: str, dialled: str) -> None:
    customer_id = await light_service.customer(known)
    ticket = await light_service.data("POST", "/api/tickets", TICKET | {"mobile": dialled}, status=201)
    assert ticket["mobile"] == dialled
    assert [row["customer_id"] for row in await light_service.read_outbox()] == [customer_id]
    assert len(await light_service.rows("SELECT alias FROM alias")) == 1
    listed = await light_service.data("GET", "/api/tickets", params={"mobile": dialled})
    assert [each["id"] for each in listed] == [ticket["id"]]


async def test_ticket_of_nobody_on_whatsapp(service: Service) -> None:
    ticket = await service.data("POST", "/api/tickets", TICKET, status=201)
    assert (ticket["mobile"], ticket["whatsapp_enabled"], ticket["delivery"]) == (None, False, None)
    moved = await service.data("PUT", f"/api/tickets/{ticket['id']}/status", {"status": "closed"})
    assert (moved["status"], moved["delivery"]) == ("closed", None)
    assert await service.read_outbox() == []


async def test_customer_who_wants_no_notices(service: Service) -> None:
    await service.customer()
    body = TICKET | {"mobile": PHONE, "whatsapp_notifications": False}
    ticket = await service.data("POST", "/api/tickets", body, status=201)
    moved = await service.data("PUT", f"/api/tickets/{ticket['id']}/status", {"status": "resolved"})
    assert (ticket["delivery"], moved["delivery"]) == (None, None)
    assert await service.read_outbox() == []


async def test_every_move(light_service: Service) -> None:
    service = light_service
    await service.customer()
    ticket = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)
    path = f"/api/tickets/{ticket['id']}/status"
    for source in TicketStatus:
        for target in TicketStatus:
            await service.execute("UPDATE ticket SET status = ? WHERE id = ?", [source, ticket["id"]])
            before = len(await service.read_outbox())
            if target == source:
                assert (await service.data("PUT", path, {"status": target}))["delivery"] is None
            elif target in MOVES[source]:
                assert (await service.data("PUT", path, {"status": target}))["delivery"] == "queued"
                before += 1
            else:
                refused = await service.expect_refusal(409, "PUT", path, {"status": target})
                assert source in refused["errors"][0]["message"]
            rows = await service.read_outbox()
            assert len(rows) == before
            assert all(f"*#{ticket['id']}*" in row["text"] for row in rows)


async def test_the_window_closes_after_24_hours(light_service: Service) -> None:
    service = light_service
    await service.customer(wrote_ago=timedelta(hours=24) - timedelta(milliseconds=1))
    ticket = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)
    service.clock.forward(milliseconds=1)
    moved = await service.data("PUT", f"/api/tickets/{ticket['id']}/status", {"status": "in_progress"})
    assert (ticket["delivery"], moved["delivery"]) == ("queued", "held")
    assert [row["status"] for row in await service.read_outbox()] == ["queued", "held"]


async def test_list(service: Service) -> None:
    await service.customer()
    ids = []
    for number in range(23):
        service.clock.forward(seconds=1)
        body = TICKET | {"issue_type": "software" if number < 4 else "hardware"}
        body |= {"mobile": PHONE} if number % 2 else {}
        ids.append((await service.data("POST", "/api/tickets", body, status=201))["id"])
    await service.data("PUT", f"/api/tickets/{ids[3]}/status", {"status": "closed"})
    ids.reverse()

    async def list_tickets(**params: Any) -> tuple[list[int], dict[str, int]]:
        answer = (await service.call("GET", "/api/tickets", params=params)).json()
        return [ticket["id"] for ticket in answer["data"]], answer["pagination"]

    assert await list_tickets() == (ids[:20], {"page": 1, "limit": 20, "total": 23})
    assert await list_tickets(page=2) == (ids[20:], {"page": 2, "limit": 20, "total": 23})
    assert await list_tickets(page=1000, limit=100) == ([], {"page": 1000, "limit": 100, "total": 23})
    assert await list_tickets(status="closed") == ([ids[-4]], {"page": 1, "limit": 20, "total": 1})
    assert await list_tickets(issue_type="software") == (ids[-4:], {"page": 1, "limit": 20, "total": 4})
    assert await list_tickets(issue_type="software", status="new") == (
        ids[-3:], {"page": 1, "limit": 20, "total": 3},
    )  # fmt: skip
    assert await list_tickets(issue_type="hardware", status="closed") == ([], {"page": 1, "limit": 20, "total": 0})
    assert await list_tickets(issue_type="no longer configured") == ([], {"page": 1, "limit": 20, "total": 0})
    assert await list_tickets(issue_type="software", mobile=PHONE) == (
        [ids[-4], ids[-2]], {"page": 1, "limit": 20, "total": 2},
    )  # fmt: skip
    mine = [ticket_id for at, ticket_id in enumerate(ids) if at % 2]
    assert (await list_tickets(mobile=PHONE, limit=5))[0] == mine[:5]
    await service.execute("UPDATE ticket SET issue_type = ? WHERE id = ?", ["Paiement & Facturation", ids[5]])
    assert (await list_tickets(issue_type="Paiement & Facturation"))[0] == [ids[5]]
    assert (await list_tickets(issue_type="Paiement & Facturation", status="closed"))[0] == []
    unescaped = await service.call("GET", f"/api/tickets?mobile={PHONE}&limit=5")  # the + arrives as a space
    assert [ticket["id"] for ticket in unescaped.json()["data"]] == mine[:5]
    assert (await list_tickets(mobile="+15550009999"))[0] == []


@pytest.mark.parametrize("query", ["page=5001", "page=1001&limit=100", "page=100001&limit=1", "page=" + "9" * 30])
async def test_a_page_that_lies_too_deep(light_service: Service, query: str) -> None:
    answer = await light_service.expect_refusal(422, "GET", f"/api/tickets?{query}")
    [problem] = answer["errors"]
    assert problem["field"] == "page"
    assert "narrow it with status, issue_type or mobile" in problem["message"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=101", "limit=1000000000000000000", "limit=0", "limit=-1", "limit=1e9", "limit=x",
        "page=0", "page=-1", "page=99999999999999999999", "page=1.5",
        "status=open", "status=", "status=new&status=closed", "mobile=15550001234", "mobile=%2B1", "mobile=",
        "order_by=password_hash", "filter[__class__]=1", "id=1%20OR%201=1", "mobile=%00", "limit[]=5",
        "page=" + "9" * 5000,
    ],
)  # fmt: skip
async def test_query_that_is_not_valid(light_service: Service, query: str) -> None:
    answer = await light_service.expect_refusal(422, "GET", f"/api/tickets?{query}")
    assert answer["errors"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        *((number, "There is no ticket with this number") for number in ("0", "999", "9" * 18)),
        *((text, "Not found") for text in ("-1", "1.5", "9" * 19, "9" * 6000, "abc", "1%20OR%201=1", "%00", "١")),
    ],
)
async def test_ticket_that_is_not_there(light_service: Service, number: str, message: str) -> None:
    same = {"success": False, "message": message}
    assert await light_service.expect_refusal(404, "GET", f"/api/tickets/{number}") == same
    assert await light_service.expect_refusal(404, "GET", f"/api/replies/{number}") == same
    assert await light_service.expect_refusal(404, "PUT", f"/api/tickets/{number}/status", {"status": "closed"}) == same


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "\u200b\u2060 \u3164"}, "name"),
        ({"name": ["Ann"]}, "name"),
        ({"name": {"$ne": ""}}, "name"),
        ({"name": True}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"description": "\x00\x07"}, "description"),
        ({"description": 5}, "description"),
        ({"description": "x" * 65_537}, "description"),
        ({"issue_type": "x" * 51}, "issue_type"),
        ({"issue_title": "x" * 201}, "issue_title"),
        ({"email": "no address"}, "email"),
        ({"email": "a@b\r\nBcc: c@d"}, "email"),
        ({"email": "ann@o'neil.example"}, "email"),
        ({"email": "ann\"@example.com"}, "email"),
        ({"mobile": "15550001234"}, "mobile"),
        ({"mobile": "+0000000"}, "mobile"),
        ({"mobile": "+1555"}, "mobile"),
        ({"mobile": "+1 555 000 1234 ext 5"}, "mobile"),
        ({"mobile": "tel:+15550001234"}, "mobile"),
        ({"mobile": 15550001234}, "mobile"),
        ({"mobile": "+" + "1" * 49}, "mobile"),
        ({"whatsapp_notifications": "yes"}, "whatsapp_notifications"),
        ({"whatsapp_notifications": 1}, "whatsapp_notifications"),
        ({"status": "closed"}, "status"),
        ({"created_at": "2020-01-01"}, "created_at"),
        ({"customer_id": 1}, "customer_id"),
        ({"whatsapp_enabled": True}, "whatsapp_enabled"),
        ({"\ud800": 1}, None),
        ({"name": float("nan")}, "name"),
    ],
)  # fmt: skip
async def test_ticket_that_is_not_valid(light_service: Service, change: dict[str, object], field: str | None) -> None:
    answer = await light_service.expect_refusal(422, "POST", "/api/tickets", TICKET | change)
    if field:
        assert [problem["field"] for problem in answer["errors"]] == [field]
    assert await light_service.rows("SELECT id FROM ticket") == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"a":' * 50_000, 400),
        (b"[" * 100_000, 400),
        (b'{"name": ' + b"9" * 5000 + b"}", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"7", 422),
        (b'"text"', 422),
        (b"NaN", 422),
    ],
)
async def test_body_that_is_no_ticket(light_service: Service, body: bytes, status: int) -> None:
    await light_service.expect_refusal(status, "POST", "/api/tickets", body)


async def test_text_is_cleaned_and_kept(service: Service) -> None:
    body = TICKET | {
        "name": "  Ann\r\n\x1b[31m Łódź\x00 ",
        "description": "a\x00b\r\nc\x0bd\x0ce\x85f\x07 👩🏽‍🚒\u202e %_\\' \"<b>",
    }
    ticket = await service.data("POST", "/api/tickets", body, status=201)
    assert ticket["name"] == "Ann Łódź"
    assert ticket["description"] == "ab\nc\nd\ne\nf 👩🏽‍🚒\u202e %_\\' \"<b>"
    kept = {name: value for name, value in ticket.items() if name != "delivery"}
    assert await service.data("GET", f"/api/tickets/{ticket['id']}") == kept | {"files": [], "customer": None}


@pytest.mark.parametrize("name", ["\U0001fae9", "\ue000", "\u0903"])  # newer than our tables, private, a vowel sign
async def test_what_a_person_may_see_is_something_to_read(light_service: Service, name: str) -> None:
    ticket = await light_service.data("POST", "/api/tickets", TICKET | {"name": name}, status=201)
    assert ticket["name"] == name


async def test_two_agents_move_a_ticket_at_once(service: Service) -> None:
    await service.customer()
    ticket = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)
    path = f"/api/tickets/{ticket['id']}/status"
    moved = await asyncio.gather(*(service.data("PUT", path, {"status": "in_progress"}) for _ in range(6)))
    assert sorted(str(each["delivery"]) for each in moved) == ["None"] * 5 + ["queued"]
    assert len(await service.read_outbox()) == 2


class CommitUnheard(Database):
    """A database whose next commit lands, and nobody hears of it: the connection breaks in between."""

    unheard = 0

    async def run(self, work: Any, **more: Any) -> Any:
        for _ in range(self.unheard):
            self.unheard -= 1
            async with self.transaction() as tx:
                await work(tx)
        return await super().run(work, **more)


async def test_commit_that_landed_unheard_is_not_repeated(service: Service) -> None:
    service.resources.database.__class__ = CommitUnheard
    database: Any = service.resources.database
    service.clock.forward(seconds=1)
    for mobile in (PHONE, "+15550005678", None):
        database.unheard = 1
        body = TICKET | ({"mobile": mobile} if mobile else {})
        await service.resources.numbers.top_up(1)
        ticket = await service.data("POST", "/api/tickets", body, status=201)
        assert ticket["delivery"] == ("held" if mobile else None)
        database.unheard = 1
        moved = await service.data("PUT", f"/api/tickets/{ticket['id']}/status", {"status": "closed"})
        assert (moved["status"], moved["delivery"]) == ("closed", "held" if mobile else None)
        database.unheard = 1
        body = {"ticket_id": ticket["id"], "message": "Done."}
        reply = await service.data("POST", "/api/replies", body, status=201)
        assert reply["delivery"] == ("held" if mobile else None)
    assert len(await service.rows("SELECT id FROM ticket")) == 3
    assert len(await service.rows("SELECT id FROM reply")) == 3
    assert len(await service.read_outbox()) == 6
    assert len(await service.rows("SELECT id FROM audit WHERE action <> 'key.create'")) == 9


async def test_fence_that_another_transaction_holds_is_waited_for(service: Service) -> None:
    customer_id = await service.customer()
    ticket = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)

    async def hold(tx: Tx) -> asyncio.Task[Any]:
        await tx.execute("UPDATE conversation SET version = version + 1 WHERE customer_id = ?", [customer_id])
        body = {"ticket_id": ticket["id"], "message": "Hello"}
        asked = asyncio.create_task(service.data("POST", "/api/replies", body, status=201))
        done, _ = await asyncio.wait({asked}, timeout=0.3)
        assert not done
        return asked

    await (await service.resources.database.run(hold))
    assert [row["version"] for row in await service.read_outbox()] == [1, 3]


async def test_asking_for_a_location_or_a_contact(service: Service) -> None:
    customer_id = await service.customer()
    ticket = await service.data(
        "POST", "/api/tickets", TICKET | {"mobile": PHONE, "whatsapp_notifications": False}, status=201
    )
    path = f"/api/tickets/{ticket['id']}/ask"
    for wanted in ("location", "contact"):
        asked = await service.data("POST", path, {"for": wanted, "message": "Where is it?"}, status=201)
        assert (asked["author"], asked["message"], asked["delivery"]) == ("agent", "Where is it?", "queued")
        row = (await service.read_outbox())[-1]
        assert row["message"] == {"type": f"{wanted}_request", "text": "Where is it?"}
        assert (row["customer_id"], row["origin"], row["ticket_id"]) == (customer_id, "agent", ticket["id"])
    long = await service.data("POST", path, {"for": "location", "message": "word " * 1000}, status=201)
    assert len(await service.data("GET", f"/api/replies/{ticket['id']}")) == 3
    assert (await service.read_outbox())[-1]["message"]["type"] == "location_request"
    assert "".join(row["text"] for row in (await service.read_outbox())[2:]).count("word") == 1000
    assert long["delivery"] == "queued"
    actions = await service.rows("SELECT action FROM audit WHERE action LIKE 'ticket.ask%' ORDER BY id")
    assert [action for (action,) in actions] == ["ticket.ask_location", "ticket.ask_contact", "ticket.ask_location"]


async def test_asking_who_can_not_be_asked(service: Service) -> None:
    nobodys = await service.data("POST", "/api/tickets", TICKET, status=201)
    await service.customer(wrote_ago=timedelta(hours=24))
    late = await service.data(
        "POST", "/api/tickets", TICKET | {"mobile": PHONE, "whatsapp_notifications": False}, status=201
    )
    body = {"for": "location", "message": "Where?"}
    for ticket, message in ((nobodys, "not_on_whatsapp"), (late, "window_closed")):
        refused = await service.expect_refusal(409, "POST", f"/api/tickets/{ticket['id']}/ask", body)
        assert refused["message"] == message
    await service.expect_refusal(404, "POST", "/api/tickets/77/ask", body)
    wrong: tuple[dict[str, object], ...] = (
        {"for": "money"}, {"for": None}, {"message": ""}, {"message": "\u200b"}, {"message": None}, {"to": PHONE},
    )  # fmt: skip
    for part in wrong:
        await service.expect_refusal(422, "POST", f"/api/tickets/{late['id']}/ask", body | part)
    assert not await service.rows("SELECT id FROM reply")
    assert await service.read_outbox() == []


async def test_whom_a_ticket_is_with(service: Service) -> None:
    await service.customer(wrote_ago=timedelta(hours=23))
    ticket = await service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201)
    now = service.clock.now
    since = to_millis(now)
    row = FileRow(7, "in", "image", FileState.FAILED, now, now, ticket_id=ticket["id"],
                  mime_type="image/png", filename="a.png", reason="The download broke off.")  # fmt: skip
    await service.resources.database.run(lambda tx: files.insert(tx, [row, replace(row, file_id=8, reply_id=9)]))
    await service.execute("UPDATE customer SET unreachable_at = ?, unreachable_reason = 'No WhatsApp there.'", [since])
    whole = await service.data("GET", f"/api/tickets/{ticket['id']}")
    assert whole["customer"] == {
        "name": "Ann",
        "unreachable": {"reason": "No WhatsApp there.", "since": "2026-03-01T12:00:00.250000Z"},
        "window_open_until": "2026-03-01T13:00:00.250000Z",
    }
    [shown] = whole["files"]
    assert (shown["id"], shown["name"], shown["state"], shown["size"]) == ("7", "a.png", "failed", None)
    assert "The download broke off." in shown["reason"]
    service.clock.forward(hours=1)
    whole = await service.data("GET", f"/api/tickets/{ticket['id']}")
    assert whole["customer"]["window_open_until"] is None


async def test_a_notice_says_what_a_template_needs(light_service: Service) -> None:
    await light_service.customer()
    body = TICKET | {"mobile": PHONE, "issue_title": "Fire"}
    ticket = await light_service.data("POST", "/api/tickets", body, status=201)
    for status in ("waiting", "closed"):
        await light_service.data("PUT", f"/api/tickets/{ticket['id']}/status", {"status": status})
    for row, kind in zip(await light_service.read_outbox(), ("opened", "waiting", "closed"), strict=True):
        assert row["message"]["notice"] == {
            "kind": kind,
            "language": "en",
            "values": {"ticket_id": str(ticket["id"]), "title": "Fire", "name": "Ann Example", "text": row["text"]},
        }
        assert "Fire" not in row["text"]
