"""The list of tickets, and what agents see and move on one."""

import re
from datetime import timedelta
from html import unescape

from api.web.credentials import Role
from storage import templates
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import TicketStatus
from storage.templates import NoticeAssignment, StoredTemplate
from storage.tickets import MOVES
from tests.api.desk.rows import open_ticket
from tests.api.desk.visitor import visitor
from tests.api.rest_service import PHONE, TICKET, Service


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


async def test_a_topic_that_is_no_longer_one_to_choose_from(light_service: Service) -> None:
    """Such as those of the original system."""
    topic = "Paiement & Facturation?"
    ids = [await open_ticket(light_service) for _ in range(27)]
    await light_service.execute("UPDATE ticket SET issue_type = ? WHERE id <> ?", [topic, ids[0]])
    await light_service.execute("UPDATE kept_count SET topic = ? WHERE counted = 'ticket'", [topic])
    await light_service.execute("UPDATE ticket SET status = 'closed' WHERE id = ?", [ids[1]])
    async with visitor(light_service, Role.VIEWER) as alex:
        link = 'href="/desk?topic=Paiement%20%26%20Facturation%3F"><bdi>Paiement &amp; Facturation?</bdi>'
        assert link in (await alex.get(f"/desk/tickets/{ids[1]}")).text
        page = (await alex.get("/desk?topic=Paiement%20%26%20Facturation%3F")).text
        assert len(re.findall(r'aria-label="Ticket (\d+)"', page)) == 25
        assert "Topic: <bdi>Paiement &amp; Facturation?</bdi>" in page
        (older,) = re.findall(r'rel="next" href="([^"]+)"', page)
        rest = (await alex.get(unescape(older))).text
        assert re.findall(r'aria-label="Ticket (\d+)"', rest) == [str(ids[1])]
        (closed,) = re.findall(r'href="([^"]+status=closed)"', page)
        assert re.findall(r'aria-label="Ticket (\d+)"', (await alex.get(unescape(closed))).text) == [str(ids[1])]
        assert "No ticket has this topic" in (await alex.get("/desk?topic=%3Cscript%3E")).text


async def test_a_topic_is_shown_as_customers_pick_it(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service)
    await light_service.execute("UPDATE ticket SET issue_type = 'account'")
    async with visitor(light_service, Role.VIEWER) as alex:
        assert "<bdi>Account and access</bdi>" in (await alex.get(f"/desk/tickets/{ticket_id}")).text
        assert "Topic: <bdi>Account and access</bdi>" in (await alex.get("/desk?topic=account")).text


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
        sent = await service.read_outbox()
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
    events = await service.rows(
        "SELECT kind, author, email, was, became, reply_id IS NULL, outbox_id IS NULL FROM ticket_event "
        "JOIN agent ON agent.id = author_id ORDER BY ticket_event.id"
    )
    assert [tuple(event) for event in events] == [
        ("answer", "agent", "agent@example.com", "", "", False, False),
        ("status", "agent", "agent@example.com", "new", "in_progress", True, True),
    ]


async def test_what_was_said_in_its_order(light_service: Service) -> None:
    ticket_id = await open_ticket(light_service, mobile=PHONE)
    await light_service.customer("+15550009999")
    at = to_millis(light_service.clock.now)
    rows = [("customer", "third", 0, 3000), ("customer", "first", 1, 1000), ("system", "second", 0, 2000)]
    for number, (author, message, late, after) in enumerate(rows):
        await light_service.execute(
            "INSERT INTO reply (id, ticket_id, author, author_name, message, late, written_at, created_at) "
            "VALUES (?, ?, ?, '', ?, ?, ?, ?)",
            [number + 1, ticket_id, author, message, late, at + after, at],
        )
    async with visitor(light_service, Role.AGENT) as alex:
        await alex.send(f"/desk/tickets/{ticket_id}/replies", message="held, since they have not written")
        page = (await alex.get(f"/desk/tickets/{ticket_id}")).text
    articles = re.findall(r'<article class="entry (\w+)"[^>]*>(.*?)</article>', page, re.DOTALL)
    assert [who for who, _ in articles] == ["customer", "agent", "customer", "bot", "customer"]
    assert ["Arrived late" in text for _, text in articles] == [False, False, True, False, False]
    assert ">Held</span>" in articles[1][1]
    assert "has not written for 24 hours" in articles[1][1]
    assert [TICKET["description"] in articles[0][1], "first" in articles[2][1], "third" in articles[4][1]] == [True] * 3


async def test_the_window(light_service: Service) -> None:
    service = light_service
    await service.customer(wrote_ago=timedelta(hours=2))
    ticket_id = await open_ticket(service, mobile=PHONE)
    at = service.clock.now

    async def choose(tx: Tx) -> None:
        body = '[{"type": "BODY", "text": "We say: {{1}}. Just write here."}]'
        made = StoredTemplate("1", "answer_en", "en", "UTILITY", "APPROVED", "", body, at, at)
        await templates.store_listing(tx, [made], at, complete=True)
        filled = '{"body": {"1": "text"}, "header": {}}'
        await templates.save_assignment(tx, NoticeAssignment("reply", "en", "answer_en", "en", filled, at))

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
