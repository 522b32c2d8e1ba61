"""Files that are slow, cut, redirected, too large or not what they should be: the conversation never waits for one, and
an agent reads on the ticket where it stands."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from api.simulator.faults import Fault
from tests.system.end_to_end.conftest import Variant
from tests.system.end_to_end.tick_with_simulator import *  # noqa: F403 - fixtures
from tests.system.end_to_end.tick_with_simulator import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

PDF = b"%PDF-1.7 what the customer wrote down\n" * 4000
MEGABYTE = 1024 * 1024
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """`lies`: what Meta says of the file; `ends`: its state, and a part of the reason that an agent reads; `later`: its
    state after an hour in which all was well."""

    fault: Fault | None
    ends: tuple[str, str]
    later: str
    lies: dict[str, Any] = field(default_factory=dict)


TROUBLES = {
    "slow": Trouble(None, ("stored", ""), "stored"),
    "cut": Trouble(Fault("cut", "download"), ("failed", "The connection broke"), "stored"),
    "cut in the middle": Trouble(Fault("truncated", "download"), ("failed", "its hash is another"), "stored"),
    "redirected": Trouble(Fault("redirect", "download"), ("refused", "not on Meta's servers"), "refused"),
    "too large": Trouble(None, ("refused", "Larger than 100 MB"), "refused", {"size": 101 * MEGABYTE}),
    "wrong hash": Trouble(None, ("failed", "its hash is another"), "failed", {"sha256": "5" * 64}),
    "a page instead": Trouble(Fault("html", "download"), ("failed", "HTTP 502"), "stored"),
    "gone at Meta": Trouble(Fault("status", "download", status=404, times=2), ("failed", "HTTP 404"), "stored"),
}


@pytest.fixture(scope="module", params=[Variant("sqlite", "guided")], ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    chosen: Variant = request.param
    return chosen


@pytest.mark.parametrize("name", TROUBLES)
async def test_the_conversation_goes_on(system: System, name: str) -> None:
    trouble, ann, people = TROUBLES[name], system.add_customer(), system.meta.people
    media = await system.save_media(PDF, "application/pdf", "notes.pdf", **trouble.lies)
    system.meta.faults.add(Fault("slow", "locate" if name != "slow" else "download", delay_seconds=50.0))

    people.send_file(ann, media, caption="The lamp is broken.")
    await system.tap(ann, "Hardware")
    await system.tap(ann, "Send")
    await system.wait_for_message(ann, "your ticket is")
    ticket_id = await system.wait_for_ticket(ann)
    [file] = await files_of(system, ticket_id)
    assert (file["name"], file["state"] in ("waiting", "fetching")) == ("notes.pdf", True)
    assert file["reason"]

    system.meta.faults.clear()
    if trouble.fault is not None:
        system.meta.faults.add(trouble.fault)
    state, reason = trouble.ends
    await becomes(system, ticket_id, state)
    [file] = await files_of(system, ticket_id)
    assert reason in (file["reason"] or "")
    assert (file["reason"] is None) == (state == "stored")

    system.tick.clock.advance(HOUR)
    await becomes(system, ticket_id, trouble.later)
    if trouble.later == "stored":
        served = await system.tick.http.get(f"/api/files/{file['id']}", headers=system.key)
        assert served.content == PDF
    await system.call_as_agent("PUT", f"/api/tickets/{ticket_id}/status", {"status": "in_progress"})
    await system.wait_for_message(ann, "we are working on ticket")


async def files_of(system: System, ticket_id: int) -> list[dict[str, Any]]:
    ticket = await system.call_as_agent("GET", f"/api/tickets/{ticket_id}")
    found: list[dict[str, Any]] = ticket["files"]
    return found


async def becomes(system: System, ticket_id: int, state: str) -> None:
    async def has() -> bool:
        return [file["state"] for file in await files_of(system, ticket_id)] == [state]

    await system.wait_until(f"the file is {state}", has)
