"""Meta takes a message, and its answer to our request is lost: the customer has it once, and we know it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.simulator.faults import Fault
from tests.system.end_to_end.conftest import Stage
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import DOUBT_SECONDS, Theatre

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOUBT = timedelta(seconds=DOUBT_SECONDS + 1)
LOST = [
    Fault("timeout_after", "send", delay_seconds=0.05),
    Fault("cut_after", "send"),
    Fault("truncated", "send"),
    Fault("no_id", "send"),
]
STATUSES = {
    "in time": [],
    "late": [Fault("late", "statuses", delay_seconds=0.6)],
    "reordered": [Fault("reorder", "statuses")],
    "twice": [Fault("duplicate", "statuses", times=0)],
}


@pytest.fixture(scope="module", params=[("sqlite", "instant"), ("mariadb", "instant")], ids="-".join)
def stage(request: pytest.FixtureRequest) -> Stage:
    chosen: Stage = request.param
    return chosen


@pytest.mark.parametrize("statuses", STATUSES)
@pytest.mark.parametrize("lost", LOST, ids=lambda fault: fault.then)
async def test_the_customer_has_it_once(theatre: Theatre, lost: Fault, statuses: str) -> None:
    ann = theatre.customer()
    theatre.meta.faults.add(replace(lost))
    for fault in STATUSES[statuses]:
        theatre.meta.faults.add(replace(fault))

    theatre.meta.people.write_text(ann, "The printer is broken.")
    await theatre.hears(ann, "your ticket is")

    async def settled() -> bool:
        rows = await theatre.tick.tables.rows("SELECT status FROM outbox")
        return bool(rows) and all(status in ("sent", "delivered", "read") for (status,) in rows)

    await theatre.until("a status says that it arrived", settled)
    await theatre.at_rest()
    [(resent, attempts, wamid)] = await theatre.tick.tables.rows("SELECT resent, attempts, wamid FROM outbox")
    [message] = theatre.said_to(ann)
    assert (resent, attempts, wamid) == (0, 1, message.wamid)
    assert len(theatre.sends(to=ann)) == 1


async def test_what_an_agent_says_is_no_exception(theatre: Theatre) -> None:
    ann = theatre.customer()
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, "your ticket is")
    theatre.meta.faults.add(Fault("cut_after", "send"))
    body = {"ticket_id": ticket_id, "message": "We are on it."}
    await theatre.agent("POST", "/api/replies", body, status=201)

    async def delivered() -> bool:
        [reply] = await theatre.agent("GET", f"/api/replies/{ticket_id}")
        return bool(reply["delivery"] == "delivered")

    await theatre.until("the agent reads that it was delivered", delivered)
    assert [message.text for message in theatre.said_to(ann)][1:] == ["We are on it."]
    assert await theatre.tick.tables.rows("SELECT DISTINCT resent FROM outbox") == [(0,)]


async def test_nobody_ever_tells_and_a_person_sends_it_again(theatre: Theatre) -> None:
    ann = theatre.customer()
    theatre.meta.people.write_text(ann, "The printer is broken.")
    ticket_id = await theatre.ticket_of(ann)
    await theatre.hears(ann, "your ticket is")
    await theatre.at_rest()
    theatre.meta.faults.add(Fault("cut", "send"))  # before Meta looked at it, which only Meta knows
    body = {"ticket_id": ticket_id, "message": "We are on it."}
    reply = await theatre.agent("POST", "/api/replies", body, status=201)

    async def asked() -> bool:
        [told] = await theatre.agent("GET", f"/api/replies/{ticket_id}")
        return bool(told["delivery"] == "unknown" and "send it again" in told["reason"])

    async def doubted() -> bool:
        [told] = await theatre.agent("GET", f"/api/replies/{ticket_id}")
        return bool(told["delivery"] == "unknown")

    await theatre.until("it is in doubt", doubted)
    theatre.tick.clock.advance(DOUBT)
    await theatre.until("a person is asked", asked)
    assert [message.text for message in theatre.said_to(ann)][1:] == []
    await theatre.agent("POST", f"/api/replies/{reply['id']}/send-again", {})
    await theatre.hears(ann, "We are on it.")
    assert len(theatre.said_to(ann)) == 2
