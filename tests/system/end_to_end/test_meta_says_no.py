"""What Meta refuses for everybody, or outside of the 24 hours: nothing is lost, it is said why, and it goes on by
itself."""

from datetime import timedelta
from typing import Any

import pytest

from tests.system.end_to_end.conftest import Stage
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import Theatre

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = timedelta(hours=25)
KINDS = ("in_progress", "waiting", "resolved", "closed", "new")


@pytest.fixture(scope="module", params=[("sqlite", "instant"), ("mariadb", "instant")], ids="-".join)
def stage(request: pytest.FixtureRequest) -> Stage:
    chosen: Stage = request.param
    return chosen


async def channel(theatre: Theatre) -> dict[str, Any]:
    status: dict[str, Any] = await theatre.agent("GET", "/api/whatsapp/status")
    return status


async def test_a_token_that_expires_while_customers_write(theatre: Theatre) -> None:
    theatre.meta.setup.token_state = "expired"
    five = [theatre.customer(f"Customer {number}") for number in range(5)]
    for customer in five:
        theatre.meta.people.write_text(customer, f"This is {customer.name}.")

    async def kept() -> bool:
        status = await channel(theatre)
        return bool(status["journal"]["done"] >= 5 and status["channel"]["state"] == "stopped")

    await theatre.until("all is taken in, and sending is stopped", kept)
    status = await channel(theatre)
    assert not status["connected"]
    assert "token" in status["channel"]["reason"]
    assert [(alert["severity"], alert["message"]) for alert in status["alerts"] if alert["subject"] == "channel"] == [
        ("red", status["channel"]["reason"])
    ]
    theatre.tick.clock.advance(timedelta(minutes=10))
    assert [theatre.said_to(customer) for customer in five] == [[]] * 5

    async def queued() -> bool:
        return await theatre.tick.tables.rows("SELECT status, COUNT(*) FROM outbox GROUP BY status") == [("queued", 5)]

    await theatre.until("nothing was given up", queued)
    tickets = [await theatre.ticket_of(customer) for customer in five]
    assert len(set(tickets)) == 5

    theatre.meta.setup.token_state = "valid"
    theatre.tick.clock.advance(timedelta(minutes=10))
    for customer, ticket_id in zip(five, tickets, strict=True):
        await theatre.hears(customer, f"*#{ticket_id}*")
    await theatre.at_rest()
    assert [len(theatre.said_to(customer)) for customer in five] == [1] * 5
    assert await theatre.tick.tables.rows("SELECT DISTINCT refusals, resent FROM outbox") == [(0, 0)]

    async def well() -> bool:
        status = await channel(theatre)
        subjects = [alert["subject"] for alert in status["alerts"]]
        return bool(status["channel"]["state"] == "open" and "channel" not in subjects)

    await theatre.until("the alert is over", well)


async def test_a_notice_outside_of_the_24_hours(theatre: Theatre) -> None:
    listed = await theatre.agent("POST", "/api/whatsapp/templates/sync", {})
    assert "ticket_news" in [template["name"] for template in listed["templates"]]
    for kind in KINDS:
        chosen = {"template": "ticket_news", "body": ["ticket_id", "title"]}
        notice = await theatre.agent("PUT", f"/api/whatsapp/notices/{kind}/en", chosen)
        assert (notice["works"], notice["why_not"]) == (True, "")
    ann = theatre.customer()
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, "your ticket is")
    await theatre.at_rest()
    theatre.tick.clock.advance(DAY)

    async def moved(status: str) -> str:
        changed = await theatre.agent("PUT", f"/api/tickets/{ticket_id}/status", {"status": status})
        return str(changed["delivery"])

    async def told(subject: str) -> bool:
        return subject in [alert["subject"] for alert in (await channel(theatre))["alerts"]]

    assert await moved("in_progress") == "queued"
    arrived = await theatre.hears(ann, f"There is news about your ticket {ticket_id}")
    assert (arrived.kind, "The printer is broken." in arrived.text) == ("template", True)

    theatre.meta.account_updates.send("template_paused", text="ticket_news")
    await theatre.until("an alert says so", lambda: told("template:ticket_news:en"))
    assert await moved("waiting") == "held"
    await theatre.tick.settled()
    assert [message.kind for message in theatre.said_to(ann)] == ["text", "template"]

    theatre.meta.account_updates.send("template_approved", text="ticket_news")

    async def over() -> bool:
        return not await told("template:ticket_news:en")

    async def heard(templates: int) -> bool:
        return [message.kind for message in theatre.said_to(ann)] == ["text", *["template"] * templates]

    await theatre.until("the alert is over", over)
    await theatre.until("what was held goes out", lambda: heard(2))
    assert await moved("resolved") == "queued"
    await theatre.until("it works again", lambda: heard(3))
    await theatre.at_rest()
    assert [body["type"] for body in theatre.sends(to=ann)] == ["text", "template", "template", "template"]


async def test_without_a_template_it_waits_for_the_customer(theatre: Theatre) -> None:
    for kind in KINDS:
        await theatre.tick.http.delete(f"/api/whatsapp/notices/{kind}/en", headers=theatre.key)
    ann = theatre.customer()
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, "your ticket is")
    await theatre.at_rest()
    theatre.tick.clock.advance(DAY)
    changed = await theatre.agent("PUT", f"/api/tickets/{ticket_id}/status", {"status": "in_progress"})
    assert changed["delivery"] == "held"
    theatre.meta.people.write_text(ann, "Is there any news?")
    await theatre.hears(ann, "we are working on ticket")
    assert {message.error for message in theatre.said_to(ann)} == {""}


async def test_words_that_were_held_go_out_in_order_once_there_is_a_template(theatre: Theatre) -> None:
    await theatre.tick.http.delete("/api/whatsapp/notices/reply/en", headers=theatre.key)
    ann = theatre.customer()
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, "your ticket is")
    await theatre.at_rest()
    theatre.tick.clock.advance(DAY)
    answer = {"ticket_id": ticket_id, "message": "We have a part for it."}
    assert (await theatre.agent("POST", "/api/replies", answer, status=201))["delivery"] == "held"

    chosen = {"template": "ticket_news", "body": ["ticket_id", "text"]}
    await theatre.agent("PUT", "/api/whatsapp/notices/reply/en", chosen)
    await theatre.agent("POST", "/api/replies", answer | {"message": "It fits."}, status=201)
    await theatre.hears(ann, "It fits.")
    await theatre.at_rest()
    assert [message.kind for message in theatre.said_to(ann)] == ["text", "template", "template"]
    assert "We have a part for it." in theatre.said_to(ann)[1].text
