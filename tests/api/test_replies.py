"""Replies over the REST API: what agents answer, what becomes of it, what customers said."""

from datetime import timedelta

import pytest

from storage import filing
from storage.database import Tx
from storage.filing import NewReply
from tests.api.rest_service import PHONE, TICKET, Service

FIELDS = {
    "id", "ticket_id", "kind", "author", "message", "changed", "late", "files", "quoted", "whatsapp_message_id",
    "delivery", "reason", "created_at",
}  # fmt: skip


async def ticket_of(service: Service, phone: str | None = PHONE) -> int:
    body = TICKET | {"whatsapp_notifications": False} | ({"mobile": phone} if phone else {})
    ticket = await service.data("POST", "/api/tickets", body, status=201)
    return int(ticket["id"])


async def test_reply_reaches_the_customer(service: Service) -> None:
    customer_id = await service.customer()
    ticket_id = await ticket_of(service)
    service.clock.forward(minutes=1)
    body = {"ticket_id": ticket_id, "message": " We are on it. 👩🏽‍🚒\r\n", "author": "Bea"}
    reply = await service.data("POST", "/api/replies", body, status=201)
    assert set(reply) == FIELDS
    assert isinstance(reply["id"], str)
    assert reply["message"] == "We are on it. 👩🏽‍🚒"
    assert (reply["author"], reply["delivery"], reply["whatsapp_message_id"]) == ("agent", "queued", None)
    [row] = await service.sent()
    assert row["text"] == reply["message"]
    assert (row["customer_id"], row["ticket_id"], row["origin"]) == (customer_id, ticket_id, "agent")
    assert await service.data("GET", f"/api/replies/{ticket_id}") == [reply]
    assert (await service.data("GET", f"/api/tickets/{ticket_id}"))["updated_at"] == reply["created_at"]
    await service.accept(row["id"], "wamid.Reply")
    [shown] = await service.data("GET", f"/api/replies/{ticket_id}")
    assert (shown["delivery"], shown["whatsapp_message_id"]) == ("accepted", "wamid.Reply")
    assert [name for (name,) in await service.rows("SELECT author_name FROM reply")] == ["Bea"]


async def test_both_sides_in_the_order_of_writing(service: Service) -> None:
    await service.customer()
    ticket_id = await ticket_of(service)
    said = service.clock.now.replace(microsecond=0)  # Meta's clock has no finer hands
    await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "Is it off?"}, status=201)
    texts = ((said, "Yes."), (said - timedelta(seconds=30), "Hello? (came late)"))
    replies = [
        NewReply(service.parts.ids.next(), ticket_id, text, f"wamid.{text}", 1, False, at, service.clock.now)
        for at, text in texts
    ]

    async def write(tx: Tx) -> None:
        await filing.insert_replies(tx, replies)

    await service.parts.database.run(write)
    shown = await service.data("GET", f"/api/replies/{ticket_id}")
    assert [(reply["author"], reply["message"]) for reply in shown] == [
        ("customer", "Hello? (came late)"),
        ("agent", "Is it off?"),
        ("customer", "Yes."),
    ]
    assert [reply["whatsapp_message_id"] for reply in shown] == ["wamid.Hello? (came late)", None, "wamid.Yes."]
    assert [reply["delivery"] for reply in shown] == [None, "queued", None]


async def test_long_reply_goes_out_in_several_messages(service: Service) -> None:
    await service.customer()
    ticket_id = await ticket_of(service)
    words = [f"word{number}" for number in range(2000)] + ["🔥" * 3000]
    message = " ".join(words)
    reply = await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": message}, status=201)
    assert reply["message"] == message
    rows = await service.sent()
    assert len(rows) > 4
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert all(len(row["text"].encode("utf-16-le")) <= 2 * 4096 for row in rows)
    assert "".join(row["text"] for row in rows).replace(" ", "") == message.replace(" ", "")
    assert len({row["version"] for row in rows}) == 1
    another = await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "Short."}, status=201)
    for row in rows[:-1]:
        await service.accept(row["id"], f"wamid.{row['id']}")
    first, second = await service.data("GET", f"/api/replies/{ticket_id}")
    assert (first["delivery"], first["whatsapp_message_id"]) == ("queued", f"wamid.{rows[0]['id']}")
    await service.accept(rows[-1]["id"], "wamid.last")
    first, second = await service.data("GET", f"/api/replies/{ticket_id}")
    assert (first["delivery"], second["delivery"]) == ("accepted", "queued")
    assert second == another


@pytest.mark.parametrize("wrote_ago", [None, timedelta(hours=24), timedelta(days=400)])
async def test_reply_outside_of_the_window_is_held(light_service: Service, wrote_ago: timedelta | None) -> None:
    await light_service.customer(wrote_ago=wrote_ago)
    ticket_id = await ticket_of(light_service)
    body = {"ticket_id": ticket_id, "message": "Hello"}
    assert (await light_service.data("POST", "/api/replies", body, status=201))["delivery"] == "held"
    assert [row["status"] for row in await light_service.sent()] == ["held"]


async def test_ticket_that_is_nobodys_or_switched_off(light_service: Service) -> None:
    service = light_service
    nobodys = await ticket_of(service, None)
    await service.customer()
    off = await ticket_of(service)
    await service.execute("UPDATE ticket SET whatsapp_enabled = ? WHERE id = ?", [False, off])
    for ticket_id in (nobodys, off):
        body = {"ticket_id": ticket_id, "message": "A note for the file."}
        assert (await service.data("POST", "/api/replies", body, status=201))["delivery"] is None
        assert len(await service.data("GET", f"/api/replies/{ticket_id}")) == 1
    assert await service.sent() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": "x"}, "ticket_id"),
        ({"ticket_id": 1}, "message"),
        ({"ticket_id": "1", "message": "x"}, "ticket_id"),
        ({"ticket_id": True, "message": "x"}, "ticket_id"),
        ({"ticket_id": 1.0, "message": "x"}, "ticket_id"),
        ({"ticket_id": 0, "message": "x"}, "ticket_id"),
        ({"ticket_id": -1, "message": "x"}, "ticket_id"),
        ({"ticket_id": 2**63, "message": "x"}, "ticket_id"),
        ({"ticket_id": 10**4000, "message": "x"}, "ticket_id"),
        ({"ticket_id": 1, "message": ""}, "message"),
        ({"ticket_id": 1, "message": " \n"}, "message"),
        ({"ticket_id": 1, "message": "\u200b\u200d\ufeff\u00ad"}, "message"),
        ({"ticket_id": 1, "message": "\x00\x1b\x07"}, "message"),
        ({"ticket_id": 1, "message": "\udc00 lone"}, "message"),
        ({"ticket_id": 1, "message": ["x"]}, "message"),
        ({"ticket_id": 1, "message": "x", "to": "+15550009999"}, "to"),
        ({"ticket_id": 1, "message": "x", "agent_id": 1}, "agent_id"),
        ({"ticket_id": 1, "message": "x", "author": 5}, "author"),
    ],
)
async def test_reply_that_is_not_valid(light_service: Service, body: dict[str, object], field: str) -> None:
    await ticket_of(light_service)
    answer = await light_service.refused(422, "POST", "/api/replies", body)
    assert [problem["field"] for problem in answer["errors"]] == [field]
    assert await light_service.rows("SELECT id FROM reply") == []


async def test_reply_to_a_ticket_that_is_not_there(light_service: Service) -> None:
    for ticket_id in (7, 2**63 - 1):
        await light_service.refused(404, "POST", "/api/replies", {"ticket_id": ticket_id, "message": "x"})
    await light_service.refused(404, "GET", "/api/replies/7")
