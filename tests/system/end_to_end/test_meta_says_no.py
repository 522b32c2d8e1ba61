"""What Meta refuses for everybody, or outside of the 24 hours, is kept, explained, and sent once it can be."""

from datetime import timedelta
from typing import Any

import pytest

from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = timedelta(hours=25)
KINDS = ("in_progress", "waiting", "resolved", "closed", "new")


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant"), Variant("mariadb", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


async def read_status(system: System) -> dict[str, Any]:
    status: dict[str, Any] = await system.call_as_agent("GET", "/api/whatsapp/status")
    return status


async def test_a_token_that_expires_while_customers_write(system: System) -> None:
    system.meta.setup.token_state = "expired"
    five = [system.add_customer(f"Customer {number}") for number in range(5)]
    for customer in five:
        system.meta.people.write_text(customer, f"This is {customer.name}.")

    async def kept() -> bool:
        status = await read_status(system)
        return bool(status["journal"]["done"] >= 5 and status["channel"]["state"] == "stopped")

    await system.wait_until("all is taken in, and sending is stopped", kept)
    status = await read_status(system)
    assert not status["connected"]
    assert "token" in status["channel"]["reason"]
    assert [(alert["severity"], alert["message"]) for alert in status["alerts"] if alert["subject"] == "channel"] == [
        ("red", status["channel"]["reason"])
    ]
    system.tick.clock.advance(timedelta(minutes=10))
    assert [system.list_messages_to(customer) for customer in five] == [[]] * 5

    async def queued() -> bool:
        return await system.tick.tables.fetch("SELECT status, COUNT(*) FROM outbox GROUP BY status") == [("queued", 5)]

    await system.wait_until("nothing was given up", queued)
    tickets = [await system.wait_for_ticket(customer) for customer in five]
    assert len(set(tickets)) == 5

    system.meta.setup.token_state = "valid"
    system.tick.clock.advance(timedelta(minutes=10))
    for customer, ticket_id in zip(five, tickets, strict=True):
        await system.wait_for_message(customer, f"*#{ticket_id}*")
    await system.wait_until_at_rest()
    assert [len(system.list_messages_to(customer)) for customer in five] == [1] * 5
    assert await system.tick.tables.fetch("SELECT DISTINCT refusals, resent FROM outbox") == [(0, 0)]

    async def well() -> bool:
        status = await read_status(system)
        subjects = [alert["subject"] for alert in status["alerts"]]
        return bool(status["channel"]["state"] == "open" and "channel" not in subjects)

    await system.wait_until("the alert is over", well)


async def test_a_notice_outside_of_the_24_hours(system: System) -> None:
    listed = await system.call_as_agent("POST", "/api/whatsapp/templates/sync", {})
    assert "ticket_news" in [template["name"] for template in listed["templates"]]
    for kind in KINDS:
        chosen = {"template": "ticket_news", "body": ["ticket_id", "title"]}
        notice = await system.call_as_agent("PUT", f"/api/whatsapp/notices/{kind}/en", chosen)
        assert (notice["works"], notice["why_not"]) == (True, "")
    ann = system.add_customer()
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, "your ticket is")
    await system.wait_until_at_rest()
    system.tick.clock.advance(DAY)

    async def move(status: str) -> str:
        changed = await system.call_as_agent("PUT", f"/api/tickets/{ticket_id}/status", {"status": status})
        return str(changed["delivery"])

    async def has_alert(subject: str) -> bool:
        return subject in [alert["subject"] for alert in (await read_status(system))["alerts"]]

    assert await move("in_progress") == "queued"
    arrived = await system.wait_for_message(ann, f"There is news about your ticket {ticket_id}")
    assert (arrived.kind, "The printer is broken." in arrived.text) == ("template", True)

    system.meta.account_updates.send("template_paused", text="ticket_news")
    await system.wait_until("an alert says so", lambda: has_alert("template:ticket_news:en"))
    assert await move("waiting") == "held"
    await system.tick.wait_until_settled()
    assert [message.kind for message in system.list_messages_to(ann)] == ["text", "template"]

    system.meta.account_updates.send("template_approved", text="ticket_news")

    async def over() -> bool:
        return not await has_alert("template:ticket_news:en")

    async def heard(templates: int) -> bool:
        return [message.kind for message in system.list_messages_to(ann)] == ["text", *["template"] * templates]

    await system.wait_until("the alert is over", over)
    await system.wait_until("what was held goes out", lambda: heard(2))
    assert await move("resolved") == "queued"
    await system.wait_until("it works again", lambda: heard(3))
    await system.wait_until_at_rest()
    assert [body["type"] for body in system.list_sends(to=ann)] == ["text", "template", "template", "template"]


async def test_without_a_template_it_waits_for_the_customer(system: System) -> None:
    for kind in KINDS:
        await system.tick.http.delete(f"/api/whatsapp/notices/{kind}/en", headers=system.key)
    ann = system.add_customer()
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, "your ticket is")
    await system.wait_until_at_rest()
    system.tick.clock.advance(DAY)
    changed = await system.call_as_agent("PUT", f"/api/tickets/{ticket_id}/status", {"status": "in_progress"})
    assert changed["delivery"] == "held"
    system.meta.people.write_text(ann, "Is there any news?")
    await system.wait_for_message(ann, "we are working on ticket")
    assert {message.error for message in system.list_messages_to(ann)} == {""}


async def test_words_that_were_held_go_out_in_order_once_there_is_a_template(system: System) -> None:
    await system.tick.http.delete("/api/whatsapp/notices/reply/en", headers=system.key)
    ann = system.add_customer()
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, "your ticket is")
    await system.wait_until_at_rest()
    system.tick.clock.advance(DAY)
    answer = {"ticket_id": ticket_id, "message": "We have a part for it."}
    assert (await system.call_as_agent("POST", "/api/replies", answer, status=201))["delivery"] == "held"

    chosen = {"template": "ticket_news", "body": ["ticket_id", "text"]}
    await system.call_as_agent("PUT", "/api/whatsapp/notices/reply/en", chosen)
    await system.call_as_agent("POST", "/api/replies", answer | {"message": "It fits."}, status=201)
    await system.wait_for_message(ann, "It fits.")
    await system.wait_until_at_rest()
    assert [message.kind for message in system.list_messages_to(ann)] == ["text", "template", "template"]
    assert "We have a part for it." in system.list_messages_to(ann)[1].text
