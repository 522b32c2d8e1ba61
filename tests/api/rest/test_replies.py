"""Replies over the REST API: what agents answer, what becomes of it, what customers said."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.web.credentials import Role
from bot.lane_state import LaneState
from storage import alerts, templates, turn_writes
from storage.alerts import Alert
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, OutboxReason, Why
from storage.templates import NoticeAssignment, StoredTemplate
from storage.turn_writes import NewReply
from tests.api.rest_service import PHONE, TICKET, Service

FIELDS = {
    "id", "ticket_id", "kind", "author", "message", "changed", "late", "files", "quoted", "whatsapp_message_id",
    "delivery", "reason", "created_at",
}  # fmt: skip


async def open_ticket(service: Service, phone: str | None = PHONE) -> int:
    body = TICKET | {"whatsapp_notifications": False} | ({"mobile": phone} if phone else {})
    ticket = await service.data("POST", "/api/tickets", body, status=201)
    return int(ticket["id"])


async def add_customer_message(service: Service, ticket_id: int, text: str = "Yes.", **more: Any) -> str:
    """A message of the customer is on the ticket; returns its id."""
    reply_id, at = service.resources.ids.next(), to_millis(service.clock.now)
    values = {
        "id": reply_id, "ticket_id": ticket_id, "author": "customer", "author_name": "", "message": text,
        "whatsapp_message_id": f"wamid.{reply_id}", "late": False, "written_at": at, "created_at": at, **more,
    }  # fmt: skip

    async def write(tx: Tx) -> None:
        await tx.insert("reply", list(values), [tuple(values.values())])

    await service.resources.database.run(write)
    return str(reply_id)


async def upload_file(service: Service, name: str = "lamps.png", kind: str = "image/png") -> str:
    key = {"Authorization": f"Bearer {service.keys[Role.AGENT]}"}
    response = await service.http.post("/api/files", files={"file": (name, b"\x89PNG\r\n\x1a\n", kind)}, headers=key)
    assert response.status_code == 201, response.text
    return str(response.json()["data"]["id"])


async def close_window(service: Service) -> None:
    body = LaneState(address=PHONE[1:], last_inbound_at=service.clock.now - timedelta(hours=24)).to_json()
    await service.execute("UPDATE conversation SET body = ?", [body])


async def test_reply_reaches_the_customer(service: Service) -> None:
    customer_id = await service.customer()
    ticket_id = await open_ticket(service)
    service.clock.forward(minutes=1)
    body = {"ticket_id": ticket_id, "message": " We are on it. 👩🏽‍🚒\r\n", "author": "Bea"}
    reply = await service.data("POST", "/api/replies", body, status=201)
    assert set(reply) == FIELDS
    assert isinstance(reply["id"], str)
    assert reply["message"] == "We are on it. 👩🏽‍🚒"
    assert (reply["author"], reply["delivery"], reply["whatsapp_message_id"]) == ("agent", "queued", None)
    [row] = await service.read_outbox()
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
    ticket_id = await open_ticket(service)
    said = service.clock.now.replace(microsecond=0)  # Meta's clock has no finer hands
    await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "Is it off?"}, status=201)
    texts = ((said, "Yes."), (said - timedelta(seconds=30), "Hello? (came late)"))
    replies = [
        NewReply(service.resources.ids.next(), ticket_id, text, f"wamid.{text}", 1, False, at, service.clock.now)
        for at, text in texts
    ]

    async def write(tx: Tx) -> None:
        await turn_writes.insert_replies(tx, replies)

    await service.resources.database.run(write)
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
    ticket_id = await open_ticket(service)
    words = [f"word{number}" for number in range(2000)] + ["🔥" * 3000]
    message = " ".join(words)
    reply = await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": message}, status=201)
    assert reply["message"] == message
    rows = await service.read_outbox()
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
    ticket_id = await open_ticket(light_service)
    body = {"ticket_id": ticket_id, "message": "Hello"}
    assert (await light_service.data("POST", "/api/replies", body, status=201))["delivery"] == "held"
    assert [row["status"] for row in await light_service.read_outbox()] == ["held"]


async def test_ticket_that_is_nobodys_or_switched_off(light_service: Service) -> None:
    service = light_service
    nobodys = await open_ticket(service, None)
    await service.customer()
    off = await open_ticket(service)
    await service.execute("UPDATE ticket SET whatsapp_enabled = ? WHERE id = ?", [False, off])
    for ticket_id in (nobodys, off):
        body = {"ticket_id": ticket_id, "message": "A note for the file."}
        assert (await service.data("POST", "/api/replies", body, status=201))["delivery"] is None
        assert len(await service.data("GET", f"/api/replies/{ticket_id}")) == 1
    assert await service.read_outbox() == []


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
    await open_ticket(light_service)
    answer = await light_service.expect_refusal(422, "POST", "/api/replies", body)
    assert [problem["field"] for problem in answer["errors"]] == [field]
    assert await light_service.rows("SELECT id FROM reply") == []


async def test_reply_to_a_ticket_that_is_not_there(light_service: Service) -> None:
    for ticket_id in (7, 2**63 - 1):
        await light_service.expect_refusal(404, "POST", "/api/replies", {"ticket_id": ticket_id, "message": "x"})
    await light_service.expect_refusal(404, "GET", "/api/replies/7")


async def test_files_go_out_with_the_words_as_a_caption(service: Service) -> None:
    customer_id = await service.customer()
    ticket_id = await open_ticket(service)
    photo, report = await upload_file(service), await upload_file(service, "a report.pdf", "application/pdf")
    body = {"ticket_id": ticket_id, "message": "Both of them.", "file_ids": [photo, report]}
    reply = await service.data("POST", "/api/replies", body, status=201)
    assert [row["message"] for row in await service.read_outbox()] == [
        {"type": "media", "kind": "image", "file_id": photo, "filename": "lamps.png", "caption": "Both of them."},
        {"type": "media", "kind": "document", "file_id": report, "filename": "a report.pdf"},
    ]
    shown = {"mime_type": "image/png", "size": 8, "state": "stored", "reason": None}
    assert reply["files"] == [
        {"id": photo, "name": "lamps.png", **shown},
        {"id": report, "name": "a report.pdf", **shown, "mime_type": "application/pdf"},
    ]
    assert await service.data("GET", f"/api/replies/{ticket_id}") == [reply]
    [(owner, of_ticket)] = await service.rows("SELECT DISTINCT customer_id, ticket_id FROM file")
    assert (owner, of_ticket) == (customer_id, ticket_id)


async def test_a_file_alone_and_words_that_are_too_long_for_a_caption(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service)
    alone = {"ticket_id": ticket_id, "file_ids": [await upload_file(light_service)]}
    assert (await light_service.data("POST", "/api/replies", alone, status=201))["message"] == ""
    words = "word " * 300
    long = {"ticket_id": ticket_id, "message": words, "file_ids": [await upload_file(light_service)]}
    reply = await light_service.data("POST", "/api/replies", long, status=201)
    assert (reply["message"], len(reply["files"])) == (words.strip(), 1)
    sent = [row["message"] for row in await light_service.read_outbox()]
    assert [(message["type"], "caption" in message) for message in sent] == [("media", False)] * 2 + [("text", False)]
    assert sent[2]["text"] == words.strip()


async def test_files_that_can_not_go_out(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service)
    sent, theirs, fresh = [await upload_file(light_service) for _ in range(3)]
    body: dict[str, object] = {"ticket_id": ticket_id, "message": "x", "file_ids": [sent]}
    await light_service.data("POST", "/api/replies", body, status=201)
    await light_service.execute("UPDATE file SET direction = 'in' WHERE id = ?", [theirs])
    wrong: tuple[list[object], ...] = (
        [sent], [fresh, sent], [theirs], ["7"], [fresh, fresh], [fresh, "0" + fresh], ["9" * 19], ["x"], [7], [""],
        ["-1"], [str(number) for number in range(11)],
    )  # fmt: skip
    for file_ids in wrong:
        refused = await light_service.expect_refusal(422, "POST", "/api/replies", body | {"file_ids": file_ids})
        assert refused["errors"][0]["field"].partition(".")[0] == "file_ids", file_ids
    assert len(await light_service.data("GET", f"/api/replies/{ticket_id}")) == 1
    assert len(await light_service.read_outbox()) == 1
    [(reply_id,)] = await light_service.rows("SELECT reply_id FROM file WHERE id = ?", [fresh])
    assert reply_id is None


async def test_answering_one_message_of_the_customer(service: Service) -> None:
    await service.customer()
    ticket_id, other_id = await open_ticket(service), await open_ticket(service)
    asked = await add_customer_message(service, ticket_id, "Which one?")
    foreign = await add_customer_message(service, other_id)
    unknown = await add_customer_message(service, ticket_id, whatsapp_message_id=None)
    body = {"ticket_id": ticket_id, "message": "word " * 1000, "quote": asked}
    reply = await service.data("POST", "/api/replies", body, status=201)
    assert reply["quoted"] == asked
    assert [row["message"].get("quoted") for row in await service.read_outbox()] == [f"wamid.{asked}", None]
    for quote in (foreign, unknown, reply["id"], "7", "9" * 19, "x"):
        refused = await service.expect_refusal(422, "POST", "/api/replies", body | {"quote": quote})
        assert [problem["field"] for problem in refused["errors"]] == ["quote"]
    assert len(await service.read_outbox()) == 2


async def test_reactions(service: Service) -> None:
    await service.customer()
    ticket_id = await open_ticket(service)
    asked = await add_customer_message(service, ticket_id)
    path = f"/api/replies/{asked}/reaction"
    for emoji in ("👍", "👩🏽‍🚒", "🇪🇺", "❤️", "1️⃣", ""):
        assert (await service.data("POST", path, {"emoji": emoji}))["delivery"] == "queued"
        last = (await service.read_outbox())[-1]
        assert (last["message"], last["origin"]) == (
            {"type": "reaction", "wamid": f"wamid.{asked}", "emoji": emoji},
            "agent",
        )
    assert len(await service.data("GET", f"/api/replies/{ticket_id}")) == 1
    for body in ({"emoji": "ok"}, {"emoji": "👍👎"}, {"emoji": " "}, {"emoji": "<b>"}, {"emoji": 1}, {}, {"e": "👍"}):
        await service.expect_refusal(422, "POST", path, body)
    mine = await service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "x"}, status=201)
    await service.expect_refusal(422, "POST", f"/api/replies/{mine['id']}/reaction", {"emoji": "👍"})
    for nowhere in ("7", "9" * 19, "x", "-1"):
        await service.expect_refusal(404, "POST", f"/api/replies/{nowhere}/reaction", {"emoji": "👍"})
    before = len(await service.read_outbox())
    await close_window(service)
    assert (await service.expect_refusal(409, "POST", path, {"emoji": "👍"}))["message"] == "window_closed"
    await service.execute("UPDATE ticket SET whatsapp_enabled = ?", [False])
    assert (await service.expect_refusal(409, "POST", path, {"emoji": "👍"}))["message"] == "not_on_whatsapp"
    assert len(await service.read_outbox()) == before


async def test_what_was_changed_says_what_it_said(service: Service) -> None:
    ticket_id = await open_ticket(service, None)
    said = (
        {"message": "The kitchin.", "changed": "edited"},
        {"message": "The kitchen.", "kind": "note", "whatsapp_message_id": None},
        {"message": "Forget it.", "changed": "revoked", "late": True},
        {"message": "Handed over.", "author": "meta", "kind": "note", "whatsapp_message_id": None},
        {"message": "Added by the desk's own hand.", "author": "system", "kind": "note", "whatsapp_message_id": None},
    )
    for each in said:
        service.clock.forward(seconds=1)
        await add_customer_message(service, ticket_id, **each)
    shown = await service.data("GET", f"/api/replies/{ticket_id}")
    assert [(r["message"], r["author"], r["kind"], r["changed"], r["late"]) for r in shown] == [
        ("The kitchin.", "customer", "message", "edited", False),
        ("The kitchen.", "customer", "note", None, False),
        ("Forget it.", "customer", "message", "revoked", True),
        ("Handed over.", "bot", "note", None, False),
        ("Added by the desk's own hand.", "bot", "note", None, False),
    ]


@pytest.mark.parametrize(
    ("status", "why", "reason"),
    [
        ("held", Why(OutboxReason.NO_TEMPLATE), "The customer has not written for 24 hours, so WhatsApp takes only a "
         "template, and none carries this. It goes out when one does, or when they write again."),
        ("held", Why(OutboxReason.REFUSED, "No such template (Meta's code 132001)."),
         "No such template (Meta's code 132001). It goes out when the customer writes again."),
        ("failed", Why(OutboxReason.REFUSED, "No WhatsApp there."), "No WhatsApp there."),
        ("failed", Why(OutboxReason.SUPERSEDED), "Something newer about the ticket took its place."),
        ("unknown", Why(OutboxReason.ASK_A_PERSON), "It is not known whether the customer has it. Ask them, or "
         "send it again."),
        ("queued", Why(OutboxReason.REFUSED, "Meta asks for a pause."), "Meta asks for a pause."),
        ("queued", Why(), None),
        ("read", Why(OutboxReason.REFUSED, "An old trouble."), None),
    ],
)  # fmt: skip
async def test_where_it_stands_and_why(light_service: Service, status: str, why: Why, reason: str | None) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service)
    await light_service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "x"}, status=201)
    await light_service.execute("UPDATE outbox SET status = ?, reason = ?, detail = ?", [status, *why])
    [shown] = await light_service.data("GET", f"/api/replies/{ticket_id}")
    assert (shown["delivery"], shown["reason"]) == (status, reason)


async def test_what_waits_while_whatsapp_is_stopped(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service)
    alert = Alert("channel", AlertSeverity.RED, "The access token has expired.", light_service.clock.now)
    await light_service.resources.database.run(lambda tx: alerts.raise_alert(tx, alert))
    body = {"ticket_id": ticket_id, "message": "x"}
    reply = await light_service.data("POST", "/api/replies", body, status=201)
    told = "Waiting, because WhatsApp is stopped: The access token has expired."
    assert (reply["delivery"], reply["reason"]) == ("queued", told)


async def test_outside_of_the_window_a_template_carries_the_words(service: Service) -> None:
    await service.customer(wrote_ago=timedelta(days=2))
    at = service.clock.now
    ticket_id = await open_ticket(service)
    body = {"ticket_id": ticket_id, "message": "It is fixed."}
    components, filling = '[{"type":"BODY","text":"News: {{1}}"}]', '{"body":{"1":"text"},"header":{}}'
    made = StoredTemplate("1", "answer", "en", "UTILITY", "APPROVED", "", components, at, at)

    async def choose(tx: Tx) -> None:
        await templates.store_listing(tx, [made], at, complete=True)
        await templates.save_assignment(tx, NoticeAssignment("reply", "en", "answer", "en", filling, at))

    async def read_delivery(**more: object) -> tuple[str, str | None]:
        reply = await service.data("POST", "/api/replies", body | more, status=201)
        return reply["delivery"], reply["reason"]

    silent, later = "The customer has not written for 24 hours,", "It goes out when the customer writes again."
    nothing = f"{silent} so WhatsApp takes only a template, and none carries this. "
    assert await read_delivery() == ("held", nothing + "It goes out when one does, or when they write again.")
    await service.resources.database.run(choose)
    assert await read_delivery() == ("queued", None)
    long = "its body would have 1030 characters, and WhatsApp takes 1024"
    assert await read_delivery(message="x" * 1024) == (
        "held",
        f"{silent} and the template answer has no room for it: {long}. {later}",
    )
    assert await read_delivery(file_ids=[await upload_file(service)]) == (
        "held",
        f"{silent} and a template carries no files. {later}",
    )
    await service.execute("UPDATE ticket SET whatsapp_notifications = ?", [True])
    moved = await service.data("PUT", f"/api/tickets/{ticket_id}/status", {"status": "closed"})
    assert moved["delivery"] == "held", "there is none for this notice"
    await service.resources.database.run(lambda tx: templates.record_status(tx, replace(made, status="PAUSED")))
    delivery, reason = await read_delivery()
    assert delivery == "held"
    assert f"{silent} and the template answer was paused by Meta" in str(reason)
    values = {"ticket_id": str(ticket_id), "title": "hardware", "name": "Ann Example", "text": "It is fixed."}
    assert (await service.read_outbox())[1]["message"]["notice"] == {
        "kind": "reply",
        "language": "en",
        "values": values,
    }


async def test_a_long_answer_has_its_words_in_each_part(light_service: Service) -> None:
    await light_service.customer()
    ticket_id = await open_ticket(light_service)
    await light_service.data("POST", "/api/replies", {"ticket_id": ticket_id, "message": "word " * 2000}, status=201)
    for row in await light_service.read_outbox():
        assert row["message"]["notice"]["values"]["text"] == row["text"]
