"""An agent's answer of which it is not known whether the customer has it: a person sends it again, or leaves it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.web.credentials import Role
from storage.outbox import FOR_A_PERSON
from storage.sql.columns import to_millis
from tests.api.desk.visitor import visitor
from tests.api.rest_service import PHONE, TICKET, Service

LONG = "word " * 2200  # three messages
BUTTON = "Send again</button>"


async def answer_ticket(service: Service, text: str = "We are on it.") -> tuple[int, str]:
    """(ticket, reply): an answer on its way to a customer."""
    await service.customer()
    body = TICKET | {"whatsapp_notifications": False, "mobile": PHONE}
    ticket_id = int((await service.data("POST", "/api/tickets", body, status=201))["id"])
    reply = await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": text}, status=201)
    return ticket_id, reply["id"]


async def put_in_doubt(service: Service, *outbox_ids: int) -> None:
    """Nobody knows what became of these, and a person is asked."""
    for outbox_id in outbox_ids:
        await service.execute(
            "UPDATE outbox SET status = 'unknown', reason = 'ask_a_person', due_at = ?, "
            "attempts = 1, resent = 0 WHERE id = ?",
            [to_millis(FOR_A_PERSON), outbox_id],
        )


async def read_outbox(service: Service) -> list[tuple[Any, ...]]:
    rows = await service.rows("SELECT status, reason, resent, due_at FROM outbox ORDER BY version, id")
    return [tuple(row) for row in rows]


async def read_audit(service: Service) -> list[tuple[Any, ...]]:
    rows = await service.rows("SELECT object_id, action FROM audit WHERE action = 'ticket.send_again'")
    return [tuple(row) for row in rows]


async def test_what_waits_for_a_person_is_queued_and_nothing_else(service: Service) -> None:
    ticket_id, reply_id = await answer_ticket(service, LONG)
    await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "Something else."}, status=201)
    first, second, third, other = [row["id"] for row in await service.read_outbox()]
    await put_in_doubt(service, first, third, other)
    await service.execute("UPDATE outbox SET status = 'read' WHERE id = ?", [second])
    [before] = await service.rows("SELECT version FROM conversation")
    service.clock.forward(minutes=1)

    again = await service.data("POST", f"/api/replies/{reply_id}/send-again", {})

    now, never = to_millis(service.clock.now), to_millis(FOR_A_PERSON)
    rows = await read_outbox(service)
    assert rows[0] == rows[2] == ("queued", "", 1, now)
    assert rows[1][0] == "read"
    assert rows[3] == ("unknown", "ask_a_person", 0, never)
    assert (again["id"], again["delivery"], again["reason"]) == (reply_id, "queued", None)
    assert await read_audit(service) == [(str(ticket_id), "ticket.send_again")]
    assert [tuple(row) for row in await service.rows("SELECT version FROM conversation")] == [(before[0] + 1,)]


async def test_many_at_once_send_it_once(service: Service) -> None:
    _, reply_id = await answer_ticket(service)
    [row] = await service.read_outbox()
    await put_in_doubt(service, row["id"])
    path = f"/api/replies/{reply_id}/send-again"
    answers = await asyncio.gather(*(service.call("POST", path, {}) for _ in range(4)))
    assert sorted(response.status_code for response in answers) == [200, 409, 409, 409]
    assert [row[:3] for row in await read_outbox(service)] == [("queued", "", 1)]
    assert len(await read_audit(service)) == 1


@pytest.mark.parametrize("status", ["queued", "sending", "unknown", "held", "accepted", "sent", "failed"])
async def test_what_nobody_is_asked_about(light_service: Service, status: str) -> None:
    """`unknown` without a person to decide still waits for a status: it may yet tell."""
    ticket_id, reply_id = await answer_ticket(light_service)
    soon = to_millis(light_service.clock.now + timedelta(seconds=15))
    await light_service.execute("UPDATE outbox SET status = ?, due_at = ?", [status, soon])
    refused = await light_service.expect_refusal(409, "POST", f"/api/replies/{reply_id}/send-again", {})
    assert refused["message"] == "not_in_doubt"
    assert await read_outbox(light_service) == [(status, "", 0, soon)]
    assert await read_audit(light_service) == []
    async with visitor(light_service, Role.AGENT) as alex:
        assert BUTTON not in (await alex.get(f"/desk/tickets/{ticket_id}")).text
        assert (await alex.send(f"/desk/tickets/{ticket_id}/replies/{reply_id}/send-again")).status_code == 409


async def test_what_was_never_sent(light_service: Service) -> None:
    body = {"ticket_id": (await light_service.data("POST", "/api/tickets", TICKET, status=201))["id"], "message": "x"}
    reply = await light_service.data("POST", "/api/replies", body, status=201)
    await light_service.expect_refusal(409, "POST", f"/api/replies/{reply['id']}/send-again", {})
    for nobodys in ("7", "x", "9" * 30):
        await light_service.expect_refusal(404, "POST", f"/api/replies/{nobodys}/send-again", {})


async def test_the_button_at_the_desk(service: Service) -> None:
    ticket_id, reply_id = await answer_ticket(service, LONG)
    first, _, third = [row["id"] for row in await service.read_outbox()]
    await put_in_doubt(service, third)
    await service.execute(
        "UPDATE outbox SET status = 'failed', reason = 'refused', detail = 'no' WHERE id = ?", [first]
    )
    path = f"/desk/tickets/{ticket_id}"
    async with visitor(service, Role.AGENT) as alex, visitor(service, Role.VIEWER) as vic:
        assert BUTTON not in (await vic.get(path)).text
        page = (await alex.get(path)).text
        assert page.count(BUTTON) == 1
        once = page.partition("/send-again")[2].partition('name="idempotency_id" value="')[2].partition('"')[0]
        again = f"{path}/replies/{reply_id}/send-again"
        assert (await alex.post(again, {"idempotency_id": once})).status_code == 403
        assert (await read_outbox(service))[2][0] == "unknown"
        for _ in range(2):  # a double click
            done = await alex.send(again, idempotency_id=once)
            assert (done.status_code, done.headers["location"]) == (303, f"{path}#entry-{reply_id}")
        assert BUTTON not in (await alex.get(path)).text
    assert [row[:3] for row in await read_outbox(service)] == [
        ("failed", "refused", 0),
        ("queued", "", 0),
        ("queued", "", 1),
    ]
    assert len(await read_audit(service)) == 1


async def test_a_message_outside_of_any_ticket(service: Service) -> None:
    customer_id = await service.customer()
    sent = await service.data("POST", "/api/whatsapp/send", {"phoneNumber": PHONE, "message": LONG})
    assert sent == {"id": sent["id"], "delivery": "queued", "reason": None}
    path = f"/api/whatsapp/messages/{sent['id']}"
    first, second, third = [row["id"] for row in await service.read_outbox()]
    await service.execute("UPDATE outbox SET status = 'read' WHERE id = ?", [second])
    await service.expect_refusal(409, "POST", f"{path}/send-again", {})
    await put_in_doubt(service, first, third)
    in_doubt = await service.data("GET", path, role=Role.VIEWER)
    assert (in_doubt["delivery"], "or send it again" in in_doubt["reason"]) == ("unknown", True)
    await service.expect_refusal(403, "POST", f"{path}/send-again", {}, role=Role.VIEWER)

    answers = await asyncio.gather(*(service.call("POST", f"{path}/send-again", {}) for _ in range(3)))

    assert sorted(response.status_code for response in answers) == [200, 409, 409]
    again = next(response.json()["data"] for response in answers if response.status_code == 200)
    assert again == await service.data("GET", path) == {"id": sent["id"], "delivery": "queued", "reason": None}
    assert [row[:3] for row in await read_outbox(service)] == [("queued", "", 1), ("read", "", 0), ("queued", "", 1)]
    rows = await service.rows("SELECT object_id FROM audit WHERE action = 'message.send_again'")
    assert [tuple(row) for row in rows] == [(str(customer_id),)]


async def test_ids_of_no_such_message(light_service: Service) -> None:
    """A reply, its notice, the later part of a message: they have another way, or none."""
    await answer_ticket(light_service)
    await light_service.data("POST", "/api/whatsapp/send", {"phoneNumber": PHONE, "message": LONG})
    rows = [row["id"] for row in await light_service.read_outbox()]
    await put_in_doubt(light_service, *rows)
    before = await read_outbox(light_service)
    for wrong in (rows[0], rows[2], rows[3], 7, "x", "9" * 30):
        await light_service.expect_refusal(404, "GET", f"/api/whatsapp/messages/{wrong}")
        await light_service.expect_refusal(404, "POST", f"/api/whatsapp/messages/{wrong}/send-again", {})
    assert await read_outbox(light_service) == before
