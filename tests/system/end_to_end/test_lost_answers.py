"""Meta takes a message, and its answer to our request is lost: the customer has it once, and we know it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.simulator.faults import Fault
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import DOUBT_SECONDS, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOUBT = timedelta(seconds=DOUBT_SECONDS + 1)
LOST = [
    Fault("timeout_after", "send", delay_seconds=0.05),
    Fault("cut_after", "send"),
    Fault("truncated", "send"),
    Fault("no_id", "send"),
    Fault("code_after", "send", code=131000, status=500),
    Fault("status_after", "send", status=503),
]
STATUSES = {
    "in time": [],
    "late": [Fault("late", "statuses", delay_seconds=0.6)],
    "reordered": [Fault("reorder", "statuses")],
    "twice": [Fault("duplicate", "statuses", times=0)],
}


@pytest.fixture(scope="module", params=[Variant("sqlite", "instant"), Variant("mariadb", "instant")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


@pytest.mark.parametrize("statuses", STATUSES)
@pytest.mark.parametrize("lost", LOST, ids=lambda fault: fault.then)
async def test_the_customer_has_it_once(system: System, lost: Fault, statuses: str) -> None:
    ann = system.add_customer()
    system.meta.faults.add(replace(lost))
    for fault in STATUSES[statuses]:
        system.meta.faults.add(replace(fault))

    system.meta.people.write_text(ann, "The printer is broken.")
    await system.wait_for_message(ann, "your ticket is")

    async def has_arrived() -> bool:
        rows = await system.tick.tables.fetch("SELECT status FROM outbox")
        return bool(rows) and all(status in ("sent", "delivered", "read") for (status,) in rows)

    await system.wait_until("a status says that it arrived", has_arrived)
    await system.wait_until_at_rest()
    [(resent, attempts, wamid)] = await system.tick.tables.fetch("SELECT resent, attempts, wamid FROM outbox")
    [message] = system.list_messages_to(ann)
    assert (resent, attempts, wamid) == (0, 1, message.wamid)
    assert len(system.list_sends(to=ann)) == 1


async def test_what_an_agent_says_is_no_exception(system: System) -> None:
    ann = system.add_customer()
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, "your ticket is")
    system.meta.faults.add(Fault("cut_after", "send"))
    body = {"ticket_id": ticket_id, "message": "We are on it."}
    await system.call_as_agent("POST", "/api/replies", body, status=201)

    async def is_delivered() -> bool:
        [reply] = await system.call_as_agent("GET", f"/api/replies/{ticket_id}")
        return bool(reply["delivery"] == "delivered")

    await system.wait_until("the agent reads that it was delivered", is_delivered)
    assert [message.text for message in system.list_messages_to(ann)][1:] == ["We are on it."]
    assert await system.tick.tables.fetch("SELECT DISTINCT resent FROM outbox") == [(0,)]


async def test_no_status_ever_comes_and_a_person_sends_it_again(system: System) -> None:
    ann = system.add_customer()
    system.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await system.wait_for_ticket(ann)
    await system.wait_for_message(ann, "your ticket is")
    await system.wait_until_at_rest()
    system.meta.faults.add(Fault("cut", "send"))  # before Meta looked at it, which only Meta knows
    body = {"ticket_id": ticket_id, "message": "We are on it."}
    reply = await system.call_as_agent("POST", "/api/replies", body, status=201)

    async def is_a_person_asked() -> bool:
        [shown] = await system.call_as_agent("GET", f"/api/replies/{ticket_id}")
        return bool(shown["delivery"] == "unknown" and "send it again" in shown["reason"])

    async def is_in_doubt() -> bool:
        [shown] = await system.call_as_agent("GET", f"/api/replies/{ticket_id}")
        return bool(shown["delivery"] == "unknown")

    await system.wait_until("it is in doubt", is_in_doubt)
    system.tick.clock.advance(DOUBT)
    await system.wait_until("a person is asked", is_a_person_asked)
    assert [message.text for message in system.list_messages_to(ann)][1:] == []
    await system.call_as_agent("POST", f"/api/replies/{reply['id']}/send-again", {})
    await system.wait_for_message(ann, "We are on it.")
    assert len(system.list_messages_to(ann)) == 2
